"""The step ``measure``: numbers and maps from label maps, and what the cycler says of them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tomolith.app.evidence import held_out_counts
from tomolith.app.recipe import only
from tomolith.app.series import StudySeries, find_series, order_in_words, scan_times_s
from tomolith.app.steps.base import fingerprint
from tomolith.app.steps.refine import refined_scans
from tomolith.app.study import Study
from tomolith.config import progress
from tomolith.core import Measurement, Provenance
from tomolith.errors import InputError, ReadError
from tomolith.measure.colocalisation import colocalisation
from tomolith.measure.electrochemistry import CycledCell, cycle_cell, remove_cycler, write_cycler
from tomolith.measure.electrochemistry.files import CYCLER, VOLTAGE
from tomolith.measure.intervals.attach import NEEDED, attach_intervals
from tomolith.measure.kept_plans import KeptPlans
from tomolith.measure.map_files import (
    FOLDER,
    INDEX,
    MapEntry,
    read_index,
    write_growth,
    write_index,
    write_maps,
)
from tomolith.measure.plan_maps import PlanMaps
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.measure.quantities.sides import has_electrodes
from tomolith.measure.series_numbers import SeriesNumbers, series_numbers
from tomolith.measure.tables import measurement_rows, write_table
from tomolith.store.atomic import disk_errors


@dataclass
class _Found:
    """What the scans gave so far; ``plans`` keeps the columns of each on disk."""

    plans: KeptPlans
    measurements: list[Measurement] = field(default_factory=list)
    maps: list[MapEntry] = field(default_factory=list)


class MeasureStep:
    """Turn labels into numbers."""

    name = "measure"
    summary = "Turn labels into numbers."
    function = "tomolith.measure.quantify:measure"
    after = ("phantom", "reconstruct", "import", "predict", "refine", "evaluate")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the fingerprint of the cycler's file."""
        cycler = study.recipe.measure.cycler
        return (fingerprint(Path(cycler.path)),) if cycler else ()

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the tables, the cycler's files and the maps."""
        section, folder = study.recipe.measure, study.measurements
        names = ["quantities.parquet", "quantities.csv"]
        if section.cycler:
            names += [CYCLER, VOLTAGE]
        if section.maps:
            names.append(f"{FOLDER}/{INDEX}")
            with suppress(ReadError):  # 'verify' finds a damaged list by its checksum
                names += [entry.file for entry in read_index(folder)]
        return tuple(folder / name for name in names)

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be measured; the cycler's file is read, if it is there already."""
        section = study.recipe.measure
        line = f"label map '{section.labels}' of {len(study.scan_ids())} scans"
        if section.cycler is None:
            return (line, *_order_lines(study))
        path = Path(section.cycler.path)
        if study.root in path.parents and not path.exists():
            return line, f"cycler file {path.name}, which an earlier step writes"
        scans = _planned_series(study)
        cell = cycle_cell(section.cycler, scans, known_times_s=scan_times_s(study))
        return line, *_order_lines(study, cell), _cycler_line(cell), *cell.doubts

    def run(self, study: Study) -> str:
        """Measure the label map of every scan that has it, then the series, and write it all."""
        section = study.recipe.measure
        scan_ids = _scans_with(study, section.labels)
        series = find_series(study, scan_ids)
        cell = None
        if section.cycler:
            cell = cycle_cell(section.cycler, series.scans, known_times_s=series.times_s)
        with _plans_folder(study) as folder:
            found = _measure_scans(study, scan_ids, KeptPlans(folder))
            of_series = _measure_series(study, series, cell, found)
        rows = measurement_rows(found.measurements, labels=section.labels)
        write_table(rows, study.measurements / "quantities")
        write_index(found.maps, study.measurements)
        if cell and of_series and of_series.cell:
            write_cycler(cell, of_series.cell, study.measurements)
        else:
            remove_cycler(study.measurements)
        text = _summary(len(rows), len(scan_ids), series, cell)
        if len(series.scans) > 1:
            text += f"; series: {_order(study, series.scans, cell)}"
        return text + _without(study, scan_ids)


@contextmanager
def _plans_folder(study: Study) -> Iterator[Path]:
    """Make a folder for plan counts, and remove it; also what a killed run left."""
    with disk_errors(study.private):
        study.private.mkdir(parents=True, exist_ok=True)
        for old in study.private.glob("plans-*"):
            shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=study.private, prefix="plans-") as folder:
        yield Path(folder)


def _measure_scans(study: Study, scan_ids: tuple[str, ...], plans: KeptPlans) -> _Found:
    """Read every label map once; write the maps of each scan as soon as it is read."""
    section, found = study.recipe.measure, _Found(plans)
    settings, held_out = only(MeasureSettings, section), held_out_counts(study, section.labels)
    with progress("measure", total=len(scan_ids)) as bar:
        for scan_id in scan_ids:
            scan = study.scan(scan_id)
            labels = scan.labels(section.labels)
            numbers = measure_scan(labels, settings, region=scan_id, also=NEEDED)
            found.measurements += attach_intervals(
                numbers.measurements,
                scan,
                section.labels,
                settings,
                held_out=held_out,
                also=numbers.also,
            )
            if numbers.plan is not None:
                found.plans.keep(scan_id, numbers.plan)
                if section.maps:
                    maps = write_maps(scan_id, numbers.plan, numbers.maps, study.measurements)
                    found.maps += maps
            bar.advance(note=scan_id)
    return found


