"""How far the overlap of two maps of sites may be off, by what their coverages may be off.

The interval of a coverage says how many columns fewer or more a class may hold, but not where they
lie. In the worst case all that are made up were overlapping, or all that were missed overlap. That
gives bounds of the overlap, and of all that is made of it. A network that makes up still more
columns and misses as many elsewhere changes no coverage, and so is not in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tomolith.core import Interval, Measurement
from tomolith.measure.intervals.propagate import clipped
from tomolith.measure.plan_maps import PlanMaps

Ends = tuple[float, float]
_BOUND = "bound: the columns that 'plan_coverage' of either scan may be off by lie where they "
_BEYOND = "change most ({}); beyond these, as many made up as missed elsewhere are not in it"


def joint_coverage(
    plan: PlanMaps, scan: str, names: Sequence[str], coverage: Mapping[str, Measurement]
) -> Interval | None:
    """Return the interval of a joint coverage: the classes may be wrong together.

    It holds the counted coverage, which that of a class, where it is corrected, need not.

    Parameters
    ----------
    plan, scan
        Plan maps, and the name of their scan.
    names
        Classes; those that the schema lacks, and those that were not found, add nothing.
    coverage
        ``plan_coverage``, by region.

    Returns
    -------
    Interval or None
        ``None`` where the coverage of a class was not measured or has none, and where no class was
        found.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Grid
    >>> from tomolith.measure.quantities.frame import Frame
    >>> counts = np.array([[[1, 1, 0, 0]], [[0, 0, 1, 1]]], np.int32)
    >>> plan = PlanMaps(PRESETS["li-binary"], Grid((1, 1, 4), None), Frame.half_depth((1, 1, 4)),
    ...                 counts)
    >>> found = Measurement("plan_coverage", 0.5, "1", "a/lithium", Interval(0.2, 0.4, "x"))
    >>> joint_coverage(plan, "a", ["lithium"], {found.region: found})
    Interval(low=0.2, high=0.5, method='x')
    """
    frac = plan.covered_frac(names)
    parts = [coverage.get(f"{scan}/{name}") for name in names if name in plan.schema.names]
    there = [part for part in parts if part is None or part.value]
    if frac is None or not there:
        return None
    low, high, methods = frac, frac, []
    for part in there:
        if part is None or part.value is None or part.interval is None:
            return None
        low += min(part.interval.low - part.value, 0.0)
        high += max(part.interval.high - part.value, 0.0)
        methods.append(part.interval.method)
    words = "; ".join(dict.fromkeys(methods))
    return clipped(Interval(low, high, words), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Doubt:
    """How many columns fewer or more than counted a class may hold in a scan.

    Where only some columns are looked at, all of them may lie there.

    Parameters
    ----------
    n_fewer, n_more
        Columns.
    method
        What was thought to be uncertain.
    """

    n_fewer: float
    n_more: float
    method: str

    @classmethod
    def of(
        cls, plan: PlanMaps, scan: str, names: Sequence[str], coverage: Mapping[str, Measurement]
    ) -> Doubt | None:
        """Return that of classes together; ``None`` where :func:`joint_coverage` is."""
        found, frac = joint_coverage(plan, scan, names, coverage), plan.covered_frac(names)
        if found is None or frac is None:
            return None
        n = plan.n_analysed
        return cls((frac - found.low) * n, (found.high - frac) * n, found.method)


@dataclass(frozen=True, slots=True)
class _Sites:
    """Columns that hold a class, and how many may be made up or missed."""

    n: int
    n_fewer: float
    n_more: float
    n_all: int

    @property
    def ends(self) -> Ends:
        return max(self.n - self.n_fewer, 0.0), min(self.n + self.n_more, float(self.n_all))

    @property
    def others(self) -> _Sites:
        """The columns that do not hold it."""
        return _Sites(self.n_all - self.n, self.n_more, self.n_fewer, self.n_all)


@dataclass(frozen=True, slots=True)
class SiteBounds:
    """Bounds of how far the sites of two scans agree.

    Parameters
    ----------
    neither, only_early, only_late, both
        Lowest and highest number of columns that hold the class in neither scan, in one, in both.
    early, late
        The same of all columns that hold it early, and late.
    n_all
        Columns that are known in both.
    method
        What the bounds mean.

    Notes
    -----
    Early or late, some columns may be made up (``n_fewer``), others missed (``n_more``). In both
    lie at least those counted there less all that may be made up, and at most those counted there
    and all that may be missed, yet no more than hold the class early or late. Columns of only one
    scan, or of neither, lie alike in both of a class and of what is not that class. Each index
    rises with the columns of both and falls with those of only one: the corners bound it.

    Examples
    --------
    Of 100 columns 30 hold the class early, 40 late, 20 of them in both; late may be 5 more:

    >>> found = SiteBounds.of((50, 10, 20, 20), Doubt(0, 0, "exact"), Doubt(0, 5, "labels"))
    >>> found.both, found.only_early, found.only_late, found.neither
    ((20, 25), (5, 10), (20, 25), (45, 50))
    >>> found.share.low == 20 / 30, found.share.high == 25 / 30
    (True, True)
    """

    neither: Ends
    only_early: Ends
    only_late: Ends
    both: Ends
    early: Ends
    late: Ends
    n_all: int
    method: str

    @classmethod
    def of(
        cls, n_places: Sequence[int], early: Doubt | None, late: Doubt | None
    ) -> SiteBounds | None:
        """Return the bounds of counted columns; ``None`` where a doubt is not known.

        ``n_places`` are the columns of neither scan, only early, only late, both.
        """
        if early is None or late is None:
            return None
        neither, only_early, only_late, both = n_places
        n_all = sum(n_places)
        a = _Sites(only_early + both, early.n_fewer, early.n_more, n_all)
        b = _Sites(only_late + both, late.n_fewer, late.n_more, n_all)
        words = "; ".join(dict.fromkeys((early.method, late.method)))
        return cls(
            _overlap(neither, a.others, b.others),
            _overlap(only_early, a, b.others),
            _overlap(only_late, a.others, b),
            _overlap(both, a, b),
            a.ends,
            b.ends,
            n_all,
            _BOUND + _BEYOND.format(words),
        )

    @property
    def places(self) -> tuple[Interval, ...]:
        """Shares of the columns of neither, only early, only late, both."""
        ends = (self.neither, self.only_early, self.only_late, self.both)
        return tuple(self._interval(low / self.n_all, high / self.n_all) for low, high in ends)

    @property
    def by_chance(self) -> Interval:
        """Share of the columns of both, were they laid at random: the product of the coverages."""
        low, high = (a * b / self.n_all**2 for a, b in zip(self.early, self.late, strict=True))
        return self._interval(low, high)

    @property
    def share(self) -> Interval:
        """Share of the early sites that are occupied late."""
        return self._of_both(1, self.only_early)

    @property
    def jaccard(self) -> Interval:
        """Intersection over union."""
        return self._of_both(1, self.only_early, self.only_late)

    @property
    def dice(self) -> Interval:
        """Twice the intersection over the sum."""
        return self._of_both(2, self.only_early, self.only_late)

    @property
    def share_by_chance(self) -> Interval:
        """The late coverage."""
        return self._interval(*(end / self.n_all for end in self.late))

    def _of_both(self, times: int, *only: Ends) -> Interval:
        low, high = (times * end for end in self.both)
        fewest, most = (sum(ends) for ends in zip(*only, strict=True))
        return self._interval(_part(low, most), _part(high, fewest))

    def _interval(self, low: float, high: float) -> Interval:
        return Interval(low, high, self.method)


def _overlap(n: int, a: _Sites, b: _Sites) -> Ends:
    low, high = n - a.n_fewer - b.n_fewer, n + a.n_more + b.n_more
    return max(low, 0.0), min(high, a.ends[1], b.ends[1])


def _part(part: float, rest: float) -> float:
    return part / (part + rest) if part else 0.0
