"""Neware: CSV exports of its data software, flat or in three layers.

Source of the layouts: headings of BTS 7 (``Record ID``, ``Time(h:min:s.ms)``,
``Capacitance_Chg(mAh)``) and of BTSDA 8 (``DataPoint``, ``Time``, ``Chg. Cap.(Ah)``), as public
readers of these files name them. No real export was at hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Columns, Doubles, make_record, parse_stamp
from tomolith.store.cyclers.charge import accumulate_signed, stated_charge
from tomolith.store.cyclers.headings import CyclerUnits, split_heading
from tomolith.store.cyclers.neware import add_up
from tomolith.store.cyclers.table import Table, head_of, parse_table, read_text

_RECORD = {"record id", "datapoint", "record index"}
_CURRENT, _VOLTAGE = ("current", "cur"), ("voltage",)
_STEP = ("step id", "step index", "step")
_STEP_TIME = ("time", "relative time", "step time")
_STAMP = ("realtime", "date", "absolute time")
_CHARGED = ("capacitance chg", "chg. cap.", "capacity-chg")
_BACK = ("capacitance dchg", "dchg. cap.", "capacity-dchg")
_CLOCK = re.compile(r"(?:(\d+)[- ])?(\d+):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
_LAYERS = 3  # cycles, steps and records, each with a line of titles


class NewareCsvReader:
    """Neware CSV exports of BTS 7 and BTSDA 8 (.csv)."""

    def sniff(self, path: Path) -> bool:
        """Tell by the titles of the records, in the first line or in the third."""
        return _titles_at(head_of(path).replace("\r", "").split("\n")) is not None

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read a Neware export; the time of its steps is added up.

        Raises
        ------
        ReadError
            A column is missing, or a row incomplete.
        """
        lines = read_text(path).split("\n")
        at = _titles_at(lines) or 0
        separator = _separator(lines[at])
        text = "\n".join(_flat(lines, at, separator, path) if at else lines)
        table = parse_table(text, path, separator=separator, n_before=at).with_units(units)
        current_a = table.needed("current", *_CURRENT)
        charge = stated_charge(table, _CHARGED, _BACK)
        if charge is None:
            counter = table.numbers("charge", "capacity")
            charge = None if counter is None else accumulate_signed(counter, np.sign(current_a))
        columns = Columns(_time_s(table), current_a, table.needed("voltage", *_VOLTAGE), charge)
        first = (table.texts(*_STAMP) or [""])[0]
        return make_record(path, columns, reader="neware-csv", started=parse_stamp(first))


def _separator(titles: str) -> str:
    return "\t" if titles.count("\t") > titles.count(",") else ","


def _titles_at(lines: Sequence[str]) -> int | None:
    """Return which line holds the titles of the records; ``None`` where none of the first does."""
    for at, line in enumerate(lines[:_LAYERS]):
        titles = {split_heading(title)[0] for title in line.split(_separator(line))}
        if titles & _RECORD and titles & {*_CURRENT} and titles & {*_VOLTAGE}:
            return at
    return None


def _flat(lines: Sequence[str], at: int, separator: str, path: Path) -> list[str]:
    """Return the records of a file in layers, each with the number of its step.

    Titles and rows of records begin with as many empty fields as there are layers above them.

    Raises
    ------
    ReadError
        A record has fewer fields than there are titles.
    """
    found, step = [f"Step ID{separator}{lines[at][at:]}"], 0
    n_fields = len(lines[at].rstrip(separator).split(separator))
    for number, line in enumerate(lines[at + 1 :], start=at + 2):
        fields = line.split(separator)
        if not line.strip() or any(field.strip() for field in fields[:at]):
            step += bool(line.strip())
            continue
        if len(fields) < n_fields:
            raise ReadError(
                f"line {number}: a record of {len(fields)} fields",
                expected=f"{n_fields} fields, as there are titles",
                where=path,
                mend="the file may be cut off: export it again, or delete the incomplete row",
            )
        found.append(f"{step}{separator}{line[at:]}")
    return found


def _time_s(table: Table) -> Doubles:
    """Return the time since the start, from the clock of each step."""
    texts = table.texts(*_STEP_TIME)
    if texts is None:
        return table.needed("time", *_STEP_TIME)
    if ":" not in texts[0]:
        step_s = table.needed("time", *_STEP_TIME, unit="s")
    else:
        step_s = np.array([_seconds(text, i, table) for i, text in enumerate(texts)])
    steps = table.plain(*_STEP)
    return add_up(step_s, np.zeros(len(step_s)) if steps is None else steps)


def _seconds(text: str, row: int, table: Table) -> float:
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        raise ReadError(
            f"line {table.first_line + row}: the time of the step is '{text}'",
            expected="hours, minutes and seconds, such as 1:02:03.5",
            where=table.path,
            mend="the file may be cut off: export it again, or delete the incomplete row",
        )
    days, hours, minutes, seconds = (float(part or 0) for part in clock.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + seconds
