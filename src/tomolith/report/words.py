"""What the report says in words: the summary, captions, and rows of plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tomolith.core import Grid
from tomolith.measure.quantities.one_electrode import one_electrode
from tomolith.report.compared import Comparison
from tomolith.report.study_files import SliceRange, StudyFiles
from tomolith.store.scan import Scan

DASH = "–"
_UNITS = {"percent": "%", "deg": "°", "1": ""}
_SUBSET_NAMES = {
    "test": "test slices",
    "validation": "validation slices",
    "train": "training slices",
}


@dataclass(frozen=True)
class ScanRow:
    """One line of the table of scans."""

    name: str
    kind: str
    shape: str
    voxel_size: str
    labels: str
    source: str


@dataclass(frozen=True)
class StepRow:
    """One line of the table of steps."""

    step: str
    started: str
    took: str
    summary: str
    key: str
    code_version: str


def system_name(system: str) -> str:
    """Return how a system is called in the text.

    Examples
    --------
    >>> system_name("otsu"), system_name("unet")
    ('Otsu thresholding', 'network (unet)')
    """
    if system == "otsu":
        return "Otsu thresholding"
    return "network" if system in ("prediction", "network") else f"network ({system})"


def subset_name(subset: str) -> str:
    """Return how a subset is called in the text."""
    return _SUBSET_NAMES.get(subset, subset)


def number(value: float | None, digits: int = 3) -> str:
    """Return a score, or an en dash where there is none.

    Examples
    --------
    >>> number(0.95112), number(None)
    ('0.951', '–')
    """
    return DASH if value is None else f"{value:.{digits}f}"


def quantity(value: float | None, unit: str) -> str:
    """Return a measured number with the digits that suit its unit.

    Examples
    --------
    >>> quantity(82892014.0, "voxels"), quantity(3.05837, "percent"), quantity(0.01234, "um3")
    ('82,892,014', '3.058', '0.01234')
    >>> quantity(195015023.4, "um3"), quantity(None, "um3")
    ('195,015,023', '–')
    """
    if value is None:
        return DASH
    if unit == "voxels":
        return f"{value:,.0f}"
    if unit == "percent":
        return f"{value:.3f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def unit_text(unit: str) -> str:
    """Return a unit as people write it; nothing for a plain number.

    Examples
    --------
    >>> unit_text("um3"), unit_text("1"), unit_text("mA/cm2"), unit_text("um/pulse")
    ('µm³', '', 'mA/cm²', 'µm/pulse')
    """
    micro = re.sub(r"\bum", "µm", _UNITS.get(unit, unit))
    return re.sub("(?<=m)[23]", lambda power: "²³"[int(power[0]) - 2], micro)


def duration(seconds: float | None) -> str:
    """Return a time span.

    Examples
    --------
    >>> duration(3.21), duration(185.0), duration(7260.0), duration(None)
    ('3.2 s', '3 min 05 s', '2 h 01 min', '–')
    """
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def shape_text(grid: Grid) -> str:
    """Return the shape of a scan in words.

    Examples
    --------
    >>> shape_text(Grid((4, 30, 20), None))
    '4 × 30 × 20 voxels (z, y, x)'
    >>> shape_text(Grid((4, 30, 20), None, sections=True))
    '4 images of 30 × 20 pixels (y, x)'
    """
    z, y, x = grid.shape_zyx
    if grid.sections:
        return f"{z} image{'s' if z > 1 else ''} of {y} × {x} pixels (y, x)"
    return f"{z} × {y} × {x} voxels (z, y, x)"


def voxel_text(grid: Grid) -> str:
    """Return the voxel size in words.

    Examples
    --------
    >>> voxel_text(Grid((4, 30, 20), (1.0, 0.5, 0.5))), voxel_text(Grid((4, 30, 20), (2.0,) * 3))
    ('1 × 0.5 × 0.5 µm', '2 µm')
    """
    if grid.voxel_size_um is None:
        return "unknown"
    sizes = grid.voxel_size_um[1:] if grid.sections else grid.voxel_size_um
    if len(set(sizes)) == 1:
        return f"{sizes[0]:g} µm"
    return " × ".join(f"{size:g}" for size in sizes) + " µm"


def slice_caption(scan_id: str, z: int, subset: str) -> str:
    """Return the caption of a preview row."""
    return f"{scan_id}, slice {z}" + (f" ({subset})" if subset else "")


def is_simulated(scan: Scan) -> bool:
    """Tell whether the scan came from the phantom."""
    return scan.image.provenance.step == "phantom"


def simulated(files: StudyFiles) -> str:
    """Return the sentence that says what is not real; empty where all is."""
    fake = [scan.id for scan in files.scans if is_simulated(scan)]
    if not fake:
        return ""
    one, every = len(fake) == 1, len(fake) == len(files.scans)
    listed = "" if every else " " + ", ".join(fake)
    which = f"The scan{listed}" if one else ("All scans" if every else f"The scans{listed}")
    verb, them = ("is", "its") if one else ("are", "their")
    return (
        f"{which} of this study {verb} simulated: a computed model of a cell, not a measurement. "
        f"{them.capitalize()} labels are exact by construction, and the numbers below say nothing "
        "about a real cell."
    )


def headline_subset(files: StudyFiles) -> str:
    """Return the subset that the summary speaks of: test where there is one."""
    present = {row.subset for row in files.scores.rows} if files.scores else set()
    for subset in ("test", "validation", "train"):
        if subset in present:
            return subset
    return ""


def summary(files: StudyFiles) -> list[str]:
    """Return the summary as sentences: what was segmented, and how well."""
    sentences = []
    if files.scans:
        name = files.chosen("predict", "labels", "prediction")
        scans = [s for s in files.scans if name in s.label_names()] or files.scans
        n = len(scans)
        shapes = {scan.grid.shape_zyx for scan in scans}
        size = "of " + shape_text(scans[0].grid) if len(shapes) == 1 else "of several sizes"
        who = f"One scan {size} was" if n == 1 else f"{n} scans {size} were"
        sentences.append(f"{who} {_what_was_done(files)}.")
    sentences += _result(files)
    if files.comparison is not None:
        sentences.append(compared(files.comparison))
    return sentences


def compared(comparison: Comparison) -> str:
    """Return which of several systems did best on the test slices, and by how much."""
    scored = [
        (system, row)
        for system in comparison.ranked
        if (row := comparison.row(system.name, "iou", convention="pooled"))
        and row.value is not None
    ]
    if not scored:
        return ""
    (best, top), others = scored[0], scored[1:]
    text = (
        f"{len(comparison.systems)} systems were compared on slices held out for testing; the best "
        f"mean IoU, {number(top.value)}, is that of {best.name}"
    )
    if not others:
        return f"{text}."
    second, row = others[0]
    gap = (top.value or 0.0) - (row.value or 0.0)
    spread = max(top.sd or 0.0, row.sd or 0.0)
    doubt = (
        ", which may be chance: there is one seed of it"
        if top.sd is None and best.runs[0][1] is not None
        else ", within the spread over the seeds"
        if spread > gap
        else ""
    )
    return f"{text}, {gap:.3f} above {second.name}{doubt}."


def _what_was_done(files: StudyFiles) -> str:
    name = files.chosen("predict", "labels", "prediction")
    for scan in files.scans:
        if name in scan.label_names():
            classes = _found_classes(files) or scan.labels(name).schema.names
            if len(classes) == 1:
                return f"segmented, and all of it was given to the class {classes[0]}"
            by = f" by the network '{files.models[0].network}'" if len(files.models) == 1 else ""
            return f"segmented into {', '.join(classes[:-1])} and {classes[-1]}{by}"
    measured = " and ".join(dict.fromkeys(f"'{row.labels}'" for row in files.quantities))
    if measured:
        return f"measured in the label map {measured}"
    if files.comparison is not None:
        return "brought into the study"
    return "brought into the study; nothing is segmented yet (the step 'predict' does that)"


def _found_classes(files: StudyFiles) -> tuple[str, ...]:
    """Return the classes that were measured to occur at all."""
    found = [
        r.class_name
        for r in files.quantities
        if r.quantity == "voxel_count" and r.value and r.class_name != "unlabelled"
    ]
    return tuple(dict.fromkeys(found))


def class_colours(files: StudyFiles) -> dict[str, str]:
    """Return the colour of each class, from the schemas of the label maps and as measured."""
    schemas = [s.labels(name).schema for s in files.scans for name in s.label_names()]
    return {
        c.name: c.colour
        for schema in schemas
        for c in (*one_electrode(schema).classes, *schema.classes)
    }


def _result(files: StudyFiles) -> list[str]:
    subset = headline_subset(files)
    if files.scores is None or not subset:
        return []
    means = {
        row.system: row.value
        for row in files.scores.rows
        if (row.subset, row.scan, row.convention, row.metric, row.class_name)
        == (subset, "all", "pooled", "iou", "")
        and row.value is not None
    }
    networks = {system: value for system, value in means.items() if system != "otsu"}
    if not networks:
        return []
    best = max(networks, key=lambda system: networks[system])
    who = "network" if len(networks) == 1 else system_name(best)
    text = (
        f"On {_held_out(subset)}, the {who} reaches a mean IoU of "
        f"{networks[best]:.3f} (1 would be perfect agreement with the labels)"
    )
    if "otsu" not in means:
        return [text + "."]
    gap = networks[best] - means["otsu"]
    verdict = f"better by {gap:.3f}" if gap >= 0 else f"worse by {-gap:.3f}"
    return [
        f"{text}; Otsu thresholding, which looks at grey values only, reaches "
        f"{means['otsu']:.3f}. The network is {verdict}."
    ]


def _held_out(subset: str) -> str:
    if subset == "test":
        return "slices held out for testing"
    return "slices held out for validation" if subset == "validation" else "the training slices"


def scan_rows(files: StudyFiles) -> list[ScanRow]:
    """Return the table of scans."""
    return [
        ScanRow(
            name=scan.id,
            kind="2-D images" if scan.grid.sections else "volume",
            shape=shape_text(scan.grid),
            voxel_size=voxel_text(scan.grid),
            labels=", ".join(scan.label_names()) or DASH,
            source="simulated" if is_simulated(scan) else _source(scan),
        )
        for scan in files.scans
    ]


def _source(scan: Scan) -> str:
    return ", ".join(name.rsplit("/", 1)[-1] for name in scan.image.provenance.inputs) or DASH


def split_rows(files: StudyFiles) -> list[tuple[str, str]]:
    """Return (subset, slices in words) of the first model that has a split."""
    for model in files.models:
        if model.split:
            return [(subset_name(name), _ranges(ranges)) for name, ranges in model.split.items()]
    return []


def _ranges(ranges: list[SliceRange]) -> str:
    by_scan: dict[str, list[str]] = {}
    for r in ranges:
        last = r.z_stop - 1
        text = str(r.z_start) if last == r.z_start else f"{r.z_start} to {last}"
        by_scan.setdefault(r.scan_id, []).append(text)
    n = sum(r.z_stop - r.z_start for r in ranges)
    listed = "; ".join(f"{scan}: {', '.join(texts)}" for scan, texts in by_scan.items())
    return f"{n} ({listed})" if n else "none"


def unscored(files: StudyFiles) -> list[str]:
    """Return sentences about pixels without a class, where there are any."""
    sentences = []
    for record in files.scores.confusions if files.scores else ():
        name = f"{system_name(record.system)}, {subset_name(record.subset)}"
        if record.n_truth_unlabelled:
            sentences.append(
                f"{name}: {record.n_truth_unlabelled:,} pixels without a true label were left out."
            )
        missed = sum(record.n_prediction_unlabelled)
        if missed:
            sentences.append(
                f"{name}: {missed:,} labelled pixels got no class and count as misses."
            )
    return sentences


def override_rows(files: StudyFiles) -> list[tuple[str, str]]:
    """Return each ``--set`` override, and the steps that ran with it."""
    steps: dict[str, list[str]] = {}
    for mark in files.marks:
        for override in mark.overrides:
            steps.setdefault(override, []).append(mark.step)
    return [(override, ", ".join(names)) for override, names in steps.items()]


def step_rows(files: StudyFiles) -> list[StepRow]:
    """Return the table of steps."""
    return [
        StepRow(
            step=mark.step,
            started=mark.started.replace("T", " ").split("+")[0].split(".")[0] or DASH,
            took=duration(mark.seconds),
            summary=mark.summary,
            key=mark.key or DASH,
            code_version=mark.code_version or DASH,
        )
        for mark in files.marks
    ]
