"""All numbers of a series of scans of one cell, with the cycler's where there is one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tomolith.core import Measurement, Provenance
from tomolith.measure.colocalisation import (
    CLASSES,
    PLATED,
    REGROWN,
    GrowthMap,
    colocalisation,
    growth_map,
)
from tomolith.measure.electrochemistry import (
    Analysed,
    CellNumbers,
    CycledCell,
    close_inventory,
)
from tomolith.measure.intervals.overlap import joint_coverage
from tomolith.measure.left_li import full_cycles, li_left
from tomolith.measure.persistence import persistence
from tomolith.measure.pits_left import pits_left
from tomolith.measure.plan_maps import PlanMaps
from tomolith.measure.rates import Stretch, li_moved, thickness_rates
from tomolith.measure.series import series_changes


@dataclass(frozen=True, slots=True, eq=False)
class SeriesNumbers:
    """What a series gives beyond its scans.

    Parameters
    ----------
    measurements
        Rows of the table, those of ``cell`` among them.
    cell
        Charge against Li; ``None`` without a cycler file.
    growth
        Where Li was plated and where it grew again; ``None`` where there is nothing to compare.
    """

    measurements: tuple[Measurement, ...]
    cell: CellNumbers | None = None
    growth: GrowthMap | None = None


def series_numbers(
    measurements: Sequence[Measurement],
    scans: Sequence[str],
    plans: Mapping[str, PlanMaps],
    *,
    cell: CycledCell | None = None,
    correlated: Sequence[str] = CLASSES,
    provenance: Provenance,
) -> SeriesNumbers:
    """Return how the scans of one cell differ, what moved, how fast, where, and by which charge.

    Parameters
    ----------
    measurements
        Of all scans, with their intervals.
    scans
        Names, in the order of time.
    plans
        Plan maps of these scans, in this order, best without the columns that no scan has labels
        for. Where there are none, nothing that follows from maps is given.
    cell
        The cycler file, matched to these scans; it needs the plans.
    correlated
        Plan maps that are compared with each other: classes, and further maps.
    provenance
        What is written beside the numbers.

    Raises
    ------
    InputError
        A scan was not measured, or the analysed area is larger than the electrode.
    MismatchError
        The maps differ in shape or voxel size.
    """
    found: list[Measurement] = []
    numbers = None
    coverage = {m.region: m for m in measurements if m.name == "plan_coverage"}
    if len(scans) > 1:
        found += series_changes(measurements, scans, provenance=provenance)
    if cell is not None:
        analysed = {
            s: _analysed(plans[s], s, coverage) if s in plans else Analysed(0.0) for s in scans
        }
        numbers = close_inventory(cell, [*measurements, *found], analysed, provenance=provenance)
        found += numbers.measurements
    if len(scans) > 1:
        n_pulses = None if cell is None else [s.after_pulse for s in cell.match.scans]
        found += li_moved(measurements, scans, n_pulses=n_pulses, provenance=provenance)
        found += li_left(
            measurements,
            full_cycles(scans, cell),
            is_known=cell is not None,
            provenance=provenance,
        )
        found += pits_left(measurements, scans, cell, provenance=provenance)
        found += thickness_rates(
            measurements,
            stretches(scans, cell),
            per="scan" if cell is None else "pulse",
            without=_backgrounds(plans),
            provenance=provenance,
        )
    growth = None
    if plans:
        found += colocalisation(plans, names=correlated, coverage=coverage, provenance=provenance)
        found += persistence(plans, coverage=coverage, provenance=provenance)
        growth = growth_map(plans)
    return SeriesNumbers(tuple(found), numbers, growth)


def stretches(scans: Sequence[str], cell: CycledCell | None) -> tuple[Stretch, ...]:
    """Return the half cycles with the scans at their start, within and at their end.

    Without a cycler the whole series is one stretch, and x counts the scans.

    Examples
    --------
    >>> stretches(["a", "b"], None)
    (Stretch(name='', places={'a': 0.0, 'b': 1.0}),)
    """
    if cell is None:
        return (Stretch("", {scan: float(i) for i, scan in enumerate(scans)}),)
    found: list[Stretch] = []
    n_of = {1: 0, -1: 0}
    for _, group in itertools.groupby(cell.steps.pulses, key=lambda pulse: pulse.half_cycle):
        pulses = list(group)
        direction = pulses[0].direction
        n_of[direction] += 1
        name = "charge" if direction > 0 else "discharge"
        name += f" {n_of[direction]}" if n_of[direction] > 1 else ""
        first, last = pulses[0].number - 1, pulses[-1].number
        places = {
            s.name: float(s.after_pulse) for s in cell.match.scans if first <= s.after_pulse <= last
        }
        found.append(Stretch(name, places))
    return tuple(found)


def _backgrounds(plans: Mapping[str, PlanMaps]) -> tuple[str, ...]:
    first = next(iter(plans.values()), None)
    classes = first.schema.classes if first else ()
    return tuple(c.name for c in classes if c.role == "background")


def _analysed(plan: PlanMaps, scan: str, coverage: Mapping[str, Measurement]) -> Analysed:
    return Analysed(
        plan.analysed_area_um2,
        plan.covered_frac(PLATED),
        plan.covered_frac(REGROWN),
        joint_coverage(plan, scan, PLATED, coverage),
        joint_coverage(plan, scan, REGROWN, coverage),
    )
