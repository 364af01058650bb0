"""Options held against the annotations of what takes them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest

from tomolith.config.options import as_annotated, in_words


class _Own:
    """A type that pydantic does not know."""


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (3.0, int, 3),
        (2, float, 2.0),
        ([1, 2], Sequence[int], [1, 2]),
        ((1, 2), Sequence[int], (1, 2)),
        ("batch", float | str, "batch"),
        (None, Mapping[str, float] | None, None),
        ({"pore": 1}, Mapping[str, float] | None, {"pore": 1.0}),
        (["unet", {"name": "unet"}], Sequence[str | Mapping[str, Any]], ["unet", {"name": "unet"}]),
    ],
)
def test_a_value_becomes_what_is_asked_for(value, annotation, expected):
    found = as_annotated(value, annotation)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (2.5, int),
        (None, int),
        (3, str),
        ("unet", Sequence[str]),
        (3, Sequence[str]),
        ([1, "x"], Sequence[int]),
        ([1, 5], Mapping[str, float] | None),
        ({"pore": "heavy"}, Mapping[str, float]),
    ],
)
def test_a_value_of_another_type_is_refused(value, annotation):
    with pytest.raises(ValueError, match="validation error"):
        as_annotated(value, annotation)


@pytest.mark.parametrize("annotation", [_Own, "Nowhere", "int", Sequence[_Own]])
def test_what_cannot_be_judged_here_is_left_to_the_factory(annotation):
    assert as_annotated("x", annotation) == "x"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (bool | None, "true or false"),
        (float | str, "a number or a text"),
        (Annotated[int, "at least 1"], "a whole number"),
        (Literal["batch", "none"], "'batch' or 'none'"),
        (tuple[int, ...], "a list, each entry a whole number"),
        (Mapping[str, float] | None, "names, each with a number"),
        (Sequence[str | Mapping[str, Any]], "a list, each entry a text or a mapping"),
        (list, "list"),
        (_Own, "_Own"),
        ("Nowhere", "Nowhere"),
    ],
)
def test_annotations_are_put_into_words(annotation, words):
    assert in_words(annotation) == words
