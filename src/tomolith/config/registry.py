"""Named components, imported when asked for, built from keyword-only signatures."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from pydantic import Field, ValidationError, model_validator

from tomolith.config.options import as_annotated, in_words
from tomolith.config.settings import Settings, did_you_mean
from tomolith.errors import RecipeError

# how factories, and the libraries behind them, refuse a value
_REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


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
            options = given.pop("options", {})
            if not isinstance(options, Mapping):
                raise ValueError(f"options is {options!r}; it may be a mapping of names to values")
            name = given.pop("name")
            return {"name": name, "options": {**options, **given}}
        return value

    @classmethod
    def of(cls, value: Any) -> Component:
        """Read a component that stands within the options of another.

        Raises
        ------
        RecipeError
            It is neither a name nor a mapping with one.

        Examples
        --------
        >>> Component.of("unet").name
        'unet'
        >>> Component.of({"depth": 3})
        Traceback (most recent call last):
        ...
        tomolith.errors.RecipeError: {'depth': 3} is no component
          expected: a name, or a mapping of 'name' and options
          to mend:  write its name, or 'name:' before its options
        """
        try:
            return cls.model_validate(value)
        except ValidationError:
            raise RecipeError(
                f"{value!r} is no component",
                expected="a name, or a mapping of 'name' and options",
                mend="write its name, or 'name:' before its options",
            ) from None


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
        target = self.load(name)
        try:
            signature = inspect.signature(target, eval_str=True)
        except Exception:  # an annotation of names that are imported for type checkers alone
            signature = inspect.signature(target)
        return {
            key: parameter
            for key, parameter in signature.parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def given(self, component: Component, /) -> dict[str, Any]:
        """Return the component's options, each as the type that its factory names.

        Raises
        ------
        RecipeError
            The name or an option is unknown, or a value is of another type.
        """
        known = self.options(component.name)
        owner = f"{self.kind} '{component.name}'"
        for option in component.options:
            if option not in known:
                raise RecipeError(
                    f"unknown option '{option}' of {owner}", mend=did_you_mean(option, known)
                )
        return {
            option: _read(value, known[option], owner=owner)
            for option, value in component.options.items()
        }

    def build(self, component: Component, /, *args: Any) -> Any:
        """Call the component's factory with ``args`` and the component's options.

        Raises
        ------
        RecipeError
            The name or an option is unknown, or the factory refuses a value.
        """
        target, options = self.load(component.name), self.given(component)
        try:
            return target(*args, **options)
        except _REFUSALS as error:
            found = ", ".join(f"{name}: {value!r}" for name, value in options.items())
            known = ", ".join(self.options(component.name)) or "none"
            what = f"{self.kind} '{component.name}'" + (f" with {found}" if found else "")
            raise RecipeError(
                f"{what} cannot be built: {str(error) or type(error).__name__}",
                mend=f"correct its options; it takes {known}",
            ) from error


def _read(value: Any, parameter: inspect.Parameter, *, owner: str) -> Any:
    """Return the value of one option, as its parameter is annotated."""
    try:
        return as_annotated(value, parameter.annotation)
    except ValueError:
        default = parameter.default
        instead = "" if default in (None, parameter.empty) else f", or leave it out for {default!r}"
        raise RecipeError(
            f"option '{parameter.name}' of {owner} is {value!r}",
            expected=in_words(parameter.annotation),
            mend=f"correct '{parameter.name}'{instead}",
        ) from None
