"""Novonix UHPC exports."""

from __future__ import annotations

import re
from pathlib import Path

from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Columns, make_record, parse_stamp
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import head_of, parse_table, read_text

_DATA = "\n[Data]\n"
_STARTED = re.compile(r"^Started:\s*(.+)$", re.MULTILINE)
_SHOWN = ("Channel:", "Cell:", "Description:", "Capacity (Ah):")


class NovonixReader:
    """Novonix UHPC exports (.csv)."""

    def sniff(self, path: Path) -> bool:
        """Tell by the summary that stands before the data."""
        head = head_of(path, 256)
        return head.startswith("[Summary]") and "Novonix" in head

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read a Novonix export; its capacity is a balance.

        Raises
        ------
        ReadError
            The data, or a column of them, are missing or incomplete.
        """
        text = read_text(path)
        summary, mark, body = text.partition(_DATA)
        if not mark:
            raise ReadError(
                "the part [Data] is missing", where=path, mend="it is cut off: export it again"
            )
        n_before = summary.count("\n") + 2
        table = parse_table(body, path, separator=",", n_before=n_before).with_units(units)
        columns = Columns(
            table.needed("time", "run time"),
            table.needed("current", "current"),
            table.needed("voltage", "potential", "voltage"),
            table.numbers("charge", "capacity"),
        )
        started = _STARTED.search(summary)
        return make_record(
            path,
            columns,
            reader="novonix",
            started=parse_stamp(started[1]) if started else None,
            description=tuple(x for x in summary.split("\n") if x.startswith(_SHOWN)),
        )
