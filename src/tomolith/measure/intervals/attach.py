"""Measured numbers get their 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tomolith.core import Interval, Measurement
from tomolith.errors import MismatchError, ReadError
from tomolith.measure.held_out import HeldOut
from tomolith.measure.intervals.combine import SourceInterval, combine
from tomolith.measure.intervals.confusion import confusion_interval
from tomolith.measure.intervals.ensemble import ensemble_interval
from tomolith.measure.intervals.held_out_units import Floats, Units, units_for
from tomolith.measure.intervals.probabilities import expected_voxels, probability_interval
from tomolith.measure.intervals.rules import Scan as KnownScan
from tomolith.measure.intervals.rules import interval_of
from tomolith.measure.intervals.settings import UncertaintySettings
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.reliability import ClassShares
from tomolith.store.scan import Scan

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
    """Return the numbers of one scan with their 95 % intervals, where a rule gives one.

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
    labels = scan.labels(labels_name)
    names = labels.schema.names
    counted = np.array([values["voxel_count", n] for n in names])
    sources = [
        *_held_against(scan, labels_name, counted, held_out, wanted),
        *_ensemble(scan, names, wanted),
        *_boundary(scan, names, values, wanted),
    ]
    size = labels.grid.voxel_size_um
    axis = "zyx".index(settings.plan_axis)
    known = KnownScan(
        combine(names, counted, sources),
        values,
        None if size is None or "boundary" not in wanted.sources else size[axis],
    )
    return [_with_interval(m, known) for m in found]


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
    if m.value is None or m.interval is not None:
        return m
    interval = interval_of(m.name, m.region.rpartition("/")[2], known)
    return m if interval is None else replace(m, interval=interval)


def _held_against(
    scan: Scan,
    labels_name: str,
    counted: Floats,
    held_out: HeldOut | None,
    settings: UncertaintySettings,
) -> list[SourceInterval]:
    """Return what confusion and probabilities say."""
    names = scan.labels(labels_name).schema.names
    units = None
    if held_out is not None and held_out.slices:
        units = units_for(_in_order(held_out, names), scan.id)
    found = []
    if units is not None and "confusion" in settings.sources:
        centre, half = confusion_interval(
            counted, units, n_draws=settings.n_draws, seed=settings.seed
        )
        words = f"correction by the confusion in {units.words}"
        found.append(SourceInterval(words, centre, half, units.is_whole))
    shares = _probabilities(scan, labels_name) if "probabilities" in settings.sources else None
    if shares is not None:
        sums = expected_voxels(shares, scan.grid)
        trusted = units if units is not None and units.has_probabilities else None
        centre, half = probability_interval(
            sums, trusted, n_draws=settings.n_draws, seed=settings.seed
        )
        is_whole = trusted is not None and trusted.is_whole
        found.append(SourceInterval(_words(trusted), centre, half, is_whole))
    return found


def _words(units: Units | None) -> str:
    if units is None:
        return "probabilities at their word, voxels within a correlation length wrong together"
    return f"probabilities held to {units.words}"


def _probabilities(scan: Scan, labels_name: str) -> ClassShares | None:
    try:
        return scan.extra(f"probabilities/{labels_name}")
    except ReadError:
        return None


def _ensemble(
    scan: Scan, names: Sequence[str], settings: UncertaintySettings
) -> list[SourceInterval]:
    if len(settings.ensemble) < 2 or "ensemble" not in settings.sources:
        return []
    chosen = MeasureSettings.model_validate({"quantities": ["voxel_count"]})
    counts = []
    for member in settings.ensemble:
        labels = scan.labels(member)
        _check_classes(labels.schema.names, names, f"label map '{member}' of scan '{scan.id}'")
        n = {m.region.rpartition("/")[2]: m.value for m in measure(labels, chosen)}
        counts.append([n[name] for name in names])
    centre, half = ensemble_interval(np.array(counts, np.float64))
    return [SourceInterval(f"spread of {len(counts)} trainings", centre, half)]


def _boundary(
    scan: Scan,
    names: Sequence[str],
    values: Mapping[tuple[str, str], float],
    settings: UncertaintySettings,
) -> list[SourceInterval]:
    known = all(("boundary_volume", n) in values for n in names)
    if not known or "boundary" not in settings.sources:
        return []
    one = scan.grid.voxel_volume_um3
    counted = np.array([values["voxel_count", n] for n in names])
    half = np.array([values["boundary_volume", n] for n in names]) / one
    return [SourceInterval("half-voxel boundary shift", counted, half)]


def _in_order(held_out: HeldOut, names: Sequence[str]) -> HeldOut:
    """Return the counts with the classes in the order of ``names``."""
    _check_classes(held_out.classes, names, "held-out slices")
    order = [held_out.classes.index(n) for n in names]
    if order == list(range(len(names))):
        return held_out
    slices = tuple(
        replace(
            s,
            counts=tuple(tuple(s.counts[i][j] for j in order) for i in order),
            expected=tuple(s.expected[i] for i in order if s.expected),
            doubt=tuple(s.doubt[i] for i in order if s.doubt),
        )
        for s in held_out.slices
    )
    return replace(held_out, classes=tuple(names), slices=slices)


def _check_classes(found: Sequence[str], names: Sequence[str], where: str) -> None:
    if sorted(found) != sorted(names):
        raise MismatchError(
            f"classes {', '.join(found)}", expected=f"classes {', '.join(names)}", where=where
        )
