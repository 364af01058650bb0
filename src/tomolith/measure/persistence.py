"""Whether Li grows again where it grew before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from tomolith.core import Measurement, Provenance
from tomolith.measure.colocalisation import PLATED, REGROWN, check_same_plan
from tomolith.measure.plan_maps import PlanMaps

_HOW = "columns of the plan that hold the class"
Sites = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """How far the sites of two scans agree.

    Parameters
    ----------
    n_early, n_late, n_both, n_all
        Columns occupied early, late, at both times, and columns of the plan.
    n_shifts_as_good
        Of all shifts of one map against the other, around the edges, those that overlap at least as
        much; the true place, no shift, is one of them.
    """

    n_early: int
    n_late: int
    n_both: int
    n_all: int
    n_shifts_as_good: int

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
    def share_by_chance(self) -> float:
        """What :attr:`share` would be if late sites were laid at random: the late coverage."""
        return self.n_late / self.n_all

    @property
    def p(self) -> float:
        """Share of all shifts that overlap at least as much."""
        return self.n_shifts_as_good / self.n_all


def overlap(early: npt.NDArray[Any], late: npt.NDArray[Any]) -> Overlap:
    """Compare two maps of sites of the same shape; all shifts at once, by FFT.

    Shifting one map keeps the pattern of both, so the chance so found respects that sites come in
    patches.

    Examples
    --------
    >>> early = np.array([[1, 1, 0, 0, 0, 0, 0, 0]], bool)
    >>> found = overlap(early, np.roll(early, 1))
    >>> found.jaccard, found.share, found.share_by_chance, found.p
    (0.3333333333333333, 0.5, 0.25, 0.375)
    """
    early, late = early.astype(np.bool_), late.astype(np.bool_)
    n_both = int(np.count_nonzero(early & late))
    a, b = (fft.rfft2(sites.astype(np.float64)) for sites in (early, late))
    products = fft.irfft2(a * b.conj(), early.shape)
    as_good = int(np.count_nonzero(np.rint(products) >= n_both))
    n = [int(np.count_nonzero(sites)) for sites in (early, late)]
    return Overlap(n[0], n[1], n_both, early.size, as_good)


def persistence(
    maps_by_scan: Mapping[str, PlanMaps],
    *,
    classes: Sequence[str] = (*PLATED, *REGROWN),
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
        Share of all shifts of one map against the other that overlap at least as much.

    Parameters
    ----------
    maps_by_scan
        The plan maps of each scan, in the order in which they were taken.
    classes
        Whose sites are followed; those that a schema lacks are left out.
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
    Lotwick and Silverman, J. R. Stat. Soc. B 44, 406 (1982).

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
    return [row for name in classes for row in _of_class(name, maps_by_scan, provenance)]


def _of_class(
    name: str, maps_by_scan: Mapping[str, PlanMaps], provenance: Provenance
) -> Iterator[Measurement]:
    first: tuple[str, Sites] | None = None
    for scan, maps in maps_by_scan.items():
        if name not in maps.schema.names:
            return
        sites = maps.count(name) > 0
        if first is not None:
            found, region = overlap(first[1], sites), f"{scan}/{name} since {first[0]}"
            for what in ("jaccard", "dice", "share", "share_by_chance", "p"):
                value = getattr(found, what)
                yield Measurement(f"persistence_{what}", value, "1", region, None, provenance, _HOW)
        elif sites.any():
            first = scan, sites
