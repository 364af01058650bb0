"""The Battery Data Format: CSV with the Battery Data Alliance's preferred labels."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tomolith.core.cycler import CyclerRecord
from tomolith.store.cyclers.base import Columns, make_record
from tomolith.store.cyclers.charge import stated_charge
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import head_of, parse_table, read_text

_CHARGED = ("charging capacity", "charge capacity", "cumulative charging capacity")
_BACK = ("discharging capacity", "discharge capacity", "cumulative discharging capacity")


class BdfReader:
    """Battery Data Format (.bdf.csv)."""

    def sniff(self, path: Path) -> bool:
        """Tell whether the first line holds labels such as ``Test Time / s``."""
        labels = {label.split(" / ")[0] for label in head_of(path).split("\n", 1)[0].split(",")}
        return {"Test Time", "Current", "Voltage"} <= labels

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read a BDF file; its start is known where it has the column ``Unix Time / s`` (UTC).

        Raises
        ------
        ReadError
            A column is missing or incomplete.
        """
        table = parse_table(read_text(path), path, separator=",").with_units(units)
        charge = table.numbers("charge", "net capacity")
        if charge is None:
            charge = stated_charge(table, _CHARGED, _BACK)
        columns = Columns(
            table.needed("time", "test time"),
            table.needed("current", "current"),
            table.needed("voltage", "voltage"),
            charge,
        )
        unix_s = table.plain("unix time")
        started = None
        if unix_s is not None:
            stamp = datetime.fromtimestamp(float(unix_s[0] - columns.time_s[0]), UTC)
            started = stamp.replace(tzinfo=None)
        notes = () if started is None else ("the start is in UTC",)
        names = (table.texts("protocol name") or [""])[:1]
        description = tuple(f"protocol: {name}" for name in names if name not in ("", "0", "nan"))
        return make_record(
            path, columns, reader="bdf", started=started, notes=notes, description=description
        )
