"""BioLogic EC-Lab text exports (``.mpt``), with and without their header."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import numpy as np

from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Doubles, make_record, parse_stamp
from tomolith.store.cyclers.biologic import biologic_columns
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import Table, head_of, parse_table, read_text

_MAGIC = "EC-Lab ASCII FILE"
_N_HEADER = re.compile(r"Nb header lines\s*:\s*(\d+)")
_STARTED = re.compile(r"^Acquisition started on\s*:\s*(.+)$", re.MULTILINE)
_SHOWN = ("Run on channel", "Device", "Comments", "Battery capacity", "Electrode surface area")


class BiologicMptReader:
    """BioLogic EC-Lab text (.mpt)."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as an EC-Lab text or as the titles of one."""
        head = head_of(path, 4096)
        first = head.split("\n", 1)[0]
        titles = {title.strip() for title in first.split("\t")}
        return head.startswith(_MAGIC) or {"mode", "time/s"} <= titles

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read an EC-Lab text; its time counts from "Acquisition started on".

        Raises
        ------
        ReadError
            The header ends too soon, or a column is missing or incomplete.
        """
        text = read_text(path)
        header, n_header = "", 1
        if text.startswith(_MAGIC):
            match = _N_HEADER.search(text[:500])
            lines = text.split("\n")
            n_header = int(match[1]) if match else 0
            if not 1 < n_header < len(lines):
                raise ReadError(
                    f"the header should have {n_header} lines, the file has {len(lines)}",
                    expected="a header, titles and rows",
                    where=path,
                    mend="the file is cut off: export it again",
                )
            header = "\n".join(lines[: n_header - 1])
            text = "\n".join(lines[n_header - 1 :])
        table = parse_table(text, path, separator="\t", n_before=n_header - 1).with_units(units)
        started = _STARTED.search(header)
        start = parse_stamp(started[1]) if started else None
        time_s, start = _time(table, start)
        columns, notes = biologic_columns(table, time_s)
        return make_record(
            path,
            columns,
            reader="biologic-mpt",
            started=start,
            notes=tuple(notes),
            description=_description(header),
        )


def _time(table: Table, start: datetime | None) -> tuple[Doubles | None, datetime | None]:
    """Return the time where it was exported as dates, and when it was 0."""
    stamps = [parse_stamp(text) for text in (table.texts("time") or [])[:1]]
    if not stamps or stamps[0] is None:
        return None, start
    all_stamps = [parse_stamp(text) for text in table.texts("time") or []]
    origin = start or stamps[0]
    seconds = [(s - origin).total_seconds() if s else np.nan for s in all_stamps]
    return np.array(seconds, dtype=np.float64), origin


def _description(header: str) -> tuple[str, ...]:
    lines = [" ".join(line.split()) for line in header.split("\n")]
    technique = lines[3:4] if len(lines) > 3 and lines[3] else []
    return (*technique, *(line for line in lines if line.startswith(_SHOWN)))
