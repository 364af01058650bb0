"""How each measured number inherits the intervals of the class volumes.

Numbers that no rule knows get none; their quantity says why (``no_interval``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tomolith.core import Interval
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.combine import Source, combine
from tomolith.measure.intervals.made_up import MadeUp
from tomolith.measure.intervals.propagate import clipped, part_of
from tomolith.measure.intervals.tips import Tips
from tomolith.measure.quantities.dead_li import MADE_UP, TOO_SMALL
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import ALL_LI, GROWN, electrode_part

_ACROSS_TILT = "thickness_across_tilt"
_OF_CLASS = (
    "voxel_count",
    "volume",
    "share",
    "effective_thickness",
    _ACROSS_TILT,
    "li_volume",
)
_BY_SIDE = ("voxel_count_by_side", "volume_by_side", "share_by_side")
_OF_TWO_FACES = ("gap", "cell_thickness", "local_thickness", "void_depth")
DEAD_LI = "dead_li_volume"
OF_VOIDS = ("void_map_share", "contact_area")
_OF_TIPS = ("dendrite_height", "smallest_gap")
_OF_PLACES = ("plan_coverage", "pit_filling", "unfilled_pits")
"""Where a class lies, of which held-out labels say nothing: a network may find as much of it as
there is, and elsewhere."""
_ELECTRODES = (electrode_part(STRIPPING), electrode_part(PLATING))
_FACES = "faces of voxels have 1 to sqrt(3) times the area of the smooth border"
_BORDER = "half-voxel boundary shift of each face"
FACE_OWN_SHARE = 1 / 2
"""How much of the shift of two faces a scan has by itself, of the voxel that it may be.

Of two scans of one simulated cell, as a small network segments them, the gap lay apart by 0.32
voxel and the thickness of the cell by 0.07 (rms of 40 pairs in 20 cells).
"""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What is known of one scan.

    Parameters
    ----------
    strata
        The classes, the electrode parted by sides.
    sources
        Where intervals come from; nothing gives none.
    values
        The numbers measured, by quantity and part.
    voxel_um
        Voxel size across the cell; ``None`` where it is unknown.
    voxel_um3
        Volume of a voxel.
    smallest_piece
        Below so many voxels, resolution cannot tell whether a piece is dead.
    tips
        What held-out slices tell of the tips of dendrites.
    made_up
        What held-out slices tell of labels that are wrong.
    """

    strata: Strata
    sources: Sequence[Source]
    values: Mapping[tuple[str, str], float]
    voxel_um: float | None = None
    voxel_um3: float = 0.0
    smallest_piece: int = 0
    tips: Tips = field(default_factory=Tips)
    made_up: MadeUp = field(default_factory=MadeUp)

    def value(self, quantity: str, part: str) -> float:
        """Return a measured number, 0 where there is none."""
        return self.values.get((quantity, part), 0.0)

    def count(self, name: str) -> float:
        """Return the voxels counted of a class."""
        return self.value("voxel_count", name)

    def interval(self, weights: Mapping[str, float]) -> Interval | None:
        """Return the interval of a sum of classes, or of an electrode of one side."""
        both = dict.fromkeys(_ELECTRODES, weights["electrode"]) if "electrode" in weights else {}
        combination = self.strata.combine({**weights, **both})
        return combine(combination, self.strata.counted, self.sources)


