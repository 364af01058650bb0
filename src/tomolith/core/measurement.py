"""A number with its unit, its region and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from tomolith.core.provenance import Provenance


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
    uncertainty
        Half width of the 95 % interval in the same unit; ``None`` where no
        uncertainty was estimated.
    provenance
        What made it.

    Examples
    --------
    >>> Measurement("volume", 12.5, "um3", region="scan-0/dendrite").value
    12.5
    """

    name: str
    value: float | int | None
    unit: str
    region: str = ""
    uncertainty: float | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance("unknown"))