def _measure_series(
    study: Study, series: StudySeries, cell: CycledCell | None, found: _Found
) -> SeriesNumbers | None:
    """Add the numbers of the series, and those of the maps of each scan beside it."""
    section = study.recipe.measure
    made = Provenance.now(
        "measure", inputs=series.scans, settings_hash=only(MeasureSettings, section).identity()
    )
    for scan_id in [s for s in found.plans if s not in series.scans]:
        plans = found.plans.of([scan_id]).analysed()
        names = _correlated(section, plans)
        found.measurements += colocalisation(plans, names=names, provenance=made)
    if not series.scans:
        return None
    plans = found.plans.of(series.scans).analysed()
    numbers = series_numbers(
        found.measurements,
        series.scans,
        plans,
        cell=cell,
        correlated=_correlated(section, plans),
        provenance=made,
    )
    found.measurements += numbers.measurements
    if numbers.cell:
        order = f"series: {_order(study, series.scans, cell)}"
        notes = (*numbers.cell.notes, order, *_porosity_note(section))
        numbers = replace(numbers, cell=replace(numbers.cell, notes=notes))
    if numbers.growth and section.maps:
        plan = found.plans[series.scans[0]]
        found.maps.append(write_growth(numbers.growth, plan, plans.key, study.measurements))
    return numbers


def _correlated(settings: MeasureSettings, plans: Mapping[str, PlanMaps]) -> tuple[str, ...]:
    """Return the plan maps that are correlated; none where there are no maps."""
    return next((settings.correlated(plan.schema) for plan in plans.values()), ())


def _porosity_note(settings: MeasureSettings) -> tuple[str, ...]:
    """Say so where porous layers are counted as dense metal because nobody knew better."""
    options = {c.name: c.options for c in settings.chosen()}
    if "li_volume" not in options or options["li_volume"]:
        return ()
    return (
        "deposited and redeposited Li are counted as dense metal: no porosity is given "
        "('measure.quantities', options of 'li_volume')",
    )


def _scans_with(study: Study, labels: str) -> tuple[str, ...]:
    """Return the scans to measure: those that ``predict`` labels, or that carry other labels.

    Raises
    ------
    InputError
        There is none.
    """
    predict, refine = study.recipe.predict, study.recipe.refine
    if refine and refine.labels == labels:
        return refined_scans(study)
    if predict and predict.labels == labels:
        scan_ids = study.chosen_scans(predict.scans, key="predict.scans")
    else:
        scan_ids = tuple(i for i in study.scan_ids() if labels in study.scan(i).label_names())
    if not scan_ids:
        raise InputError(
            f"no scan has a label map '{labels}'",
            where=study.scans_folder,
            mend="add 'predict:' to the recipe, or name another under 'measure.labels'",
        )
    return scan_ids


def _without(study: Study, measured: tuple[str, ...]) -> str:
    """Name the scans of the study that have no such label map."""
    labels = study.recipe.measure.labels
    others = [scan_id for scan_id in study.scan_ids() if scan_id not in measured]
    lacking = [i for i in others if labels not in study.scan(i).label_names()]
    return f"; without {', '.join(lacking)}: no label map '{labels}'" if lacking else ""


def _planned_series(study: Study) -> tuple[str, ...]:
    """Return the scans of the series as far as the recipe tells, before anything is made."""
    section, predict = study.recipe.measure, study.recipe.predict
    if section.series is None and predict and predict.labels == section.labels:
        return study.chosen_scans(predict.scans, key="predict.scans")
    return study.chosen_scans(section.series, key="measure.series")


def _order(study: Study, scans: Sequence[str], cell: CycledCell | None) -> str:
    return order_in_words(study, scans, placed=cell is not None and cell.how != "order")


def _order_lines(study: Study, cell: CycledCell | None = None) -> tuple[str, ...]:
    """Return a line on the order of the series; none where there will be no series."""
    section, scans = study.recipe.measure, _planned_series(study)
    chosen = section.series is not None or section.cycler is not None
    if section.series == () or len(scans) < 2 or not (chosen or has_electrodes(study.schema)):
        return ()
    return (f"series: {_order(study, scans, cell)}",)


def _cycler_line(cell: CycledCell) -> str:
    states = ", ".join(f"{s.name} after pulse {s.after_pulse}" for s in cell.match.scans)
    return (
        f"cycler file {cell.path.name}: {len(cell.steps.pulses)} pulses, scans matched by "
        f"{cell.matched_by}: {states}"
    )


def _summary(n: int, n_scans: int, series: StudySeries, cell: CycledCell | None) -> str:
    text = f"{n} numbers of {n_scans} scans"
    if series.why_not:
        text += f"; no series: {series.why_not}"
    if cell:
        text += f"; {len(cell.steps.pulses)} pulses, scans matched by {cell.matched_by}"
        ambiguous = cell.match.clock_offset and cell.match.clock_offset.others_s
        text += " (other clock offsets fit too, see cycler.json)" if ambiguous else ""
        text += "".join(f"; {doubt}" for doubt in cell.doubts)
    return text
