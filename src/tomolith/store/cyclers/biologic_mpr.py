"""BioLogic EC-Lab binaries (``.mpr``), through the library galvani (GPL, optional)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd

from tomolith.config import require
from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import make_record
from tomolith.store.cyclers.biologic import biologic_columns
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import Table, head_of

_MAGIC = "BIO-LOGIC MODULAR FILE"
_MODE_BITS = 0x03
_FAILURES = (OSError, ValueError, NotImplementedError, AssertionError, KeyError, struct.error)


class BiologicMprReader:
    """BioLogic EC-Lab binary (.mpr), through galvani."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as an EC-Lab binary."""
        return head_of(path, 64).startswith(_MAGIC)

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read an EC-Lab binary. Its units are fixed; ``units`` go before them all the same.

        Raises
        ------
        MissingExtraError
            galvani is not installed.
        ReadError
            galvani cannot read the file.
        """
        galvani = require("galvani.BioLogic", extra="echem-gpl")
        try:
            found = galvani.MPRfile(str(path))
        except _FAILURES as error:
            reason = " ".join(str(error).split())
            raise ReadError(
                f"galvani cannot read the .mpr file: {type(error).__name__} {reason}",
                where=path,
                mend="export it from EC-Lab as text (.mpt), which tomolith reads by itself",
            ) from error
        names = found.data.dtype.names or ()
        frame = pd.DataFrame({name: np.asarray(found.data[name]) for name in names})
        if "flags" in names:
            frame["mode"] = found.data["flags"] & _MODE_BITS
        columns, notes = biologic_columns(Table(path, frame, units=units))
        return make_record(
            path,
            columns,
            reader="biologic-mpr",
            started=getattr(found, "timestamp", None),
            notes=tuple(notes),
            description=("EC-Lab binary, read by galvani",),
        )
