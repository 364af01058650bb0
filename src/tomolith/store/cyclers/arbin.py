"""Arbin: CSV exports and Excel workbooks with a sheet per channel."""

from __future__ import annotations

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from tomolith.config import require
from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Columns, make_record, parse_stamp
from tomolith.store.cyclers.charge import stated_charge
from tomolith.store.cyclers.headings import CyclerUnits, split_heading
from tomolith.store.cyclers.table import Table, head_of, parse_table, read_text

_TITLES = {"data point", "test time", "step time", "cycle index"}


class ArbinReader:
    """Arbin exports (.csv, .xlsx)."""

    def sniff(self, path: Path) -> bool:
        """Tell by its titles, or by a sheet named ``Channel...``."""
        head = head_of(path)
        if head.startswith("PK"):
            return "Channel" in _sheets(path)
        titles = {split_heading(title)[0] for title in head.split("\n", 1)[0].split(",")}
        return titles >= _TITLES

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read an Arbin export.

        Raises
        ------
        MissingExtraError
            An Excel workbook, and openpyxl is not installed.
        ReadError
            A column is missing or incomplete.
        """
        if head_of(path, 64).startswith("PK"):
            table = _workbook(path)
        else:
            table = parse_table(read_text(path), path, separator=",")
        return arbin_record(table.with_units(units), reader="arbin")


def arbin_record(table: Table, *, reader: str, description: tuple[str, ...] = ()) -> CyclerRecord:
    """Return the record of a table with Arbin's headings; ``ReadError`` where one is missing."""
    columns = Columns(
        table.needed("time", "test time"),
        table.needed("current", "current"),
        table.needed("voltage", "voltage"),
        stated_charge(table, ("charge capacity",), ("discharge capacity",)),
    )
    first = _stamp((table.texts("date time") or [""])[0])
    started = None if first is None else first - timedelta(seconds=float(columns.time_s[0]))
    return make_record(table.path, columns, reader=reader, started=started, description=description)


def _stamp(text: str) -> datetime | None:
    """Return a date as text, or as a number of days as Excel counts them."""
    try:
        return datetime(1899, 12, 30) + timedelta(days=float(text))
    except ValueError:
        return parse_stamp(text)


def _sheets(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read("xl/workbook.xml").decode("utf-8", "replace")
    except (OSError, KeyError, zipfile.BadZipFile):
        return ""


def _workbook(path: Path) -> Table:
    """Return the sheets ``Channel...`` one below the other."""
    openpyxl = require("openpyxl", extra="echem")
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [sheet for sheet in book.worksheets if sheet.title.startswith("Channel")]
        parts = [list(sheet.iter_rows(values_only=True)) for sheet in sheets]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ReadError(f"the workbook cannot be read: {error}", where=path) from error
    frames = [pd.DataFrame(rows[1:], columns=list(rows[0])) for rows in parts if len(rows) > 1]
    frames = [frame for frame in frames if "Test_Time(s)" in frame or "Test Time (s)" in frame]
    if not frames:
        raise ReadError(
            "no sheet 'Channel...' holds rows with a test time",
            where=path,
            mend="export the channel data, not the statistics",
        )
    return Table(path, pd.concat(frames, ignore_index=True), 2)
