"""Measured numbers get their 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tomolith.core import Interval, Measurement
from tomolith.measure.held_out import HeldOut
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.made_up import MadeUp
from tomolith.measure.intervals.members import spread_of_members
from tomolith.measure.intervals.rules import (
    DEAD_LI,
    OF_VOIDS,
    interval_of,
    of_dead_li,
    of_voids,
)
from tomolith.measure.intervals.rules import Scan as KnownScan
from tomolith.measure.intervals.sources import find_sources
from tomolith.measure.intervals.tips import find_tips
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities.dead_li import MIN_VOXELS
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.one_electrode import one_electrode
from tomolith.measure.quantities.sides import electrode_part
from tomolith.store.scan import Scan

_WITH_SIDES = ("voxel_count_by_side", "li_volume", "effective_thickness", "volume_by_side")
NEEDED = ("voxel_count", "boundary_volume")
"""What intervals need, whatever was asked for; counted in the same pass, nothing is read twice."""


def attach_intervals(
    found: Sequence[Measurement],
    scan: Scan,
    labels_name: str,
    settings: MeasureSettings,
    *,
    held_out: HeldOut | None = None,
    also: Sequence[Measurement] = (),
) -> list[Measurement]:
    """Return the numbers of one scan with their 95 % intervals, where there is one.

    Parameters
    ----------
    found
        Of :func:`~tomolith.measure.quantify.measure`, all of ``scan``.
    scan
        The scan, with its label map and, where they were predicted, its probabilities.
    labels_name
        Name of the label map that was measured.
    settings
        ``settings.uncertainty`` says what is drawn on.
    held_out
        What held-out slices tell of the same system; ``None`` where there are no labels.
    also
        Numbers of :data:`NEEDED` that were not asked for; what is lacking is measured anew.

    Raises
    ------
    MismatchError
        The classes of the held-out slices or of an ensemble's label map are others.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from tomolith.core import PRESETS, Grid, Provenance
    >>> made = Provenance("doc")
    >>> path = Path(tempfile.mkdtemp()) / "a.zarr"
    >>> scan = Scan.create(path, Grid((4, 4, 4), (1.0, 1.0, 1.0)), np.uint8, provenance=made)
    >>> labels = scan.create_labels("prediction", PRESETS["li-binary"], provenance=made)
    >>> labels.array[:] = np.repeat([0, 1, 1, 0], 16).reshape(4, 4, 4).astype(np.uint8)
    >>> labels.finish()
    >>> settings = MeasureSettings(quantities=["volume"])
    >>> numbers = measure(scan.labels("prediction"), settings, region="a")
    >>> attach_intervals(numbers, scan, "prediction", settings)[1].interval
    Interval(low=16.0, high=48.0, method='half-voxel boundary shift')
    """
    wanted = settings.uncertainty
    numbers = [*found, *also, *_missing([*found, *also], scan, labels_name)]
    values = {
        (m.name, m.region.rpartition("/")[2]): float(m.value)
        for m in numbers
        if m.value is not None
    }
    names = one_electrode(scan.labels(labels_name).schema).names
    strata = Strata(
        names, np.array([values["voxel_count", n] for n in names]), _plating_frac(values)
    )
    size = scan.grid.voxel_size_um
    axis = "zyx".index(settings.plan_axis)
    labelled = held_out if "confusion" in wanted.sources else None
    known = KnownScan(
        strata,
        find_sources(scan, labels_name, wanted, strata=strata, values=values, held_out=held_out),
        values,
        voxel_um=None if size is None or "boundary" not in wanted.sources else size[axis],
        voxel_um3=scan.grid.voxel_volume_um3 if size else 0.0,
        smallest_piece=_smallest_piece(settings),
        tips=find_tips(labelled, axis=axis, plating_high=settings.plating_side == "high"),
        made_up=MadeUp.of(labelled),
    )
    return spread_of_members([_with_interval(m, known) for m in found], scan, settings)


def class_intervals(found: Iterable[Measurement]) -> Mapping[str, Interval]:
    """Return the interval of the volume of each class, by region.

    Examples
    --------
    >>> m = Measurement("volume", 3.0, "um3", "a/pit", Interval(2.0, 4.0, "x"))
    >>> class_intervals([m])
    {'a/pit': Interval(low=2.0, high=4.0, method='x')}
    """
    return {m.region: m.interval for m in found if m.name == "volume" and m.interval is not None}


def _missing(found: Sequence[Measurement], scan: Scan, labels_name: str) -> list[Measurement]:
    """Measure what the intervals need and was not asked for."""
    labels, present = scan.labels(labels_name), {m.name for m in found}
    names = [n for n in NEEDED if n not in present]
    if not labels.grid.is_physical or labels.grid.sections:
        names = [n for n in names if n == "voxel_count"]
    region = found[0].region.rpartition("/")[0] if found else scan.id
    chosen = MeasureSettings.model_validate({"quantities": names})
    return measure(labels, chosen, region=region) if names else []


def _with_interval(m: Measurement, known: KnownScan) -> Measurement:
    interval, part = m.interval if known.voxel_um is not None else None, m.region.rpartition("/")[2]
    if interval is not None and m.name in OF_VOIDS:
        interval = of_voids(interval, m.name, known)
    if interval is not None and m.name == DEAD_LI:
        interval = of_dead_li(interval, part, known)
    if m.value is not None and m.interval is None:
        interval = interval_of(m.name, part, known)
    if interval is not None and m.value == 0 and interval.half_width == 0:
        interval = None  # where nothing was found there is no border to shift: nothing is known
    return replace(m, interval=interval)


def _plating_frac(values: Mapping[tuple[str, str], float]) -> float:
    """Return the share of the electrode on the plating side, as any quantity tells it."""
    parts = electrode_part(STRIPPING), electrode_part(PLATING)
    for quantity in _WITH_SIDES:
        low, high = (values.get((quantity, part), 0.0) for part in parts)
        if low + high > 0:
            return high / (low + high)
    return 0.5


def _smallest_piece(settings: MeasureSettings) -> int:
    """Return the voxels of the smallest piece that is told to be dead."""
    chosen = {c.name: c.options for c in settings.chosen()}
    return int(chosen.get(DEAD_LI, {}).get("min_voxels", MIN_VOXELS))