def interval_of(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Return the 95 % interval of a number, in its unit; ``None`` where no rule gives one.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.measure.intervals.boundary import Boundary
    >>> counted = np.array([90.0, 10.0])
    >>> shift = Boundary(counted, np.array([[0.0, 3.0], [3.0, 0.0]]))
    >>> scan = Scan(Strata(("background", "pit"), counted), [shift],
    ...             {("voxel_count", "pit"): 10.0, ("volume", "pit"): 20.0})
    >>> interval_of("volume", "pit", scan)
    Interval(low=14.0, high=26.0, method='half-voxel boundary shift')
    >>> interval_of("dendrite_number", "dendrite", scan) is None
    True
    """
    if quantity in _OF_CLASS:
        found = _of_class(quantity, part, scan)
        if found and quantity == _ACROSS_TILT:
            return replace(found, method=f"{found.method}; the tilt as found")
        return clipped(found, 0.0, 100.0) if found and quantity == "share" else found
    if quantity in _BY_SIDE:
        name, _, side = part.partition(", ")
        return _of_part(quantity, part, name, scan) if side else None
    if quantity in _OF_PLACES:
        return _of_places(quantity, part, scan)
    if quantity == "boundary_volume":
        value = scan.value(quantity, part)
        return Interval(value / math.sqrt(3), value, _FACES) if scan.sources else None
    return _of_length(quantity, part, scan)


def of_voids(found: Interval, quantity: str, scan: Scan) -> Interval:
    """Return the interval of what lies over voids or in contact, as much of it as there may be.

    ``found`` says what half a voxel at the faces of a void changes; but redeposited Li itself may
    be less than was found, or more.
    """
    n, of_class = scan.count("redeposited"), scan.interval({"redeposited": 1.0})
    if not n or of_class is None:
        return found
    low = found.low * min(max(of_class.low / n, 0.0), 1.0)
    high = found.high * max(of_class.high / n, 1.0)
    wider = Interval(low, high, f"{found.method}; redeposited Li: {of_class.method}")
    return clipped(wider, 0.0, 1.0) if quantity == OF_VOIDS[0] else wider


def of_dead_li(found: Interval, part: str, scan: Scan) -> Interval:
    """Return the interval of dead Li, as much of its class as there may be.

    ``found`` says what would be dead if links were missed, or made up, as far as resolution cannot
    tell. In the worst case all voxels that are wrongly of the class lie in dead pieces: so many are
    taken from the lower end. One piece that is too small to be told may always be dead.
    """
    if part.endswith(TOO_SMALL):
        return found  # they are themselves what resolution cannot tell
    names = [part] if part in scan.strata.classes else [n for s in GROWN.values() for n in s]
    n = sum(scan.count(name) for name in names)
    of_class = scan.interval(dict.fromkeys(names, 1.0)) if n else None
    low, high, words = found.low, found.high, found.method
    made_up = scan.made_up.share(names)
    if made_up is not None:
        low = max(low - made_up * n * scan.voxel_um3, 0.0)
        known = f"{100 * made_up:.0f} % of the labels may be wrong ({scan.made_up.words})"
        words = words.replace(MADE_UP, known)
    if of_class is not None:
        low *= min(max(of_class.low / n, 0.0), 1.0)
        high *= max(of_class.high / n, 1.0)
        words += f"; its class: {of_class.method}"
    least = scan.value(DEAD_LI, part) + scan.smallest_piece * scan.voxel_um3
    return Interval(low, max(high, least), words)


def _of_class(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Of a class, an electrode, a side with all its Li, or all Li: one sum, not several.

    Borders between its classes, and what is taken for another of them, cancel.
    """
    if part in (*scan.strata.classes, *_ELECTRODES):
        names = [part]
    else:
        sides = [s for s in GROWN if part in (f"{s}, all Li", f"all Li, {s}", ALL_LI)]
        names = [n for s in sides for n in (electrode_part(s), *GROWN[s])]
    there = {*scan.strata.classes, *scan.strata.names}
    weights = {n: _worth(quantity, n, scan) for n in names if n in there}
    known = {n: w for n, w in weights.items() if w is not None}
    return scan.interval(known) if known and len(known) == len(weights) else None


def _worth(quantity: str, name: str, scan: Scan) -> float | None:
    """Return what one voxel of a class is worth; of an absent one, as much as of the densest."""
    of_class = "electrode" if name in _ELECTRODES else name
    worth = {
        other: scan.value(quantity, other) / scan.count(other)
        for other in scan.strata.classes
        if scan.count(other) and (quantity, other) in scan.values
    }
    sides = [scan.values.get((quantity, n)) for n in _ELECTRODES]
    if scan.count("electrode") and None not in sides:
        worth["electrode"] = sum(s for s in sides if s is not None) / scan.count("electrode")
    return worth.get(of_class, max(worth.values(), default=None))


def _of_part(quantity: str, part: str, name: str, scan: Scan) -> Interval | None:
    """Of a part of a class: its errors are spread as the class is."""
    n = scan.count(name)
    if name not in scan.strata.classes or not n:
        return None
    if part in _ELECTRODES:
        return _of_class(quantity, part, scan)
    return scan.interval({name: scan.value(quantity, part) / n})


def _of_places(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Of where a class lies: no narrower than by its borders, whatever labels say of its volume."""
    found = _from_volumes(quantity, part, scan)
    borders = [source for source in scan.sources if not source.is_whole]
    if found is None or not borders or len(borders) == len(scan.sources):
        return found
    other = _from_volumes(quantity, part, replace(scan, sources=borders))
    if other is None or (found.low <= other.low and other.high <= found.high):
        return found
    words = f"{found.method}; no narrower than by {other.method}"
    return Interval(min(found.low, other.low), max(found.high, other.high), words)


def _from_volumes(quantity: str, part: str, scan: Scan) -> Interval | None:
    if quantity == "plan_coverage":
        found = _of_part(quantity, part, part, scan)
        return found and clipped(found, 0.0, 1.0)
    return _pits(quantity, scan)


def _pits(quantity: str, scan: Scan) -> Interval | None:
    if not {"redeposited", "pit"} <= set(scan.strata.classes):
        return None
    if not (scan.count("redeposited") and scan.count("pit")):
        return None  # nothing tells how much of what was not found may be there
    filled, empty = scan.interval({"redeposited": 1.0}), scan.interval({"pit": 1.0})
    if filled is None or empty is None:
        return None
    return part_of(filled, empty) if quantity == "pit_filling" else part_of(empty, filled)


def _of_length(quantity: str, part: str, scan: Scan) -> Interval | None:
    """Of a length: each face it ends at may lie half a voxel further."""
    if scan.voxel_um is None or not scan.sources:
        return None
    value, one = scan.value(quantity, part), scan.voxel_um
    if quantity == "position":
        return Interval(value - one / 2, value + one / 2, _BORDER)
    if quantity == "roughness":  # a root mean square moves by no more than that of what is added
        return clipped(Interval(value - one / 2, value + one / 2, _BORDER), 0.0)
    if quantity in _OF_TWO_FACES:
        shared = {_BORDER: (one * math.sqrt(1 - FACE_OWN_SHARE**2),)}
        return clipped(Interval(value - one, value + one, _BORDER, shared), 0.0)
    if quantity in _OF_TIPS:
        half = math.hypot(one, (scan.tips.half_vox or 0.0) * one)
        return clipped(Interval(value - half, value + half, _of_tips(scan)), 0.0)
    if quantity == "penetration_frac":
        return _penetration(value, scan)
    return None


def _penetration(value: float, scan: Scan) -> Interval | None:
    gap = scan.value("gap", "electrodes")
    if not gap or scan.voxel_um is None:
        return None
    missed, own = scan.tips.half_vox or 0.0, math.hypot(1.0, value)  # of the height, and of the gap
    half = scan.voxel_um / gap * math.hypot(missed, own)
    return clipped(Interval(value - half, value + half, _of_tips(scan)), 0.0, 1.0)


def _of_tips(scan: Scan) -> str:
    return f"{_BORDER}; {scan.tips.words}"
