"""Options of a component, held against the annotations of what takes them."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError

_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def as_annotated(value: Any, annotation: Any) -> Any:
    """Return a value of a recipe as the type that an annotation names.

    Raises
    ------
    ValueError
        It is of another type.

    Examples
    --------
    >>> as_annotated(3.0, int), as_annotated([1, 2], Sequence[int])
    (3, [1, 2])
    >>> as_annotated([1, 2], str)
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for str...
    """
    if isinstance(annotation, str):  # its names could not be found; here they would mean others
        return value
    try:
        return TypeAdapter(annotation).validate_python(value)
    except PydanticUserError:  # not annotated, or by a type that only its author knows
        return value


def in_words(annotation: Any) -> str:
    """Say in words of a recipe what an annotation asks for.

    Examples
    --------
    >>> in_words(Sequence[int]), in_words(float | str)
    ('a list, each entry a whole number', 'a number or a text')
    >>> in_words(Mapping[str, float] | None)
    'names, each with a number'
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(a) for a in inner if a is not types.NoneType))
    if origin is typing.Annotated:
        return in_words(inner[0])
    if origin is typing.Literal:
        return " or ".join(map(repr, inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a mapping" if inner[1] is Any else f"names, each with {in_words(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a list, each entry {in_words(inner[0])}"
    return _WORDS.get(annotation, str(getattr(annotation, "__name__", annotation)))
