"""What the step ``refine`` changed, for the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomolith.report.study_files import StudyFiles
from tomolith.report.tabulate import Table, TableRow

_MOST_LINES = 12
_ALL = "all scans"

Pairs = Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class ShownRefinement:
    """The section: which label map became which, the tables, and what was not done.

    Parameters
    ----------
    of_operations
        Voxels changed: scans down, operations across.
    of_classes
        For each operation: scans down, what each class gained and lost across.
    is_long
        Whether the tables of classes are better folded.
    left_out
        Operations that could not be done, and why, a sentence each.
    """

    source: str
    labels: str
    of_operations: Table
    of_classes: tuple[Table, ...]
    is_long: bool
    left_out: tuple[str, ...]


def shown_refinement(files: StudyFiles, problems: list[str]) -> ShownRefinement | None:
    """Return the section; ``None`` where nothing was refined.

    Parameters
    ----------
    files
        The study.
    problems
        A sentence is added where what was changed cannot be read.
    """
    path = files.root / "measurements" / "refine.json"
    asked = {*files.recipe, *(mark.step for mark in files.marks)}
    if not path.exists() or (files.recipe and "refine" not in asked):
        return None  # left over from another recipe
    try:
        return _shown(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        problems.append("What the refinement changed is not shown: refine.json cannot be read.")
        return None


def _shown(found: dict[str, Any]) -> ShownRefinement:
    scans = {
        scan: {operation: _pairs(rows) for operation, rows in operations.items()}
        for scan, operations in found["scans"].items()
    }
    operations = tuple(dict.fromkeys(name for done in scans.values() for name in done))
    tables = (
        _of_classes(name, {scan: done[name] for scan, done in scans.items() if name in done})
        for name in operations
    )
    return ShownRefinement(
        str(found["source"]),
        str(found["labels"]),
        _of_operations(operations, scans),
        tuple(table for table in tables if table.rows),
        len(scans) * len(operations) > _MOST_LINES,
        tuple(f"{one['operation']} was left out: {one['why']}." for one in found["left_out"]),
    )


def _pairs(rows: Sequence[dict[str, Any]]) -> Counter[tuple[str, str]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for row in rows:
        pairs[row["from"], row["to"]] += int(row["voxels"])
    return pairs


def _of_operations(operations: Sequence[str], scans: Mapping[str, Mapping[str, Pairs]]) -> Table:
    counts = {
        scan: [sum(done[name].values()) if name in done else None for name in operations]
        for scan, done in scans.items()
    }
    lines = [TableRow(scan, "", tuple(map(_count, row))) for scan, row in counts.items()]
    if len(counts) > 1:
        together = (sum(n or 0 for n in column) for column in zip(*counts.values(), strict=True))
        lines.append(TableRow(_ALL, "", tuple(map(_count, together))))
    return Table("Voxels that each operation changed", tuple(operations), tuple(lines))


def _of_classes(operation: str, scans: Mapping[str, Pairs]) -> Table:
    names = list(dict.fromkeys(name for pairs in scans.values() for pair in pairs for name in pair))
    lines = tuple(
        TableRow(scan, "", tuple(_gain_and_loss(pairs, name) for name in names))
        for scan, pairs in scans.items()
        if pairs
    )
    return Table(f"{operation}: voxels that each class gained and lost", tuple(names), lines)


def _gain_and_loss(pairs: Pairs, name: str) -> str:
    gained = sum(n for (_, after), n in pairs.items() if after == name)
    lost = sum(n for (before, _), n in pairs.items() if before == name)
    parts = [f"+{gained:,}"] if gained else []
    parts += [f"−{lost:,}"] if lost else []
    return " ".join(parts) or "0"


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"
