"""Several sources, one interval for each sum of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tomolith.core import Interval
from tomolith.measure.intervals.combination import Combination
from tomolith.measure.intervals.held_out_units import Floats
from tomolith.measure.intervals.propagate import clipped


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What one source says of one sum of classes.

    Parameters
    ----------
    centre
        Middle of its interval.
    own
        Half width of what only this scan has.
    shared
        Half widths, signed, of what all scans have that are judged by the same source: one for each
        independent way to err.
    """

    centre: float
    own: float
    shared: Floats

    @property
    def half(self) -> float:
        """Half of the width."""
        return float(np.hypot(self.own, np.linalg.norm(self.shared)))


class Source(Protocol):
    """Where an interval comes from."""

    @property
    def words(self) -> str:
        """What it means."""

    @property
    def is_whole(self) -> bool:
        """Whether it was held against labels of several scans or places.

        It then holds all that is wrong with a volume; else it is one cause among others.
        """

    def of(self, combination: Combination) -> Estimate:
        """Return what it says of a sum of classes, in the unit of its worth."""


def combine(
    combination: Combination, counted: Floats, sources: Sequence[Source]
) -> Interval | None:
    """Return the 95 % interval of a sum of classes.

    A source that was held against labels stands for all errors: of such the mean counts, of the
    middles and of the half widths, as if their errors went wholly together. Without one, the others
    are causes of their own, and their half widths add in quadrature about the counted number; how
    far a source's own middle is from it counts as a half width too, which scans share.

    Parameters
    ----------
    combination
        The sum.
    counted
        (K,), voxels of each class in the label map.
    sources
        What there is; nothing gives nothing.

    Examples
    --------
    >>> from tomolith.measure.intervals.combination import Strata
    >>> from tomolith.measure.intervals.ensemble import Ensemble
    >>> counted = np.array([9.0, 91.0])
    >>> first = Strata(("a", "b"), counted).combine({"a": 1.0})
    >>> both = Ensemble(np.array([[8.0, 92.0], [10.0, 90.0]]))
    >>> combine(first, counted, [both]).method
    'spread of 2 trainings'
    """
    if not sources:
        return None
    whole = [s for s in sources if s.is_whole]
    found = [(s, s.of(combination)) for s in whole or sources]
    words = "; ".join(s.words for s, _ in found)
    shared: dict[str, tuple[float, ...]] = {}
    if whole:
        middle = float(np.mean([e.centre for _, e in found]))
        half = float(np.mean([e.half for _, e in found]))
        shared = {
            s.words: tuple((e.shared / len(found)).tolist()) for s, e in found if e.shared.size
        }
    else:
        middle = float(combination.by_class @ counted)
        offsets = [e.centre - middle for _, e in found]
        half = float(np.linalg.norm([*(e.half for _, e in found), *offsets]))
        for (s, e), offset in zip(found, offsets, strict=True):
            shared[s.words] = (*e.shared.tolist(), offset)
    ends = sorted(float(f(combination.worth)) * counted.sum() for f in (np.min, np.max))
    return clipped(Interval(middle - half, middle + half, words, shared), *ends)
