"""Arranges score and quantity rows into the tables of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tomolith.measure.evaluate import Scores
from tomolith.measure.rows import SERIES, QuantityRow, ScoreRow
from tomolith.report.words import number, quantity, subset_name, system_name, unit_text

CONVENTIONS = {"pooled": "pooled over all pixels", "mean_over_patches": "mean over patches"}
_SHORT = {"pooled": "pooled", "mean_over_patches": "over patches"}
METRIC_TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "pixel_accuracy": "pixel accuracy",
    "fw_iou": "weighted IoU",
    "ece": "calibration error",
}
_PAPER_COLUMNS = 5
_SERIES, _PARTS = "the series as a whole", "parts of the cell"
_INTERNAL = ("boundary_volume",)  # intervals are made of it
_QUANTITY_TITLES = {
    "voxel_count": "voxels",
    "volume": "volume",
    "share": "share",
    "effective_thickness": "effective thickness",
    "plan_coverage": "plan coverage",
}


@dataclass(frozen=True)
class TableRow:
    """One line: its heading, the class whose colour it bears (or none), its cells."""

    heading: str
    class_name: str
    cells: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table with headings; every cell is text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    has_intervals: bool = False
    is_too_wide_for_paper: bool = False
    n_left_out: int = 0

    @property
    def has_gaps(self) -> bool:
        """Whether some number does not exist."""
        return any(cell == "–" for row in self.rows for cell in row.cells)


def at_a_glance(scores: Scores | None) -> list[Table]:
    """Return, per subset, the overall IoU and Dice of each system in both conventions."""
    tables = []
    for subset in _subsets(scores):
        found = {
            (r.system, r.convention, r.metric): r.value
            for r in (scores.rows if scores else ())
            if r.subset == subset and r.scan == "all" and r.class_name == ""
        }
        keys = [
            (convention, metric)
            for convention in CONVENTIONS
            for metric in ("iou", "dice")
            if any(key[1:] == (convention, metric) for key in found)
        ]
        columns = tuple(f"{METRIC_TITLES[m]}, {_SHORT[c]}" for c, m in keys)
        rows = tuple(
            TableRow(system_name(system), "", tuple(number(found.get((system, *k))) for k in keys))
            for system in dict.fromkeys(key[0] for key in found)
        )
        if columns:
            title = f"Means over the classes, {subset_name(subset)}"
            tables.append(Table(title, columns, rows))
    return tables


def score_tables(scores: Scores | None, *, subset: str, others: bool = False) -> list[Table]:
    """Return one table per system and convention of a subset: classes down, metrics across.

    With ``others`` those of all other subsets.
    """
    tables = []
    rows = [
        r
        for r in (scores.rows if scores else ())
        if r.scan == "all" and (r.subset == subset) != others
    ]
    for key in dict.fromkeys((r.subset, r.system, r.convention) for r in rows):
        chosen = [r for r in rows if (r.subset, r.system, r.convention) == key]
        part, system, convention = key
        title = f"{_capital(system_name(system))}, {subset_name(part)}, {CONVENTIONS[convention]}"
        tables.append(_score_table(title, chosen))
    return tables


def _score_table(title: str, rows: Sequence[ScoreRow]) -> Table:
    value = {(r.class_name, r.metric): r.value for r in rows}
    known = list(dict.fromkeys(r.metric for r in rows))
    metrics = sorted(
        known, key=lambda m: list(METRIC_TITLES).index(m) if m in METRIC_TITLES else 99
    )
    lines = []
    for name in dict.fromkeys(r.class_name for r in rows):
        # a metric that has no value per class leaves the cell empty: nothing is missing there
        cells = tuple(number(value[name, m]) if (name, m) in value else "" for m in metrics)
        lines.append(TableRow(name or "all classes", name, cells))
    lines.sort(key=lambda line: line.class_name == "")
    return Table(title, tuple(METRIC_TITLES.get(m, m) for m in metrics), tuple(lines))


def per_scan(scores: Scores | None) -> list[Table]:
    """Return the pooled mean IoU of each scan, where there is more than one."""
    tables = []
    for subset in _subsets(scores):
        rows = [
            r
            for r in (scores.rows if scores else ())
            if (r.subset, r.convention, r.metric, r.class_name) == (subset, "pooled", "iou", "")
            and r.scan != "all"
        ]
        systems = list(dict.fromkeys(r.system for r in rows))
        scans = list(dict.fromkeys(r.scan for r in rows))
        value = {(r.scan, r.system): r.value for r in rows}
        if len(scans) > 1:
            lines = tuple(
                TableRow(scan, "", tuple(number(value.get((scan, s))) for s in systems))
                for scan in scans
            )
            title = f"Mean IoU per scan, {subset_name(subset)}, pooled over all pixels"
            tables.append(Table(title, tuple(system_name(s) for s in systems), lines))
    return tables


def volume_table(rows: Sequence[QuantityRow]) -> list[Table]:
    """Return the tables of each label map: of classes, of parts of the cell, of the series."""
    tables = []
    for labels in dict.fromkeys(r.labels for r in rows):
        kinds: dict[str, list[QuantityRow]] = {"class": [], _PARTS: [], _SERIES: []}
        for r in rows:
            if r.labels == labels:
                kinds[_kind(r)].append(r)
        if kinds["class"]:
            tables.append(_class_table(labels, kinds.pop("class")))
        tables += [
            _part_table(f"Label map '{labels}', {kind}", found)
            for kind, found in kinds.items()
            if _telling(found)
        ]
    return tables


def _telling(parts: Sequence[QuantityRow]) -> set[tuple[str, str]]:
    """Return the quantities and parts that a page is about: not what is 0 in every scan."""
    return {
        (r.quantity, r.class_name)
        for r in parts
        if r.quantity not in _INTERNAL and (r.value != 0 or r.high)
    }


def _kind(row: QuantityRow) -> str:
    if row.scan == SERIES:
        return _SERIES
    is_class = row.quantity in _QUANTITY_TITLES and ", " not in row.class_name
    return "class" if is_class else _PARTS


def _class_table(labels: str, chosen: Sequence[QuantityRow]) -> Table:
    """Return a table with scans and classes down, quantities across."""
    known = list(dict.fromkeys((r.quantity, r.unit) for r in chosen))
    order = list(_QUANTITY_TITLES)
    known.sort(key=lambda k: order.index(k[0]) if k[0] in order else 99)
    row = {(r.scan, r.class_name, r.quantity): r for r in chosen}
    lines = []
    for scan, name in dict.fromkeys((r.scan, r.class_name) for r in chosen):
        count = row.get((scan, name, "voxel_count"))
        if name == "unlabelled" and not (count and count.value):
            continue
        cells = tuple(_cell(row.get((scan, name, q))) for q, _ in known)
        lines.append(TableRow(name, name, cells, group=scan))
    columns = tuple(_heading(q, unit) for q, unit in known)
    return Table(f"Label map '{labels}'", columns, tuple(lines), _has_intervals(chosen))


def _part_table(title: str, parts: Sequence[QuantityRow]) -> Table:
    """Return a table with quantities and parts down, scans across, less what tells nothing."""
    scans = tuple(dict.fromkeys(r.scan for r in parts))
    row = {(r.scan, r.class_name, r.quantity): r for r in parts}
    order = list(dict.fromkeys((r.quantity, r.unit) for r in parts))
    known, telling = (
        dict.fromkeys((r.quantity, r.class_name, r.unit) for r in parts),
        _telling(parts),
    )
    lines = tuple(
        TableRow(
            part,
            "",
            tuple(_cell(row.get((s, part, q))) for s in scans),
            group=_heading(q.replace("_", " "), unit),
        )
        for q, part, unit in sorted(known, key=lambda k: order.index((k[0], k[2])))
        if (q, part) in telling
    )
    table = Table(title, scans, lines, _has_intervals(parts), len(scans) > _PAPER_COLUMNS)
    return replace(table, n_left_out=len(known) - len(lines))


def _cell(row: QuantityRow | None) -> str:
    """Return a number with its interval, where it has one; nothing where it was not asked for."""
    if row is None:
        return ""
    text = quantity(row.value, row.unit)
    if row.low is None or row.high is None:
        return text
    return f"{text} ({quantity(row.low, row.unit)} to {quantity(row.high, row.unit)})"


def _has_intervals(rows: Sequence[QuantityRow]) -> bool:
    return any(r.low is not None for r in rows)


def _heading(name: str, unit: str) -> str:
    title = _QUANTITY_TITLES.get(name, name)
    shown = unit_text(unit)
    return title if shown in (title, "") else f"{title} ({shown})"


def _subsets(scores: Scores | None) -> list[str]:
    found = {r.subset for r in (scores.rows if scores else ())}
    return [name for name in ("test", "validation", "train") if name in found]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
