"""Tables of results: written as Parquet and CSV, each atomically, and read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from tomolith.core import Measurement
from tomolith.errors import InputError, ReadError
from tomolith.measure.confusion import ConfusionRecord
from tomolith.measure.evaluate import Scores
from tomolith.measure.held_out import write_held_out
from tomolith.measure.intervals.reasons import reasons, why_no_interval
from tomolith.measure.reliability import ReliabilityRecord
from tomolith.measure.rows import CompareRow, QuantityRow, ScoreRow
from tomolith.store.atomic import disk_errors, write_bytes, write_text

Row = TypeVar("Row", ScoreRow, QuantityRow, CompareRow)


def write_table(rows: Sequence[Row], stem: Path) -> None:
    """Write rows to ``stem.parquet`` and ``stem.csv``.

    Parameters
    ----------
    rows
        Rows of one kind; at least one.
    stem
        Path without suffix. Each file appears whole or not at all.

    Raises
    ------
    InputError
        There is no row.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> row = ScoreRow("unet", "test", "all", "pooled", "iou", "pore", None)
    >>> stem = Path(tempfile.mkdtemp()) / "scores"
    >>> write_table([row], stem)
    >>> print(stem.with_suffix(".csv").read_text().strip())
    system,subset,scan,convention,metric,class,value
    unet,test,all,pooled,iou,pore,
    >>> read_table(stem, ScoreRow) == (row,)
    True
    """
    if not rows:
        raise InputError("the table has no row", where=stem)
    columns = {_column(f): [getattr(row, f.name) for row in rows] for f in fields(rows[0])}
    write_bytes(_with_end(stem, "parquet"), _parquet(columns, type(rows[0])))
    write_text(_with_end(stem, "csv"), _csv(columns))


def read_table(stem: Path, kind: type[Row]) -> tuple[Row, ...]:
    """Read the rows that :func:`write_table` wrote, from the Parquet file.

    Raises
    ------
    ReadError
        The file is missing, damaged, or a table of something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = _with_end(stem, "parquet")
    try:
        table = pq.read_table(path)
        columns = [table.column(_column(f)).to_pylist() for f in fields(kind)]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise ReadError(
            f"the table cannot be read: {error}",
            expected=f"columns {', '.join(_column(f) for f in fields(kind))}",
            where=path,
            mend="run the step that writes it again",
        ) from error
    return tuple(kind(*values) for values in zip(*columns, strict=True))


def measurement_rows(measurements: Sequence[Measurement], *, labels: str) -> list[QuantityRow]:
    """Return table rows of measurements of the label map called ``labels``.

    Examples
    --------
    >>> rows = measurement_rows([Measurement("volume", None, "um3", "scan-0/pore")], labels="truth")
    >>> rows[0].scan, rows[0].class_name, rows[0].method
    ('scan-0', 'pore', 'not given: voxel size unknown, or 2-D sections')
    """
    rows, known = [], reasons()
    for m in measurements:
        scan, _, class_name = m.region.rpartition("/")
        made, interval = m.provenance, m.interval
        rows.append(
            QuantityRow(
                scan=scan,
                labels=labels,
                class_name=class_name,
                quantity=m.name,
                value=None if m.value is None else float(m.value),
                unit=m.unit,
                low=None if interval is None else float(interval.low),
                high=None if interval is None else float(interval.high),
                method=_method(m, why_no_interval(m, known)),
                provenance=f"{made.step} {made.settings_hash} tomolith {made.code_version}".strip(),
            )
        )
    return rows


def write_scores(scores: Scores, folder: Path) -> None:
    """Write the tables ``scores``, ``confusion.json`` and ``held_out.json`` into ``folder``.

    Where there were probabilities also ``reliability.json``; else an older one is removed.
    """
    write_table(scores.rows, folder / "scores")
    records = [{**asdict(record), "patch_px": scores.patch_px} for record in scores.confusions]
    write_text(folder / "confusion.json", json.dumps(records, indent=1) + "\n")
    write_held_out(scores.held_out, folder / "held_out.json")
    path = folder / "reliability.json"
    if scores.reliability:
        trust = [asdict(record) for record in scores.reliability]
        write_text(path, json.dumps(trust, indent=1) + "\n")
    else:
        with disk_errors(folder):
            path.unlink(missing_ok=True)


def read_scores(folder: Path) -> Scores:
    """Read what :func:`write_scores` wrote; ``ReadError`` where it is missing or damaged."""
    path = folder / "confusion.json"
    rows = read_table(folder / "scores", ScoreRow)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        confusions = tuple(_confusion(entry) for entry in entries)
        patch_px = int(entries[0]["patch_px"])
        path = folder / "reliability.json"
        trust = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return Scores(
            rows, confusions, patch_px, tuple(ReliabilityRecord.from_dict(entry) for entry in trust)
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ReadError(
            f"the counts behind the scores cannot be read: {error!r}",
            where=path,
            mend="run the step 'evaluate' again",
        ) from error


def _confusion(entry: dict[str, Any]) -> ConfusionRecord:
    return ConfusionRecord(
        system=str(entry["system"]),
        subset=str(entry["subset"]),
        classes=tuple(entry["classes"]),
        counts=tuple(tuple(int(n) for n in row) for row in entry["counts"]),
        n_prediction_unlabelled=tuple(int(n) for n in entry["n_prediction_unlabelled"]),
        n_truth_unlabelled=int(entry["n_truth_unlabelled"]),
    )


def _method(m: Measurement, why_no_interval: str) -> str:
    if m.value is not None:
        meaning = f"; no interval: {why_no_interval}" if why_no_interval else ""
        meaning = f"; 95 %: {m.interval.method}" if m.interval else meaning
        return (m.method or "counted voxels") + meaning
    if m.method:
        return f"not given: {m.method}"
    if m.unit == "um3":
        return "not given: voxel size unknown, or 2-D sections"
    if m.unit == "um":
        return "not given: voxel size unknown, 2-D sections, or nothing there to measure"
    return "not given: no voxel has a class"


def _column(f: Field[Any]) -> str:
    return str(f.metadata.get("column", f.name))


def _with_end(stem: Path, end: str) -> Path:
    return stem.with_name(f"{stem.name}.{end}")


def _parquet(columns: dict[str, list[Any]], kind: type[Any]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = [pa.float64() if "float" in str(f.type) else pa.string() for f in fields(kind)]
    arrays = [pa.array(v, t) for v, t in zip(columns.values(), types, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays, names=list(columns)), sink)
    return sink.getvalue()


def _csv(columns: dict[str, list[Any]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow([_text(v) for v in values])
    return sink.getvalue()


def _text(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return value
