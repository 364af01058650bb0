"""Named components, imported when asked for, built from keyword-only signatures."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from pydantic import Field, model_validator

from tomolith.config.settings import Settings, did_you_mean
from tomolith.errors import RecipeError


class Component(Settings):
    """A component chosen by name, with its options.

    In a recipe either ``loss: dice`` or ``loss: {name: dice, smooth: 1.0}``.

    Examples
    --------
    >>> Component.model_validate("dice").name
    'dice'
    >>> Component.model_validate({"name": "dice", "smooth": 1.0}).options
    {'smooth': 1.0}
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_recipe(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, Mapping) and "name" in value:
            given = dict(value)
            options = dict(given.pop("options", {}))
            name = given.pop("name")
            return {"name": name, "options": {**options, **given}}
        return value


class Registry:
    """Names to ``package.module:Attribute`` strings, imported lazily.

    Parameters
    ----------
    kind
        Singular name of what is registered, for messages (``"loss"``).
    entries
        Name to import string.
    group
        Entry-point group through which other packages add theirs.

    Examples
    --------
    >>> shapes = Registry("shape", {"fraction": "fractions:Fraction"}, group="tomolith.shapes")
    >>> shapes.names()
    ('fraction',)
    >>> shapes.load("fraction").__name__
    'Fraction'
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, group: str) -> None:
        self.kind = kind
        self.group = group
        self._entries = dict(entries)

    @cached_property
    def _all(self) -> Mapping[str, str]:
        # looked up once: the metadata of all installed packages are read for it, about 10 ms
        found = {point.name: point.value for point in entry_points(group=self.group)}
        return {**found, **self._entries}

    def names(self) -> tuple[str, ...]:
        """Return all known names, sorted."""
        return tuple(sorted(self._all))

    def load(self, name: str) -> Any:
        """Import and return what stands behind ``name``.

        Raises
        ------
        RecipeError
            The name is unknown.
        """
        entries = self._all
        if name not in entries:
            raise RecipeError(
                f"unknown {self.kind} '{name}'",
                expected=f"one of {', '.join(sorted(entries))}",
                mend=did_you_mean(name, entries),
            )
        module, _, attribute = entries[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def summary(self, name: str) -> str:
        """Return the first line of the component's docstring."""
        return (inspect.getdoc(self.load(name)) or "").split("\n", 1)[0]

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the keyword-only parameters that a user may set."""
        signature = inspect.signature(self.load(name))
        return {
            key: parameter
            for key, parameter in signature.parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def build(self, component: Component, /, *args: Any) -> Any:
        """Call the component's factory with ``args`` and the component's options.

        Raises
        ------
        RecipeError
            The name or an option is unknown, or the factory refuses a value.
        """
        target = self.load(component.name)
        known = self.options(component.name)
        for option in component.options:
            if option not in known:
                raise RecipeError(
                    f"unknown option '{option}' of {self.kind} '{component.name}'",
                    mend=did_you_mean(option, known),
                )
        try:
            return target(*args, **component.options)
        except (TypeError, ValueError) as error:
            raise RecipeError(
                f"{self.kind} '{component.name}' cannot be built: {error}",
                mend=f"correct its options; it takes {', '.join(known) or 'none'}",
            ) from error
