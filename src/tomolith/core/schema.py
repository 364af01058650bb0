"""Class schemas: the name, value, colour and role of each class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from tomolith.errors import InputError, RecipeError

ROLES = ("lithium", "electrode", "active", "binder", "pore", "background", "other")

# Okabe-Ito: distinguishable with every common kind of colour blindness, and in grey print.
_GREY, _ORANGE, _SKY, _GREEN, _YELLOW, _BLUE, _RED, _PINK = (
    "#666666",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
COLOURS = (_GREY, _ORANGE, _SKY, _GREEN, _BLUE, _RED, _PINK, _YELLOW)


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One class: name, stored value, colour (``#rrggbb``) and role."""

    name: str
    value: int
    colour: str
    role: str = "other"

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Colour as three bytes."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)


@dataclass(frozen=True, slots=True)
class ClassSchema:
    """The classes of a label map and the value that means *unlabelled*.

    Networks put class ``classes[i]`` on output channel ``i``.

    Raises
    ------
    InputError
        Fewer than two classes, a name, value or colour twice or malformed, or a
        class that takes the unlabelled value.

    Examples
    --------
    >>> schema = PRESETS["li-operando"]
    >>> schema.names
    ('background', 'electrode', 'dendrite', 'pit', 'deposited', 'redeposited')
    >>> schema["dendrite"].value
    2
    """

    classes: tuple[LabelClass, ...]
    unlabelled: int = 255

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise InputError("the class schema has fewer than two classes")
        for c in self.classes:
            _check_types(c)
        for what in ("name", "value"):
            seen = [getattr(c, what) for c in self.classes]
            twice = sorted({str(v) for v in seen if seen.count(v) > 1})
            if twice:
                raise InputError(f"class {what} given twice: {', '.join(twice)}")
        for c in self.classes:
            self._check_class(c)

    def _check_class(self, c: LabelClass) -> None:
        if c.name == "unlabelled" or not re.fullmatch(r"[a-z][a-z0-9_-]*", c.name):
            raise InputError(
                f"class name '{c.name}'",
                expected="lower-case letters, digits, '_' and '-', and not 'unlabelled'",
            )
        if not 0 <= c.value <= 255 or c.value == self.unlabelled:
            raise InputError(
                f"class '{c.name}' has value {c.value}",
                expected=f"0 to 255, other than the unlabelled value {self.unlabelled}",
            )
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", c.colour):
            raise InputError(f"class '{c.name}' has colour '{c.colour}'", expected="'#rrggbb'")
        if c.role not in ROLES:
            raise InputError(
                f"class '{c.name}' has role '{c.role}'", expected=f"one of {', '.join(ROLES)}"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, name: str) -> LabelClass:
        for c in self.classes:
            if c.name == name:
                return c
        raise InputError(f"no class '{name}'", expected=f"one of {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, in the order of the network's output channels."""
        return tuple(c.name for c in self.classes)

    @property
    def values(self) -> tuple[int, ...]:
        """Stored values, in the order of the network's output channels."""
        return tuple(c.value for c in self.classes)

    def by_value(self, value: int) -> LabelClass:
        """Return the class stored as ``value``; ``InputError`` where there is none."""
        for c in self.classes:
            if c.value == value:
                return c
        raise InputError(f"no class has value {value}", expected=f"one of {self.values}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON or YAML."""
        return {
            "unlabelled": self.unlabelled,
            "classes": [
                {"name": c.name, "value": c.value, "colour": c.colour, "role": c.role}
                for c in self.classes
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassSchema:
        """Read what :meth:`to_dict` wrote."""
        return cls(tuple(LabelClass(**c) for c in values["classes"]), int(values["unlabelled"]))

    @classmethod
    def from_recipe(cls, value: str | list[Any]) -> ClassSchema:
        """Return a preset by name, or the schema of a list of names or mappings.

        Raises
        ------
        RecipeError
            The preset is unknown or an entry cannot be read.

        Examples
        --------
        >>> ClassSchema.from_recipe(["matrix", "pore"])["pore"].value
        1
        """
        if isinstance(value, str):
            if value not in PRESETS:
                raise RecipeError(
                    f"unknown class schema '{value}'",
                    expected=f"one of {', '.join(PRESETS)}, or a list of classes",
                )
            return PRESETS[value]
        classes = []
        for i, entry in enumerate(value):
            try:
                given = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
                given.setdefault("value", i)
                given.setdefault("colour", COLOURS[i % len(COLOURS)])
                classes.append(LabelClass(**given))
            except TypeError as error:
                raise RecipeError(
                    f"class {i} cannot be read: {entry!r} ({error})",
                    expected="a name, or a mapping of name, value, colour and role",
                ) from error
        return cls(tuple(classes))


def _check_types(c: LabelClass) -> None:
    """Refuse what YAML reads as another type than was meant."""
    for key, kind, expected in (
        ("name", str, "a name, such as 'pore'"),
        ("value", int, "a whole number from 0 to 255"),
        ("colour", str, "'#rrggbb' in quotes"),
        ("role", str, f"one of {', '.join(ROLES)}"),
    ):
        value = getattr(c, key)
        is_bool = isinstance(value, bool)
        if isinstance(value, kind) and not is_bool:
            continue
        mend = "YAML reads yes, no, on and off as true and false: put quotes around the word"
        raise InputError(
            f"a class has the {key} {value!r}",
            expected=expected,
            where=f"classes, at the class with name {c.name!r} and value {c.value!r}",
            mend=mend if is_bool else None,
        )


PRESETS: Mapping[str, ClassSchema] = MappingProxyType(
    {
        "li-binary": ClassSchema(
            (
                LabelClass("background", 0, _GREY, "background"),
                LabelClass("lithium", 1, _ORANGE, "lithium"),
            )
        ),
        "li-operando": ClassSchema(
            (
                LabelClass("background", 0, _GREY, "background"),
                LabelClass("electrode", 1, _SKY, "electrode"),
                LabelClass("dendrite", 2, _RED, "lithium"),
                LabelClass("pit", 3, _BLUE, "pore"),
                LabelClass("deposited", 4, _ORANGE, "lithium"),
                LabelClass("redeposited", 5, _GREEN, "lithium"),
            )
        ),
        "cathode-3phase": ClassSchema(
            (
                LabelClass("nmc", 0, _SKY, "active"),
                LabelClass("carbon-binder", 1, _ORANGE, "binder"),
                LabelClass("pore", 2, _BLUE, "pore"),
            )
        ),
    }
)
