"""Neware binaries (``.nda``, ``.ndax``), through the library NewareNDA (optional)."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from xml.parsers.expat import ExpatError

import numpy as np

from tomolith.config import require
from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Columns, Doubles, make_record, parse_stamp
from tomolith.store.cyclers.charge import stated_charge
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import Table, head_of

_FAILURES = (ValueError, KeyError, IndexError, TypeError, AttributeError, NotImplementedError)


class NewareReader:
    """Neware binaries (.nda, .ndax), through NewareNDA."""

    def sniff(self, path: Path) -> bool:
        """Tell by the first letters of ``.nda``, or by what the archive ``.ndax`` holds."""
        head = head_of(path, 64)
        if not head.startswith("PK"):
            return head.startswith("NEWARE")
        try:
            with zipfile.ZipFile(path) as archive:
                return "data.ndc" in archive.namelist()
        except (OSError, zipfile.BadZipFile):
            return False

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read a Neware binary; the time of its steps is added up.

        Raises
        ------
        MissingExtraError
            NewareNDA is not installed.
        ReadError
            NewareNDA cannot read the file.
        """
        newarenda = require("NewareNDA", extra="echem")
        try:
            frame = newarenda.read(str(path))
        except (*_FAILURES, OSError, struct.error, zipfile.BadZipFile, ExpatError) as error:
            raise ReadError(
                f"NewareNDA cannot read the file: {type(error).__name__} {error}",
                where=path,
                mend="export it again",
            ) from error
        table = Table(path, frame, units=units)
        step_s = table.needed("time", "time", unit="s")
        steps = table.plain("step")
        columns = Columns(
            add_up(step_s, np.zeros(len(step_s)) if steps is None else steps),
            table.needed("current", "current"),
            table.needed("voltage", "voltage", unit="V"),
            stated_charge(table, ("charge capacity",), ("discharge capacity",)),
        )
        first = (table.texts("timestamp") or [""])[:1]
        return make_record(
            path,
            columns,
            reader="neware",
            started=parse_stamp(first[0]) if first else None,
            description=("Neware binary, read by NewareNDA",),
        )


def add_up(step_s: Doubles, steps: Doubles) -> Doubles:
    """Return the time since the start of the test from the time since the start of each step.

    Examples
    --------
    >>> add_up(np.array([0.0, 5.0, 0.0, 2.0]), np.array([1.0, 1.0, 2.0, 2.0])).tolist()
    [0.0, 5.0, 5.0, 7.0]
    """
    passed = np.diff(step_s)
    starts = (np.diff(steps) != 0) | (passed < 0)
    passed = np.where(starts, step_s[1:], passed)
    return np.concatenate([[0.0], np.cumsum(passed)])
