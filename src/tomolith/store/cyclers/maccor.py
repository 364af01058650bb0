"""Maccor text exports."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Columns, Doubles, make_record, parse_stamp
from tomolith.store.cyclers.charge import accumulate_signed
from tomolith.store.cyclers.headings import CyclerUnits, split_heading
from tomolith.store.cyclers.table import Table, head_of, parse_table, read_text

_STARTED = re.compile(r"Date of Test:\s*[,\t]\s*([^,\t\n]+)")
_STATE = ("state", "md", "es")
_UNITS = "the headings name no units; A, Ah and s were taken, as Maccor exports them by default"
_GUESSED = (
    "there is no column of the state: the direction of each run of current was taken from the "
    "jump of the voltage where it starts"
)


class MaccorReader:
    """Maccor text exports (.csv, .txt)."""

    def sniff(self, path: Path) -> bool:
        """Tell by the line of dates that stands before the titles."""
        return head_of(path).startswith("Today's Date") and "Date of Test" in head_of(path)

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read a Maccor export, whose current and capacity bear no sign.

        Raises
        ------
        ReadError
            The titles or a column are missing or incomplete.
        """
        text = read_text(path)
        lines = text.split("\n")
        titles = next((i for i, line in enumerate(lines) if line.startswith("Rec")), None)
        if titles is None:
            raise ReadError(
                "no line of titles, which begins with 'Rec'", where=path, mend="export it again"
            )
        separator = "\t" if "\t" in lines[titles] else ","
        body = "\n".join(lines[titles:])
        table = parse_table(body, path, separator=separator, n_before=titles).with_units(units)
        time_s = table.needed("time", "test time", unit="s")
        size_a = np.abs(table.needed("current", "current", unit="A"))
        voltage_v = table.needed("voltage", "voltage", "volts", unit="V")
        capacity = table.numbers("charge", "capacity", "cap.", unit="Ah")
        sign, notes = _signs(table, size_a, voltage_v)
        if split_heading(table.heading("current") or "")[1] == "":
            notes = (_UNITS, *notes)
        charge = None if capacity is None else accumulate_signed(capacity, sign)
        started = _STARTED.search(text[:500])
        return make_record(
            path,
            Columns(time_s, sign * size_a, voltage_v, charge),
            reader="maccor",
            started=parse_stamp(started[1]) if started else None,
            notes=notes,
        )


def _signs(table: Table, size_a: Doubles, voltage_v: Doubles) -> tuple[Doubles, tuple[str, ...]]:
    """Return +1 on charge, -1 on discharge and 0 at rest, and what had to be decided."""
    states = table.texts(*_STATE)
    if states is not None:
        letters = np.array([state[:1].upper() for state in states])
        return np.where(letters == "D", -1.0, np.where(letters == "C", 1.0, 0.0)), ()
    flows = size_a > 0
    steps = table.plain("step")
    new = np.diff(flows, prepend=False)
    if steps is not None:
        new |= np.diff(steps, prepend=steps[0]) != 0
    run = np.cumsum(new)
    first = np.flatnonzero(np.diff(run, prepend=-1))
    rises = voltage_v[first] >= voltage_v[np.maximum(first - 1, 0)]
    signs = np.where(rises, 1.0, -1.0)[run - run[0]]
    return np.where(flows, signs, 0.0), (_GUESSED,)
