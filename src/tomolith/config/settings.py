"""The base of every settings class: frozen, and unknown keys are refused by name."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from tomolith.errors import RecipeError

S = TypeVar("S", bound="Settings")


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, defaults validated.

    Examples
    --------
    >>> class Blur(Settings):
    ...     sigma_um: float = 2.0
    >>> Blur(sigma_um=3).sigma_um
    3.0
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, populate_by_name=True
    )


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a sentence that names the nearest known word, or all of them.

    Examples
    --------
    >>> did_you_mean("epohcs", ["epochs", "loss"])
    "did you mean 'epochs'?"
    >>> did_you_mean("zzz", ["epochs", "loss"])
    'known are: epochs, loss'
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known are: {', '.join(names)}" if names else None


def parse_settings(kind: type[S], values: Mapping[str, Any], *, where: str) -> S:
    """Build settings from a plain mapping, with errors a scientist can read.

    Parameters
    ----------
    kind
        The settings class.
    values
        Plain values, as YAML gives them.
    where
        Where the values come from, for the message (file and section).

    Raises
    ------
    RecipeError
        A key is unknown (the nearest known key is named) or a value is not
        acceptable (the value and what was expected are named).
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise _recipe_error(kind, error, where) from None


def _recipe_error(kind: type[BaseModel], error: ValidationError, where: str) -> RecipeError:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _keys_at(kind, path[:-1])
        return RecipeError(f"unknown key '{key}'", where=where, mend=did_you_mean(path[-1], known))
    if first["type"] == "missing":
        meaning = _described_at(kind, path)
        return RecipeError(
            f"'{key}' is missing", expected=meaning, where=where, mend=f"add '{key}:'"
        )
    message = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    value = first.get("input")
    if first["type"] == "too_short":
        least = first["ctx"]["min_length"]
        message = f"at least {least} {'entry' if least == 1 else 'entries'}"
    if key and isinstance(value, Mapping) and first["type"] == "value_error":
        # the values are each fine, but do not go together: the message says what is wrong
        return RecipeError(f"'{key}': {message}", where=where, mend=f"correct '{key}'")
    return RecipeError(
        f"'{key}' is {value!r}" if key else message,
        expected=message if key else None,
        where=where,
        mend=f"correct '{key}'" if key else None,
    )


def _keys_at(kind: type[BaseModel], path: list[str]) -> list[str]:
    """Names of the fields that may stand at ``path`` inside ``kind``."""
    return list(_fields_at(kind, path))


def _described_at(kind: type[BaseModel], path: list[str]) -> str | None:
    """Return what the description of a field says of it; ``None`` where it has none."""
    field = _fields_at(kind, path[:-1]).get(path[-1])
    return field.description.rstrip(".") if field and field.description else None


def _fields_at(kind: type[BaseModel], path: list[str]) -> dict[str, FieldInfo]:
    kinds = [kind]
    for part in path:
        by_alias = {(f.alias or n): f for k in kinds for n, f in k.model_fields.items()}
        if part not in by_alias:
            continue  # list positions and union tags are no fields
        kinds = _models_in(by_alias[part].annotation) or kinds
    return {f.alias or n: f for k in kinds for n, f in k.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the settings classes that an annotation names, all members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_in(inner)]


def settings_hash(*parts: Any) -> str:
    """Return a stable 16-digit hash of settings and plain values.

    Examples
    --------
    >>> settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1})
    True
    """
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
