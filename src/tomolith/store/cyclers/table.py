"""A table of a cycler file: headings with units over columns."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from tomolith.errors import ReadError
from tomolith.store.cyclers.headings import CyclerUnits, Kind, split_heading, unit_factor

Doubles = npt.NDArray[np.float64]

_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Table:
    r"""Columns of a cycler file.

    Parameters
    ----------
    path
        The file, for messages.
    frame
        One column per heading; equal headings are told apart by pandas.
    first_line
        Where the first row stands in the file, counted from 1.
    units
        Units that go before those of the headings.

    Examples
    --------
    >>> table = parse_table("t/s\tI/mA\n0\t1,5\n1\t1,5\n", Path("a"), separator="\t")
    >>> table.numbers("current", "i").tolist()
    [0.0015, 0.0015]
    """

    path: Path
    frame: pd.DataFrame
    first_line: int = 1
    units: CyclerUnits = field(default_factory=CyclerUnits)

    def with_units(self, units: CyclerUnits) -> Table:
        """Return the table with units that go before those of the headings."""
        return replace(self, units=units)

    def heading(self, *names: str, kind: Kind | None = None) -> str | None:
        """Return the heading of the first of ``names`` (without units) that there is.

        Of several with that name, such as ``control/V`` and ``control/mA``, the one with a unit
        of ``kind``.
        """
        for name in names:
            named = [str(h) for h in self.frame.columns if split_heading(str(h))[0] == name]
            fitting = [h for h in named if kind and unit_factor(split_heading(h)[1], kind)]
            if named:
                return (fitting or named)[0]
        return None

    def texts(self, *names: str) -> list[str] | None:
        """Return a column as it stands."""
        heading = self.heading(*names)
        return None if heading is None else [str(v).strip() for v in self.frame[heading].tolist()]

    def plain(self, *names: str) -> Doubles | None:
        """Return a column of plain numbers.

        Raises
        ------
        ReadError
            A row holds no finite number.
        """
        return self._read(self.heading(*names))

    def _read(self, heading: str | None) -> Doubles | None:
        if heading is None:
            return None
        numbers = pd.to_numeric(self.frame[heading], errors="coerce")
        values: Doubles = np.array(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise ReadError(
                f"line {self.first_line + int(bad[0])}: the column '{heading}' holds "
                f"{_shown(self.frame[heading].iloc[int(bad[0])])}",
                expected="a finite number in every row",
                where=self.path,
                mend="the file may be cut off: export it again, or delete the incomplete row",
            )
        return values

    def numbers(self, kind: Kind, *names: str, unit: str = "") -> Doubles | None:
        """Return a column in s, A, V or mAh; ``unit`` serves where its heading names none.

        Raises
        ------
        ReadError
            A row holds no finite number, or the unit is unknown.
        """
        heading = self.heading(*names, kind=kind)
        if heading is None:
            return None
        stated = self.units.of(kind) or split_heading(heading)[1] or unit
        factor = unit_factor(stated, kind)
        if factor is None:
            raise ReadError(
                f"the column '{heading}' has the unit '{stated}'",
                expected=f"a unit of {kind}",
                where=self.path,
                mend=f"state it: CyclerUnits({kind}=...)",
            )
        values = self._read(heading)
        return None if values is None else values * factor

    def needed(self, kind: Kind, *names: str, unit: str = "") -> Doubles:
        """Return a column as :meth:`numbers`, or refuse the file without it.

        Raises
        ------
        ReadError
            There is no such column, or it cannot be read.
        """
        values = self.numbers(kind, *names, unit=unit)
        if values is None:
            headings = [str(h) for h in self.frame.columns]
            more = f" and {len(headings) - _SHOWN} more" if len(headings) > _SHOWN else ""
            raise ReadError(
                f"there is no column of the {kind}; found {', '.join(headings[:_SHOWN])}{more}",
                expected=f"one of {', '.join(names)}",
                where=self.path,
                mend=f"export it again with the {kind}",
            )
        return values


def _shown(cell: object) -> str:
    """Return a cell as people say it: nothing where it is empty, else as it stands."""
    return "nothing" if cell is None or cell != cell else f"'{cell}'"


def read_text(path: Path) -> str:
    """Return a text file, UTF-8 with or without mark, else Latin-1, with plain line ends.

    Raises
    ------
    ReadError
        The file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(f"the file cannot be read: {error.strerror}", where=path) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def head_of(path: Path, n_bytes: int = 8192) -> str:
    """Return the beginning of a file as text for sniffing; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(n_bytes).removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    except OSError:
        return ""


def parse_table(text: str, path: Path, *, separator: str, n_before: int = 0) -> Table:
    """Parse a heading line and the rows below it; a decimal comma is recognised.

    Parameters
    ----------
    text
        From the heading line on.
    separator
        Between columns.
    n_before
        Lines of the file before ``text``.

    Raises
    ------
    ReadError
        No rows, or rows longer than the heading.
    """
    heading_line, _, body = text.partition("\n")
    headings = _unique(heading_line.split(separator))
    if not body.strip():
        raise ReadError(
            "the file has a heading but no rows", where=path, mend="export the whole test"
        )
    first = body.split("\n", 1)[0]
    comma = separator != "," and re.search(r"\d,\d", first) and not re.search(r"\d\.\d", first)
    try:
        frame = pd.read_csv(
            io.StringIO(body),
            sep=separator,
            header=None,
            names=headings,
            index_col=False,
            decimal="," if comma else ".",
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise ReadError(
            f"the rows do not fit the heading: {error}",
            expected=f"{len(headings)} columns in every row",
            where=path,
            mend="export it again",
        ) from error
    while len(frame) and frame.iloc[-1].isna().all():
        frame = frame.iloc[:-1]
    return Table(path, frame, n_before + 2)


def _unique(headings: list[str]) -> list[str]:
    """Return headings of which none is empty or there twice."""
    seen: list[str] = []
    for place, heading in enumerate(headings):
        name = heading.strip() or f"column {place + 1}"
        seen.append(f"{name} #{place + 1}" if name in seen else name)
    return seen
