"""Basytec text exports."""

from __future__ import annotations

import re
from pathlib import Path

from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import Columns, make_record, parse_stamp
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.table import head_of, parse_table, read_text

_STARTED = re.compile(r"^~Start of Test:\s*(.+)$", re.MULTILINE)
_SHOWN = ("~Name of Test:", "~Battery:", "~Testplan:", "~Testchannel:")


class BasytecReader:
    """Basytec text exports (.txt)."""

    def sniff(self, path: Path) -> bool:
        """Tell by the first line."""
        return head_of(path, 256).startswith("~Resultfile from Basytec")

    def read(self, path: Path, *, units: CyclerUnits) -> CyclerRecord:
        """Read a Basytec export; its column ``Ah[Ah]`` is a balance.

        Raises
        ------
        ReadError
            The titles or a column are missing or incomplete.
        """
        text = read_text(path)
        lines = text.split("\n")
        titles = next((i for i, line in enumerate(lines) if line.startswith("~Time[")), None)
        if titles is None:
            raise ReadError(
                "no line of titles, which begins with '~Time['", where=path, mend="export it again"
            )
        body = "\n".join(lines[titles:])
        table = parse_table(body, path, separator="\t", n_before=titles).with_units(units)
        columns = Columns(
            table.needed("time", "time"),
            table.needed("current", "i"),
            table.needed("voltage", "u"),
            table.numbers("charge", "ah"),
        )
        started = _STARTED.search(text)
        return make_record(
            path,
            columns,
            reader="basytec",
            started=parse_stamp(started[1]) if started else None,
            description=tuple(x[1:] for x in lines[:titles] if x.startswith(_SHOWN)),
        )
