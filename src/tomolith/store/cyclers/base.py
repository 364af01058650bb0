"""What every cycler reader is, and how the columns of a table become a record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tomolith.core.cycler import CyclerRecord
from tomolith.core.provenance import Provenance
from tomolith.errors import ReadError
from tomolith.store.cyclers.headings import CyclerUnits

Doubles = npt.NDArray[np.float64]

_STAMPS = (
    "%m/%d/%Y %H:%M:%S.%f",
    "%m/%d/%Y %H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%d-%b-%y %I:%M:%S %p",
)


class CyclerReader(Protocol):
    """One kind of cycler file; stateless."""

    def sniff(self, path: Path) -> bool:
        """Tell by the content whether ``path`` is of this kind; cheap, never raises."""

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read the whole test, or raise `InputError`. The charge is checked by the caller."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of one test: s, A, V, and mAh on balance where the file states it."""

    time_s: Doubles
    current_a: Doubles
    voltage_v: Doubles
    charge_mah: Doubles | None


def parse_stamp(text: str) -> datetime | None:
    """Return a date with time in the spelling of any vendor; ``None`` for other text.

    Examples
    --------
    >>> parse_stamp("05/28/2025 14:23:16.145").isoformat()
    '2025-05-28T14:23:16.145000'
    >>> parse_stamp("23-Nov-23 3:56:08 PM").isoformat(), parse_stamp("soon") is None
    ('2023-11-23T15:56:08', True)
    """
    for form in _STAMPS:
        try:
            return datetime.strptime(text.strip(), form)
        except ValueError:
            continue
    return None


def make_record(
    path: Path,
    columns: Columns,
    *,
    reader: str,
    started: datetime | None = None,
    notes: tuple[str, ...] = (),
    description: tuple[str, ...] = (),
) -> CyclerRecord:
    """Return the record of a file.

    Raises
    ------
    ReadError
        Fewer than two samples, or a time that falls.
    """
    time_s = columns.time_s
    if len(time_s) < 2:
        raise ReadError(f"the file holds {len(time_s)} samples", expected="at least 2", where=path)
    falls = np.flatnonzero(np.diff(time_s) < 0)
    if len(falls):
        row = int(falls[0])
        raise ReadError(
            f"the time falls from {time_s[row]:g} s to {time_s[row + 1]:g} s "
            f"between the samples {row + 1} and {row + 2}",
            expected="samples in the order of time",
            where=path,
            mend="export each test into a file of its own",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    charge = columns.charge_mah
    return CyclerRecord(
        time_s,
        columns.current_a,
        columns.voltage_v,
        None if charge is None else charge - charge[0],
        reader,
        started,
        notes,
        description,
        Provenance.now("read", inputs=(f"{path.name} sha256:{digest}",)),
    )
