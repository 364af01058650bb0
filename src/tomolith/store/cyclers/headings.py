"""Headings of columns: a name and a unit, in the spelling of any vendor."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["time", "current", "voltage", "charge"]

_HEADING = re.compile(r"~?\s*(.*?)\s*(?:\(([^()]*)\)|\[([^\]]*)\]|/\s*([^/]*))?\s*")

_FACTORS: dict[Kind, dict[str, float]] = {
    "time": {"ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0},
    "current": {"ua": 1e-6, "ma": 1e-3, "a": 1.0},
    "voltage": {"mv": 1e-3, "v": 1.0},
    "charge": {"uah": 1e-3, "mah": 1.0, "ah": 1e3, "c": 1 / 3.6},
}


@dataclass(frozen=True, slots=True)
class CyclerUnits:
    """Units that a user states against the headings of a file; ``None`` keeps the heading's.

    Parameters
    ----------
    time, current, voltage, charge
        Such as ``"h"``, ``"mA"``, ``"mV"``, ``"mAh"``.

    Raises
    ------
    ValueError
        An unknown unit.

    Examples
    --------
    >>> CyclerUnits(current="mA").of("current"), CyclerUnits().of("current") is None
    ('mA', True)
    >>> CyclerUnits(time="days")
    Traceback (most recent call last):
    ...
    ValueError: unit of the time 'days'; known are ms, s, sec, min, h, hr
    """

    time: str | None = None
    current: str | None = None
    voltage: str | None = None
    charge: str | None = None

    def __post_init__(self) -> None:
        for kind in _FACTORS:
            unit = self.of(kind)
            if unit is not None and unit_factor(unit, kind) is None:
                known = ", ".join(_FACTORS[kind])
                raise ValueError(f"unit of the {kind} {unit!r}; known are {known}")

    def of(self, kind: Kind) -> str | None:
        """Return the unit stated for a kind of column."""
        units: dict[Kind, str | None] = {
            "time": self.time,
            "current": self.current,
            "voltage": self.voltage,
            "charge": self.charge,
        }
        return units[kind]


def split_heading(heading: str) -> tuple[str, str]:
    """Return name (lower case, single spaces) and unit of a heading.

    Examples
    --------
    >>> split_heading("Test Time / s"), split_heading("Test_Time(s)"), split_heading("~Time[s]")
    (('test time', 's'), ('test time', 's'), ('time', 's'))
    >>> split_heading("control/V/mA"), split_heading("(Q-Qo)/mA.h"), split_heading("Capacity")
    (('control/v', 'mA'), ('(q-qo)', 'mA.h'), ('capacity', ''))
    """
    match = _HEADING.fullmatch(heading.strip())
    if match is None:
        return heading.strip().lower(), ""
    unit = next((part for part in match.groups()[1:] if part is not None), "")
    return " ".join(match[1].lower().replace("_", " ").split()), unit.strip()


def unit_factor(unit: str, kind: Kind) -> float | None:
    """Return what turns a unit into s, A, V or mAh; ``None`` for an unknown unit.

    Examples
    --------
    >>> unit_factor("mA", "current"), unit_factor("A.h", "charge"), unit_factor("kg", "time")
    (0.001, 1000.0, None)
    """
    plain = unit.lower().replace(".", "").replace("µ", "u").replace("μ", "u").strip()
    return _FACTORS[kind].get(plain)
