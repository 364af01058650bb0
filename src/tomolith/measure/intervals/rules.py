"""How each measured number inherits the intervals of the class volumes.

Numbers that no rule knows (roughness, branching, correlation, ...) get none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tomolith.core import Interval
from tomolith.measure.intervals.propagate import clipped, part_of, scaled, total
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import ALL_LI, GROWN, electrode_part

_OF_CLASS = ("voxel_count", "volume", "share", "effective_thickness", "li_volume")
_BY_SIDE = ("voxel_count_by_side", "volume_by_side", "share_by_side")
_OF_ONE_FACE = ("position",)
_OF_TWO_FACES = (
    "gap",
    "cell_thickness",
    "local_thickness",
    "dendrite_height",
    "smallest_gap",
    "void_depth",
)
_BORDER = "half-voxel boundary shift of each face"


@dataclass(frozen=True, slots=True)
class Scan:
    """What is known of one scan.

    Parameters
    ----------
    classes
        Interval of each class, in voxels.
    values
        The numbers measured, by quantity and part.
    voxel_um
        Voxel size across the cell; ``None`` where it is unknown.
    """

    classes: Mapping[str, Interval]
    values: Mapping[tuple[str, str], float]
    voxel_um: float | None = None

    def value(self, quantity: str, part: str) -> float:
        """Return a measured number, 0 where there is none."""
        return self.values.get((quantity, part), 0.0)

    def count(self, name: str) -> float:
        """Return the voxels counted of a class."""
        return self.value("voxel_count", name)


def interval_of(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Return the 95 % interval of a number, in its unit; ``None`` where no rule gives one.

    Examples
    --------
    >>> scan = Scan({"pit": Interval(8.0, 14.0, "x")},
    ...             {("voxel_count", "pit"): 10.0, ("volume", "pit"): 20.0})
    >>> interval_of("volume", "pit", scan)
    Interval(low=16.0, high=28.0, method='x')
    >>> interval_of("roughness", "pit", scan) is None
    True
    """
    if quantity in _OF_CLASS:
        found = _of_class(quantity, part, scan)
        return clipped(found, 0.0, 100.0) if found and quantity == "share" else found
    if quantity in _BY_SIDE:
        name, _, side = part.partition(", ")
        return _of_part(quantity, part, name, scan) if side else None
    if quantity == "dead_li_volume":
        return _dead(part, scan)
    if quantity == "plan_coverage":
        found = _of_part(quantity, part, part, scan)
        return found and clipped(found, 0.0, 1.0)
    if quantity in ("pit_filling", "unfilled_pits"):
        return _pits(quantity, scan)
    return _of_length(quantity, part, scan)


def _of_class(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Of a class, an electrode, a side with all its Li, or all Li."""
    if part in scan.classes:
        factor = _factor(quantity, part, scan)
        return None if factor is None else scaled(scan.classes[part], factor)
    if part in (electrode_part(STRIPPING), electrode_part(PLATING)):
        return _of_part(quantity, part, "electrode", scan)
    sides = [s for s in GROWN if part in (f"{s}, all Li", f"all Li, {s}", ALL_LI)]
    if not sides:
        return None
    names = [n for s in sides for n in (electrode_part(s), *GROWN[s])]
    known = [_of_class(quantity, n, scan) for n in names if n in scan.classes or n.startswith("el")]
    found = [i for i in known if i is not None]
    return total(found) if len(found) == len(known) else None


def _factor(quantity: str, name: str, scan: Scan) -> float | None:
    """Return what one voxel of a class is worth."""
    n = scan.count(name)
    if n:
        return scan.value(quantity, name) / n
    worth = [
        scan.value(quantity, other) / scan.count(other)
        for other in scan.classes
        if scan.count(other) and (quantity, other) in scan.values
    ]
    return max(worth) if worth else None  # an absent class, as dense as the densest


def _of_part(quantity: str, part: str, name: str, scan: Scan) -> Interval | None:
    """Of a part of a class: its errors are spread as the class is."""
    n = scan.count(name)
    if name not in scan.classes or not n:
        return None
    return scaled(scan.classes[name], scan.value(quantity, part) / n)


def _dead(part: str, scan: Scan) -> Interval | None:
    if part in scan.classes:
        return _of_part("dead_li_volume", part, part, scan)
    if part == ALL_LI:
        grown = [n for side in GROWN.values() for n in side if scan.count(n)]
        known = [_of_part("dead_li_volume", n, n, scan) for n in grown]
        found = [i for i in known if i is not None]
        return total(found) if found and len(found) == len(known) else None
    side = part.partition(",")[0]
    names = [n for n in GROWN.get(side, ()) if n in scan.classes and scan.count(n)]
    if not names:
        return None
    whole = sum(scan.count(n) for n in names)
    factor = scan.value("dead_li_volume", part) / whole
    return scaled(total([scan.classes[n] for n in names]), factor)


def _pits(quantity: str, scan: Scan) -> Interval | None:
    filled, empty = scan.classes.get("redeposited"), scan.classes.get("pit")
    if filled is None or empty is None:
        return None
    return part_of(filled, empty) if quantity == "pit_filling" else part_of(empty, filled)


def _of_length(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Of a length: each face it ends at may lie half a voxel further."""
    if scan.voxel_um is None or not scan.classes:
        return None
    value = scan.value(quantity, part)
    if quantity in _OF_ONE_FACE:
        return Interval(value - scan.voxel_um / 2, value + scan.voxel_um / 2, _BORDER)
    if quantity in _OF_TWO_FACES:
        found = Interval(value - scan.voxel_um, value + scan.voxel_um, _BORDER)
        return clipped(found, 0.0)
    if quantity == "penetration_frac":
        return _penetration(value, scan)
    return None


def _penetration(value: float, scan: Scan) -> Interval | None:
    gap = scan.value("gap", "electrodes")
    if not gap or scan.voxel_um is None:
        return None
    half = scan.voxel_um / gap * math.hypot(1.0, value)  # of the height, and of the gap
    return clipped(Interval(value - half, value + half, _BORDER), 0.0, 1.0)
