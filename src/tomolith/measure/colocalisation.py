"""Which kinds of Li lie above the same places, and whether new Li grows where old Li was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from tomolith.core import Interval, Measurement, Provenance
from tomolith.errors import MismatchError
from tomolith.measure.correlation import Correlation, SpatialMap, correlate
from tomolith.measure.intervals.overlap import Doubt, SiteBounds
from tomolith.measure.plan_maps import PlanMaps
from tomolith.measure.quantities.base import QuantityMap
from tomolith.measure.rows import SERIES

PLATED, REGROWN = ("dendrite", "deposited"), ("redeposited",)
CLASSES = (*PLATED, "pit", *REGROWN)
UNKNOWN = 255
PLACES = ("neither", "only dendrite or deposited", "only redeposited", "both")
GROWTH_PART = "dendrite or deposited, at its most ~ redeposited, last scan"
BY_CHANCE = "both, expected by chance"
_HOW = "plan maps, of classes their thickness; Dutilleul's modified t-test"
_CONSTANT = "a plan map is the same everywhere"
_TOO_FEW = "fewer than four columns are independent"


def colocalisation(
    maps_by_scan: Mapping[str, PlanMaps],
    *,
    names: Sequence[str] = CLASSES,
    coverage: Mapping[str, Measurement] | None = None,
    provenance: Provenance,
) -> list[Measurement]:
    """Correlate any two plan maps, scan by scan, and old growth with new.

    ``pearson``
        Pearson's coefficient of two maps, part ``a ~ b``, with its interval, over the columns that
        hold labels and that both maps know.
    ``pearson_p``
        Chance of it if the maps had nothing to do with each other (Dutilleul's test, see
        :func:`~tomolith.measure.correlation.correlate`).
    ``pearson_n``
        Effective number of independent columns behind both.

    Of a series of two scans or more also, as scan ``series``: the same of Li plated (dendrite and
    deposited) in the scan that holds most of it against redeposited Li in the last scan, and
    ``growth_share``, the shares of :class:`GrowthMap`, whose intervals are bounds, see
    :class:`~tomolith.measure.intervals.overlap.SiteBounds`.

    Parameters
    ----------
    maps_by_scan
        The plan maps of each scan, in the order in which they were taken.
    names
        Classes, whose thickness is correlated, and further maps of :attr:`PlanMaps.others`. Classes
        that a schema lacks are left out.
    coverage
        ``plan_coverage`` of these scans, by region; without its intervals ``growth_share`` has
        none.
    provenance
        What is written beside the numbers.

    Returns
    -------
    list of Measurement
        A value is ``None`` where a map is the same everywhere or not there, ``pearson_p`` also
        where fewer than four columns are independent.

    Raises
    ------
    MismatchError
        The maps of the series differ in shape or voxel size.

    Notes
    -----
    Source: Pearson maps of Huang et al., npj Comput. Mater. 9, 93 (2023); the test is of Dutilleul,
    Biometrics 49, 305 (1993).

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid, LabelMap, Volume
    >>> from tomolith.measure.plan_maps import plan_maps
    >>> values = np.zeros((8, 6, 8), np.uint8)
    >>> values[:4, 2], values[:4, 3] = 2, 4
    >>> labels = LabelMap(Volume(values, Grid((8, 6, 8), (1.0,) * 3)), PRESETS["li-operando"])
    >>> found = colocalisation({"a": plan_maps(labels)}, provenance=Provenance("measure"))
    >>> found[0].name, found[0].region, found[0].value
    ('pearson', 'a/dendrite ~ deposited', 1.0)
    """
    check_same_plan(maps_by_scan)
    found: list[Measurement] = []
    for scan, maps in maps_by_scan.items():
        drawn = _Drawn(maps)
        wanted = [n for n in names if n not in CLASSES or n in maps.schema.names]
        for a, b in combinations(wanted, 2):
            found += _rows(*drawn.correlation(a, b), f"{scan}/{a} ~ {b}", provenance)
    growth = growth_scans(maps_by_scan)
    if growth is not None:
        half, full = (maps_by_scan[scan] for scan in growth)
        known = half.is_analysed & full.is_analysed
        old, new = (
            SpatialMap(np.sum([m.count(name) for name in kinds], axis=0), _pixel(m), known)
            for m, kinds in ((half, PLATED), (full, REGROWN))
        )
        found += _rows(correlate(old, new), _CONSTANT, f"{SERIES}/{GROWTH_PART}", provenance)
        places = growth_map(maps_by_scan)
        doubts = [
            Doubt.of(m, scan, kinds, coverage or {})
            for m, scan, kinds in ((half, growth[0], PLATED), (full, growth[1], REGROWN))
        ]
        found += places.rows(provenance, *doubts) if places else []
    return found


def _rows(
    of: Correlation | None, why_not: str, region: str, provenance: Provenance
) -> Iterator[Measurement]:
    r, p, n = (of.r, of.p, of.n_effective) if of else (None, None, None)
    interval, how = (of.interval, _HOW) if of else (None, why_not)
    yield Measurement("pearson", r, "1", region, interval, provenance, how)
    why = _TOO_FEW if of and p is None else how
    yield Measurement("pearson_p", p, "1", region, None, provenance, why)
    yield Measurement("pearson_n", n, "1", region, None, provenance, how)


class _Drawn:
    """The plan maps of a scan, and their covariances, each worked out once."""

    def __init__(self, maps: PlanMaps) -> None:
        self._maps, self._analysed = maps, maps.is_analysed
        self._others = {other.name: other for other in maps.others}
        self._spatial: dict[str, SpatialMap] = {}

    def correlation(self, a: str, b: str) -> tuple[Correlation | None, str]:
        """Return the correlation of two maps, and why there is none."""
        for name in (a, b):
            if name not in self._maps.schema.names and name not in self._others:
                return None, f"there is no plan map '{name}'"
        first, second = (self._known(name) for name in (a, b))
        both = first & second
        pair = [self._of(name, known, both) for name, known in ((a, first), (b, second))]
        return correlate(*pair), _CONSTANT

    def _known(self, name: str) -> npt.NDArray[np.bool_]:
        """Tell which columns hold labels and have a number in a map."""
        other = None if name in self._maps.schema.names else self._others[name]
        if other is None or other.nothing is not None:
            return self._analysed
        return np.asarray(self._analysed & np.isfinite(other.values))

    def _of(
        self, name: str, known: npt.NDArray[np.bool_], both: npt.NDArray[np.bool_]
    ) -> SpatialMap:
        """Return a map over some of the columns that it knows; a class in voxels."""
        if name in self._spatial and np.array_equal(self._spatial[name].known, both):
            return self._spatial[name]
        if name in self._maps.schema.names:
            values = self._maps.count(name)
        else:
            values = np.nan_to_num(self._others[name].values, nan=self._others[name].nothing or 0.0)
        found = SpatialMap(values, _pixel(self._maps), both)
        if np.array_equal(known, both):
            self._spatial[name] = found
        return found


def _pixel(maps: PlanMaps) -> tuple[float, float]:
    if not maps.grid.is_physical:
        return 1.0, 1.0
    return maps.frame.plan_sizes_um(maps.grid, "a map")


@dataclass(frozen=True, slots=True)
class GrowthMap:
    """Where Li was at its most plated, against where Li was redeposited in the last scan.

    Parameters
    ----------
    half, full
        Names of the two scans.
    places
        Shape (n_u, n_v): the index into :data:`PLACES` of each column; :data:`UNKNOWN` where either
        scan holds no label.
    """

    half: str
    full: str
    places: npt.NDArray[np.uint8]

    def shares(self) -> tuple[float, ...]:
        """Return what share of the columns that both scans know, if any, are :data:`PLACES`."""
        n_known = sum(self.n_places)
        return tuple(n / n_known for n in self.n_places) if n_known else ()

    @property
    def n_places(self) -> tuple[int, ...]:
        """How many columns are each of :data:`PLACES`."""
        counts = np.bincount(self.places.ravel(), minlength=len(PLACES))
        return tuple(int(n) for n in counts[: len(PLACES)])

    def as_map(self) -> QuantityMap:
        """Return the map to be written beside those of the quantities."""
        values = np.where(self.places == UNKNOWN, np.float32(np.nan), self.places)
        return QuantityMap("growth_places", "1", values.astype(np.float32))

    def rows(
        self, provenance: Provenance, old: Doubt | None = None, new: Doubt | None = None
    ) -> list[Measurement]:
        """Return ``growth_share`` of each place, and of both were they laid at random.

        With intervals where it is known what the coverage by plated and by redeposited Li may be
        off.
        """
        how = f"plated Li in '{self.half}' against redeposited Li in '{self.full}'"
        parts: dict[str, float | None] = dict.fromkeys((*PLACES, BY_CHANCE))
        intervals: dict[str, Interval] = {}
        if shares := self.shares():
            _, only_old, only_new, both = shares
            parts |= zip(PLACES, shares, strict=True)
            parts[BY_CHANCE] = (only_old + both) * (only_new + both)
            if bounds := SiteBounds.of(self.n_places, old, new):
                intervals |= zip(parts, (*bounds.places, bounds.by_chance), strict=True)
        return [
            Measurement(
                "growth_share", share, "1", f"{SERIES}/{part}", intervals.get(part), provenance, how
            )
            for part, share in parts.items()
        ]


def growth_scans(maps_by_scan: Mapping[str, PlanMaps]) -> tuple[str, str] | None:
    """Return the scan with most plated Li and the last one; ``None`` where there are no such two.

    Classes that a schema lacks, or a last scan that is itself the one with most plated Li, leave
    nothing to compare.
    """
    wanted = {*PLATED, *REGROWN}
    if any(not wanted <= set(maps.schema.names) for maps in maps_by_scan.values()):
        return None
    plated = {
        scan: sum(int(maps.count(name).sum(dtype=np.int64)) for name in PLATED)
        for scan, maps in maps_by_scan.items()
    }
    if not any(plated.values()):
        return None
    half, full = max(plated, key=lambda scan: plated[scan]), list(maps_by_scan)[-1]
    return None if half == full else (half, full)


def growth_map(maps_by_scan: Mapping[str, PlanMaps]) -> GrowthMap | None:
    """Map where dendrites and deposit fell, against where redeposited Li grew later.

    A column counts as soon as one voxel of the class stands in it.

    Parameters
    ----------
    maps_by_scan
        The plan maps of each scan, in the order in which they were taken.

    Returns
    -------
    GrowthMap or None
        ``None`` where :func:`growth_scans` finds no two scans.

    Raises
    ------
    MismatchError
        The maps of the series differ in shape or voxel size.

    Notes
    -----
    Source: Huang et al., npj Comput. Mater. 9, 93 (2023).

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid, LabelMap, Volume
    >>> from tomolith.measure.plan_maps import plan_maps
    >>> values = np.zeros((2, 1, 2, 4), np.uint8)
    >>> values[0, 0, 0, :2], values[1, 0, 0, 1:3] = 2, 5
    >>> maps = {
    ...     name: plan_maps(LabelMap(Volume(v, Grid(v.shape, None)), PRESETS["li-operando"]))
    ...     for name, v in zip(("half", "full"), values, strict=True)
    ... }
    >>> growth_map(maps).places.tolist()
    [[1, 3, 2, 0]]
    """
    check_same_plan(maps_by_scan)
    scans = growth_scans(maps_by_scan)
    if scans is None:
        return None
    half, full = (maps_by_scan[scan] for scan in scans)
    old = np.any([half.count(name) > 0 for name in PLATED], axis=0)
    new = np.any([full.count(name) > 0 for name in REGROWN], axis=0)
    places = old.astype(np.uint8) + 2 * new.astype(np.uint8)
    places[~(half.is_analysed & full.is_analysed)] = UNKNOWN
    return GrowthMap(*scans, places)


def check_same_plan(maps_by_scan: Mapping[str, PlanMaps]) -> None:
    """Refuse maps that do not show the same columns; ``MismatchError``."""
    first: tuple[str, PlanMaps] | None = None
    for scan, maps in maps_by_scan.items():
        if first is None:
            first = scan, maps
        a, b = first[1], maps
        if (a.grid.shape_zyx, a.grid.voxel_size_um, a.frame.axis) != (
            b.grid.shape_zyx,
            b.grid.voxel_size_um,
            b.frame.axis,
        ):
            raise MismatchError(
                f"scan '{scan}' has {b.grid.shape_zyx} voxels of {b.grid.voxel_size_um} µm, "
                f"scan '{first[0]}' {a.grid.shape_zyx} of {a.grid.voxel_size_um} µm",
                expected="registered scans of one cell, all with the same grid",
                mend="register the scans, or name those that belong together as the series",
            )
