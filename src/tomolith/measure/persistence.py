"""Whether Li grows again where it grew before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from tomolith.core import Measurement, Provenance
from tomolith.measure.colocalisation import PLATED, REGROWN, check_same_plan
from tomolith.measure.intervals.overlap import Doubt, SiteBounds
from tomolith.measure.plan_maps import PlanMaps

_HOW = "columns of the plan that hold the class"
Sites = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far the sites of two scans agree.

    Parameters
    ----------
    n_early, n_late, n_both, n_all
        Columns occupied early, late, at both times, and columns that are known.
    n_shifts_as_good, n_shifts
        Of the shifts of one map against the other, around the edges, those that overlap at least as
        much, and all that were looked at; the true place, no shift, is one of them.
    """

    n_early: int
    n_late: int
    n_both: int
    n_all: int
    n_shifts_as_good: int
    n_shifts: int

    @property
    def n_places(self) -> tuple[int, int, int, int]:
        """Columns occupied at neither time, only early, only late, and at both."""
        only_early, only_late = self.n_early - self.n_both, self.n_late - self.n_both
        return self.n_all - only_early - self.n_late, only_early, only_late, self.n_both

    @property
    def jaccard(self) -> float | None:
        """Intersection over union."""
        union = self.n_early + self.n_late - self.n_both
        return self.n_both / union if union else None

    @property
    def dice(self) -> float | None:
        """Twice the intersection over the sum."""
        total = self.n_early + self.n_late
        return 2 * self.n_both / total if total else None

    @property
    def share(self) -> float | None:
        """Share of the early sites that are occupied late."""
        return self.n_both / self.n_early if self.n_early else None

    @property
    def share_by_chance(self) -> float | None:
        """What :attr:`share` would be if late sites were laid at random: the late coverage."""
        return self.n_late / self.n_all if self.n_all else None

    @property
    def p(self) -> float | None:
        """Share of the shifts that overlap at least as much."""
        return self.n_shifts_as_good / self.n_shifts if self.n_shifts else None


def overlap(early: Sites, late: Sites, known: Sites | None = None) -> Overlap:
    """Compare two maps of sites of the same shape; all shifts at once, by FFT.

    Shifting one map keeps the pattern of both, so the chance so found respects that sites come in
    patches. Where only some columns are known, a shift leaves ``n`` early sites over known ones.
    What it overlaps beyond the late coverage of these is then divided by √n, for by chance that
    grows as √n, and shifts that leave fewer than half of the sites are not looked at.

    Parameters
    ----------
    early, late
        Which columns are occupied, shape (n_u, n_v).
    known
        Which columns count; ``None``: all.

    Examples
    --------
    >>> early = np.array([[1, 1, 0, 0, 0, 0, 0, 0]], bool)
    >>> found = overlap(early, np.roll(early, 1))
    >>> found.jaccard, found.share, found.share_by_chance, found.p
    (0.3333333333333333, 0.5, 0.25, 0.375)
    """
    here = np.ones(early.shape, np.bool_) if known is None else known
    early, late = early & here, late & here
    n_early, n_late, n_both, n_all = (
        int(np.count_nonzero(sites)) for sites in (early, late, early & late, here)
    )
    both = _at_all_shifts(early, late)
    seen = np.full_like(both, n_early) if n_all == here.size else _at_all_shifts(early, here)
    looked_at = 2 * seen >= n_early if n_all else np.zeros_like(here)
    beyond = both - seen * (n_late / max(n_all, 1))
    beyond /= np.sqrt(np.maximum(seen, 1))
    as_good = looked_at & (beyond >= beyond[0, 0])
    n_as_good, n_shifts = int(np.count_nonzero(as_good)), int(np.count_nonzero(looked_at))
    return Overlap(n_early, n_late, n_both, n_all, n_as_good, n_shifts)


