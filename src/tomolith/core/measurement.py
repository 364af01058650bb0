"""A number with its unit, its interval, its region and where it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tomolith.core.provenance import Provenance
from tomolith.errors import InputError


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95 % interval of a number, in the number's unit.

    Parameters
    ----------
    low, high
        Its ends; finite, ``low`` not above ``high``. They need not lie alike around the number,
        nor hold it: a corrected interval says that the number is biased.
    method
        In words, what was thought to be uncertain: ``"half-voxel boundary shift"``.
    shared
        Errors that other numbers of the same cell have too, by their cause: signed half widths,
        one for each independent way to err. In a difference those of the same cause cancel as far
        as they are alike. They are no part of tables.
    free
        The ends before they were clipped to what is possible, such as a volume of at least 0;
        ``None`` where they were not. What is worked out from the interval goes on with these:
        within them, and not within what is left, lie the shared errors. They are no part of tables.

    Raises
    ------
    InputError
        An end is not finite, or the ends are swapped.

    Examples
    --------
    >>> Interval(8.0, 12.0, "half-voxel boundary shift").half_width
    2.0
    >>> found = Interval(0.0, 3.0, "half-voxel boundary shift", free=(-1.0, 3.0))
    >>> found.half_width, found.centre, found.arm
    (1.5, 1.0, 2.0)
    """

    low: float
    high: float
    method: str
    shared: Mapping[str, tuple[float, ...]] = field(default_factory=dict, compare=False, repr=False)
    free: tuple[float, float] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InputError(
                f"an interval from {self.low} to {self.high}",
                expected="finite ends, the lower one first",
            )

    @property
    def half_width(self) -> float:
        """Half of the width."""
        return (self.high - self.low) / 2

    @property
    def centre(self) -> float:
        """Middle of the ends before they were clipped."""
        low, high = self.free or (self.low, self.high)
        return (low + high) / 2

    @property
    def arm(self) -> float:
        """Half of the width before it was clipped."""
        low, high = self.free or (self.low, self.high)
        return (high - low) / 2


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number that a step found.

    Parameters
    ----------
    name
        Name of the quantity or metric.
    value
        The number; ``None`` where it does not exist (an absent class), never a
        made-up 0 or 1.
    unit
        Unit as a string (``"um3"``, ``"1"``, ``"percent"``, ``"voxels"``).
    region
        What it was measured on: the scan, and the class after a slash.
    interval
        The 95 % interval and what it means; ``None`` where none was estimated.
    provenance
        What made it.
    method
        In words, how it was found, or why it could not be; empty for what was counted in voxels.

    Examples
    --------
    >>> Measurement("volume", 12.5, "um3", region="scan-0/dendrite").value
    12.5
    """

    name: str
    value: float | int | None
    unit: str
    region: str = ""
    interval: Interval | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance("unknown"))
    method: str = ""
