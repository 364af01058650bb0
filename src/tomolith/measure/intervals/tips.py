"""How far the tips of dendrites may be wrong: in held-out slices, truth against prediction.

Which voxels of dendrite a network finds says little of how high dendrites stand: it may lose half
of them at their borders and find every tip. So tips are compared with tips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from scipy import stats

from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.quantities.dendrite_pieces import DENDRITE

_FEWEST_SCANS = 5  # from so many on scans are compared, else places of scans
_AXES = "zyx"
_MISSED = "missed dendrites are not in it"


@dataclass(frozen=True, slots=True)
class Tips:
    """What held-out slices tell of the tips of dendrites.

    Parameters
    ----------
    half_vox
        Half of the 95 % interval of a tip, in voxels across the cell; ``None`` where they cannot
        tell.
    words
        What it means, or that missed dendrites are not known.
    """

    half_vox: float | None = None
    words: str = _MISSED


def find_tips(record: HeldOut | None, *, axis: int, plating_high: bool) -> Tips:
    """Return how far the tip of a scan's tallest dendrite may lie from where it was found.

    In each unit, a scan or a run of neighbouring slices, the highest dendrite of the truth is
    compared with the highest of the prediction; where the one has none, with the foot of the other.
    The half width is Student's t of the units' spread, as one more unit would differ, and their
    mean in quadrature: it is laid around the number that was found.

    Parameters
    ----------
    record
        The held-out slices; ``None`` where there are none.
    axis
        Across the cell: 0, 1 or 2 for z, y, x. Held-out slices lie across z, and do not show
        heights along it.
    plating_high
        Whether dendrites grow from large indices towards small ones.

    Notes
    -----
    Source: prediction interval of a normal sample, Hahn and Meeker, Statistical Intervals (1991),
    section 4.7.

    Examples
    --------
    >>> reaches = [(20, 40, 20 + e, 40) for e in (0, 1, 2)]  # the tip was found too low by e
    >>> slices = [HeldOutSlice("a", 3 * i, ((9, 0), (1, 3)), reach=(r, r))
    ...           for i, r in enumerate(reaches)]
    >>> record = HeldOut("unet", "test", ("background", "dendrite"), tuple(slices))
    >>> found = find_tips(record, axis=1, plating_high=True)
    >>> round(found.half_vox, 2)  # hypot(1, 4.303 · 1 · sqrt(4/3))
    5.07
    >>> found.words
    'tips of dendrites in 3 held-out slices of 1 scan, which find 75 % of dendrite voxels'
    """
    if record is None or DENDRITE not in record.classes:
        return Tips()
    found = _found_frac(record)
    which = "" if found is None else f", which find {100 * found:.0f} % of dendrite voxels"
    n_scans = len({s.scan for s in record.slices})
    slices = f"{len(record.slices)} held-out slices of {n_scans} scan{'s' * (n_scans > 1)}{which}"
    misses = [] if axis == 0 else list(_misses(record.slices, axis - 1, plating_high))
    n = len(misses)
    if n < 2:
        why = f"heights along {_AXES[axis]} do not show in them" if axis == 0 else "too few"
        return Tips(None, f"{_MISSED} ({slices}: {why})")
    arm = float(stats.t.ppf(0.975, n - 1)) * float(np.std(misses, ddof=1)) * math.sqrt(1 + 1 / n)
    return Tips(math.hypot(float(np.mean(misses)), arm), f"tips of dendrites in {slices}")


def _found_frac(record: HeldOut) -> float | None:
    """Return the share of true voxels of dendrite that were found; ``None`` of no voxel."""
    i = record.classes.index(DENDRITE)
    true = sum(sum(s.counts[i]) for s in record.slices)
    return sum(s.counts[i][i] for s in record.slices) / true if true else None


def _misses(slices: Sequence[HeldOutSlice], axis: int, plating_high: bool) -> Iterator[float]:
    """Yield by how many voxels the tip of each unit was found too low."""
    known = [s for s in slices if s.reach]
    for unit in _units(known):
        true, seen = (
            [r[i : i + 2] for r in (s.reach[axis] for s in unit) if r[i] >= 0] for i in (0, 2)
        )
        if not true and not seen:
            continue
        if plating_high:
            foot = max(stop for _, stop in (*true, *seen))
            tip, found = (min((start for start, _ in r), default=foot) for r in (true, seen))
            yield found - tip
        else:
            foot = min(start for start, _ in (*true, *seen))
            tip, found = (max((stop for _, stop in r), default=foot) for r in (true, seen))
            yield tip - found


def _units(slices: Sequence[HeldOutSlice]) -> list[list[HeldOutSlice]]:
    """Return the scans, or, where they are few, the runs of neighbouring slices."""
    by_scan = [list(group) for _, group in groupby(slices, key=lambda s: s.scan)]
    if len(by_scan) >= _FEWEST_SCANS:
        return by_scan
    runs = groupby(enumerate(slices), key=lambda pair: (pair[1].scan, pair[1].z - pair[0]))
    return [[s for _, s in run] for _, run in runs]