def _at_all_shifts(a: Sites, b: Sites) -> npt.NDArray[np.int64]:
    """Return how many columns both have, ``b`` shifted against ``a`` around the edges."""
    first, second = (fft.rfft2(sites.astype(np.float64)) for sites in (a, b))
    found: npt.NDArray[np.int64] = np.rint(fft.irfft2(first * second.conj(), a.shape)).astype(int)
    return found


def persistence(
    maps_by_scan: Mapping[str, PlanMaps],
    *,
    classes: Sequence[str] = (*PLATED, *REGROWN),
    coverage: Mapping[str, Measurement] | None = None,
    provenance: Provenance,
) -> list[Measurement]:
    """Follow the sites of each class from the first scan that shows it.

    For each class and each later scan, part ``<class> since <first scan>``:

    ``persistence_jaccard``, ``persistence_dice``
        Overlap of the columns that the class occupies in the first scan that shows it and in this.
    ``persistence_share``
        Share of the early columns that are occupied in this scan.
    ``persistence_share_by_chance``
        The same, were this scan's columns laid at random: their share of the plan.
    ``persistence_p``
        Share of the shifts of one map against the other that overlap at least as much (see
        :func:`overlap`).

    Only columns count that hold labels in both scans. The intervals are bounds, see
    :class:`~tomolith.measure.intervals.overlap.SiteBounds`.

    Parameters
    ----------
    maps_by_scan
        The plan maps of each scan, in the order in which they were taken.
    classes
        Whose sites are followed; those that a schema lacks are left out.
    coverage
        ``plan_coverage`` of these scans, by region; what has no interval there has none here.
    provenance
        What is written beside the numbers.

    Returns
    -------
    list of Measurement
        Nothing of a class that no scan but the last shows.

    Raises
    ------
    MismatchError
        The maps of the series differ in shape or voxel size.

    Notes
    -----
    Source: indices of Jaccard (1912) and Dice (1945); shifts around the edges as in the test of
    Lotwick and Silverman, J. R. Stat. Soc. B 44, 406 (1982), with the correction by variance of
    Mrkvička et al., Spat. Stat. 42, 100430 (2021) where not all columns are known.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid, LabelMap, Volume
    >>> from tomolith.measure.plan_maps import plan_maps
    >>> values = np.zeros((2, 1, 2, 4), np.uint8)
    >>> values[0, 0, 0, :2] = values[1, 0, 0, 1:4] = 2
    >>> maps = {
    ...     name: plan_maps(LabelMap(Volume(v, Grid(v.shape, None)), PRESETS["li-operando"]))
    ...     for name, v in zip("ab", values, strict=True)
    ... }
    >>> found = persistence(maps, provenance=Provenance("measure"))
    >>> [(m.name, m.region, m.value) for m in found][0]
    ('persistence_jaccard', 'b/dendrite since a', 0.25)
    """
    check_same_plan(maps_by_scan)
    known = coverage or {}
    return [row for name in classes for row in _of_class(name, maps_by_scan, known, provenance)]


def _of_class(
    name: str,
    maps_by_scan: Mapping[str, PlanMaps],
    coverage: Mapping[str, Measurement],
    provenance: Provenance,
) -> Iterator[Measurement]:
    first: tuple[str, Sites, Sites, Doubt | None] | None = None
    for scan, maps in maps_by_scan.items():
        if name not in maps.schema.names:
            return
        sites, doubt = maps.count(name) > 0, Doubt.of(maps, scan, [name], coverage)
        if first is not None:
            found = overlap(first[1], sites, first[2] & maps.is_analysed)
            bounds = SiteBounds.of(found.n_places, first[3], doubt)
            region = f"{scan}/{name} since {first[0]}"
            for what in ("jaccard", "dice", "share", "share_by_chance", "p"):
                of, value = f"persistence_{what}", getattr(found, what)
                interval = None if value is None else getattr(bounds, what, None)  # p has none
                yield Measurement(of, value, "1", region, interval, provenance, _HOW)
        elif sites.any():
            first = scan, sites, maps.is_analysed, doubt
