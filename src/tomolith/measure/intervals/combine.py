"""Several sources, one interval for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tomolith.core import Interval
from tomolith.measure.intervals.held_out_units import Floats
from tomolith.measure.intervals.propagate import clipped


@dataclass(frozen=True, slots=True)
class SourceInterval:
    """What one source says of all classes of a scan, in voxels.

    Parameters
    ----------
    words
        What it means.
    centre, half
        (K,): the middle of each interval, and half of its width.
    is_whole
        Whether it was held against labels of several scans or places, and so holds all that is
        wrong with a volume; else it is one cause among others.
    """

    words: str
    centre: Floats
    half: Floats
    is_whole: bool = False


def combine(
    names: Sequence[str], counted: Floats, sources: Sequence[SourceInterval]
) -> Mapping[str, Interval]:
    """Return one 95 % interval per class, in voxels.

    A source that was held against labels stands for all errors: of such the mean counts, of the
    middles and of the half widths, as if their errors went wholly together. Without one, the others
    are causes of their own, and their half widths add in quadrature about the counted number; how
    far a source's own middle is from it counts as a half width too.

    Parameters
    ----------
    names, counted
        The classes, and (K,) their voxels in the label map.
    sources
        What there is; nothing gives nothing.

    Examples
    --------
    >>> counted = np.array([9.0, 91.0])
    >>> shift = SourceInterval("half a voxel", counted, np.array([3.0, 3.0]))
    >>> spread = SourceInterval("spread", counted, np.array([4.0, 4.0]))
    >>> combine(["a", "b"], counted, [shift, spread])["a"]
    Interval(low=4.0, high=14.0, method='half a voxel; spread')
    >>> held = SourceInterval("labels", np.array([11.0, 89.0]), np.array([1.0, 1.0]), is_whole=True)
    >>> combine(["a", "b"], counted, [shift, held])["a"]
    Interval(low=10.0, high=12.0, method='labels')
    """
    if not sources:
        return MappingProxyType({})
    n_voxels = float(counted.sum())
    whole = [s for s in sources if s.is_whole]
    found = {}
    for c, name in enumerate(names):
        if whole:
            middle = float(np.mean([s.centre[c] for s in whole]))
            half = float(np.mean([s.half[c] for s in whole]))
            words = "; ".join(s.words for s in whole)
        else:
            middle, words = float(counted[c]), "; ".join(s.words for s in sources)
            square = sum(
                float(s.half[c]) ** 2 + (float(s.centre[c]) - middle) ** 2 for s in sources
            )
            half = float(np.sqrt(square))
        found[name] = clipped(Interval(middle - half, middle + half, words), 0.0, n_voxels)
    return MappingProxyType(found)
