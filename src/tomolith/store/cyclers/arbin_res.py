"""Arbin's Access databases (``.res``), through the library access-parser (optional)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pandas as pd

from tomolith.config import require
from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.arbin import arbin_record
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import Table, head_of

_MAGIC = "\x00\x01\x00\x00Standard Jet DB"
_SAMPLES, _TEST = "Channel_Normal_Table", "Global_Table"
_FAILURES = (ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, struct.error)
_EXPORT = "export it in MITS Pro or Data Watcher as CSV or Excel"
# the database names no units; these are Arbin's own, and the check of the charge holds them
_HEADINGS = {
    "DateTime": "Date_Time",
    "Test_Time": "Test_Time(s)",
    "Current": "Current(A)",
    "Voltage": "Voltage(V)",
    "Charge_Capacity": "Charge_Capacity(Ah)",
    "Discharge_Capacity": "Discharge_Capacity(Ah)",
}


class ArbinResReader:
    """Arbin Access databases (.res), through access-parser."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as a database of Access 97 to 2003."""
        return head_of(path, 64).startswith(_MAGIC)

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read the one test of a database, in the order of its data points.

        Raises
        ------
        MissingExtraError
            access-parser is not installed.
        ReadError
            access-parser cannot read the file, it is cut off, holds no samples or several tests.
        """
        parser = require("access_parser", extra="echem")
        construct = require("construct", extra="echem")
        try:
            database = parser.AccessParser(str(path))
            samples = _frame(database, _SAMPLES, path)
            about = _frame(database, _TEST, path)
        except (*_FAILURES, construct.ConstructError) as error:
            raise ReadError(
                f"access-parser cannot read the database: {type(error).__name__} {error}",
                where=path,
                mend=_EXPORT,
            ) from error
        if (n := samples["Test_ID"].nunique()) > 1:
            raise ReadError(
                f"the database holds {n} tests",
                expected="one test in a file",
                where=path,
                mend="export the one you mean as CSV or Excel",
            )
        samples = samples.sort_values("Data_Point", ignore_index=True)
        table = Table(path, samples.rename(columns=_HEADINGS), units=units)
        return arbin_record(
            table,
            reader="arbin-res",
            description=(
                "Arbin database, read by access-parser",
                *(str(name) for name in about.get("Test_Name", ())[:1]),
            ),
        )


def _frame(database: Any, name: str, path: Path) -> pd.DataFrame:
    """Return a table of the database, of which no row may be lacking.

    Raises
    ------
    ReadError
        There is no such table, or it holds fewer rows than it says.
    """
    if name not in database.catalog:
        raise ReadError(
            f"the database has no table '{name}'; found {', '.join(sorted(database.catalog))}",
            expected="a database of results that an Arbin cycler wrote",
            where=path,
            mend=_EXPORT,
        )
    table = database.get_table(name)
    frame = pd.DataFrame(dict(table.parse()))
    if len(frame) != (n := table.table_header.number_of_rows):
        raise ReadError(
            f"the table '{name}' cannot be read whole: {len(frame)} of {n} rows",
            expected="the whole file",
            where=path,
            mend=f"the file may be cut off: copy it again, or {_EXPORT}",
        )
    return frame
