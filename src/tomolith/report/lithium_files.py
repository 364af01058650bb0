"""What the step ``measure`` left of the lithium and the cycler, read back for the figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import LabelClass
from tomolith.errors import ReadError
from tomolith.measure.map_files import MapEntry, read_index
from tomolith.measure.rows import SERIES, QuantityRow

Doubles = npt.NDArray[np.float64]

_MEANING = "95 %:"
_OF_SERIES = ("swelling", "li_change", "travelling_li")


@dataclass(frozen=True, slots=True)
class Point:
    """A number at a place of the x-axis; ``low`` and ``high`` are its 95 % interval or ``None``."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Numbers through the series, with a name, and in words what their intervals mean."""

    name: str
    points: tuple[Point, ...]
    meanings: tuple[str, ...] = ()

    @property
    def has_bars(self) -> bool:
        """Whether any number has an interval."""
        return any(p.low is not None for p in self.points)


@dataclass(frozen=True, slots=True)
class HalfCycle:
    """A stretch of pulses in one direction (1 charge, -1 discharge), in current-on minutes."""

    start_min: float
    stop_min: float
    direction: int


@dataclass(frozen=True, slots=True)
class CyclerScan:
    """A scan in the cycler's time, and the Li that charge and scans say has moved, in µm³."""

    scan: str
    after_pulse: int
    current_on_min: float
    expected_um3: float | None
    plating_um3: Point | None
    stripping_um3: Point | None


@dataclass(frozen=True, slots=True)
class Cycler:
    """What ``measurements/cycler.json`` says.

    Parameters
    ----------
    file
        Name of the cycler file.
    half_cycles, scans
        In the order of time.
    ratios
        By side: CT capacity over cycler capacity, at the later scan.
    notes
        Every decision, a sentence each.
    """

    file: str
    half_cycles: tuple[HalfCycle, ...]
    scans: tuple[CyclerScan, ...]
    ratios: tuple[Line, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Voltage:
    """Voltage against current-on time, one entry per sample under current.

    ``lowest_v`` and ``highest_v`` are the envelope: those of the pulse that the sample is of.
    """

    current_on_min: Doubles
    voltage_v: Doubles
    pulse: Doubles
    lowest_v: Doubles
    highest_v: Doubles


@dataclass(frozen=True)
class LithiumFiles:
    """All that the lithium figures are drawn from.

    Parameters
    ----------
    folder
        ``measurements/`` of the study.
    rows
        The table ``quantities``.
    classes
        Of the label maps, in the order of the schema.
    cycler, voltage, maps
        What is there of them.
    series
        Scans of one cell in the order of time; empty where the scans are not known to be one.
    """

    folder: Path
    rows: tuple[QuantityRow, ...]
    classes: tuple[LabelClass, ...]
    cycler: Cycler | None = None
    voltage: Voltage | None = None
    maps: tuple[MapEntry, ...] = ()
    series: tuple[str, ...] = ()

    @property
    def scans(self) -> tuple[str, ...]:
        """The scans of the series in the order of time, else all in the order of the table."""
        known = tuple(dict.fromkeys(r.scan for r in self.rows if r.scan != SERIES))
        return tuple(scan for scan in self.series if scan in known) or known

    @property
    def places(self) -> dict[str, float]:
        """Where on the x-axis each scan stands: minutes under current, else its number."""
        if self.cycler is None:
            return {scan: float(i) for i, scan in enumerate(self.scans)}
        on_min = {s.scan: s.current_on_min for s in self.cycler.scans}
        return {scan: on_min[scan] for scan in self.scans if scan in on_min}

    @property
    def stages(self) -> dict[str, str]:
        """The first scan, that at half cycle and the last, by what they are called."""
        scans = self.scans
        if not scans:
            return {}
        if len(scans) < 3:
            return dict(zip(("first", "last"), scans, strict=False))
        return {"first": scans[0], "half": self._half(scans), "last": scans[-1]}

    def _half(self, scans: Sequence[str]) -> str:
        places = self.places
        turns = [h.stop_min for h in self.cycler.half_cycles[:1]] if self.cycler else []
        inner = scans[1:-1]
        if not turns:
            return scans[len(scans) // 2]
        return min(inner, key=lambda scan: abs(places[scan] - turns[0]))

    def line(self, quantity: str, part: str, *, name: str = "") -> Line | None:
        """Return a number of every scan that has it; ``None`` where none has."""
        places = self.places
        found = [
            r
            for r in self.rows
            if (r.quantity, r.class_name) == (quantity, part)
            and r.scan in places
            and r.value is not None
        ]
        if not found:
            return None
        points = [Point(places[r.scan], float(r.value or 0.0), r.low, r.high) for r in found]
        return Line(
            name or part,
            tuple(sorted(points, key=lambda p: p.x)),
            tuple(dict.fromkeys(m for r in found if (m := _meaning(r)))),
        )

    def parts(self, quantity: str) -> tuple[str, ...]:
        """Return the parts that a quantity was measured of, in the order of the table."""
        return tuple(dict.fromkeys(r.class_name for r in self.rows if r.quantity == quantity))

    def unit(self, quantity: str) -> str:
        """Return the unit of a quantity, as stored."""
        return next((r.unit for r in self.rows if r.quantity == quantity), "")

    def map_of(self, scan: str, name: str) -> MapEntry | None:
        """Return a map of a scan; ``None`` where there is none."""
        return next((m for m in self.maps if (m.scan, m.map) == (scan, name)), None)

    def read(self, entry: MapEntry) -> npt.NDArray[np.float32]:
        """Return the values of a map.

        Raises
        ------
        ReadError
            The file is missing or damaged.
        """
        import tifffile

        path = self.folder / entry.file
        try:
            values = np.asarray(tifffile.imread(path), np.float32)
            if values.ndim != 2:
                raise ValueError(f"{values.ndim} axes, not 2")
        except Exception as error:  # tifffile raises many kinds for damaged files
            raise ReadError(
                f"the map '{entry.map}' of {entry.scan} cannot be read: {error}",
                where=path,
                mend="run the step 'measure' again",
            ) from error
        return values


def _meaning(row: QuantityRow) -> str:
    if row.low is None or row.low == row.high or _MEANING not in row.method:
        return ""
    return row.method.partition(_MEANING)[2].strip()


def read_lithium(
    folder: Path,
    rows: Sequence[QuantityRow],
    classes: Sequence[LabelClass],
    problems: list[str],
    *,
    series: Sequence[str] = (),
) -> LithiumFiles:
    """Read what lies beside the table; sentences about damaged files go to ``problems``.

    Parameters
    ----------
    folder
        ``measurements/`` of the study.
    rows
        The table ``quantities``.
    classes
        Of the label maps.
    problems
        Added to.
    series
        The scans that the recipe names as one cell; else those that have numbers of a series.
    """
    found: dict[str, Any] = {}
    for key, title, read in (
        ("cycler", "The cycler's numbers are", read_cycler),
        ("voltage", "The voltage is", _read_voltage),
        ("maps", "The plan maps are", read_index),
    ):
        try:
            found[key] = read(folder)
        except ReadError as error:
            problems.append(f"{title} not shown: {error.found}.")
    cycler = found.get("cycler")
    in_time = [s.scan for s in cycler.scans] if cycler else []
    changing = [r.scan for r in rows if r.quantity in _OF_SERIES]
    return LithiumFiles(
        folder,
        tuple(rows),
        tuple(classes),
        cycler,
        found.get("voltage"),
        found.get("maps", ()),
        tuple(dict.fromkeys(in_time or series or changing)),
    )


def read_cycler(folder: Path) -> Cycler | None:
    """Read ``cycler.json``; ``None`` where there is none, ``ReadError`` where it is damaged."""
    path = folder / "cycler.json"
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Cycler(
            file=PurePath(str(values["file"])).name,
            half_cycles=_half_cycles(values["pulses"]),
            scans=tuple(map(_cycler_scan, values["scans"])),
            ratios=_ratios(values["ratios"]),
            notes=tuple(map(str, values["notes"])),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise _damaged(path, error) from error


def _half_cycles(pulses: Sequence[dict[str, Any]]) -> tuple[HalfCycle, ...]:
    by_half: dict[int, list[dict[str, Any]]] = {}
    for pulse in pulses:
        by_half.setdefault(int(pulse["half_cycle"]), []).append(pulse)
    return tuple(
        HalfCycle(
            float(found[0]["current_on_start_min"]),
            float(found[-1]["current_on_stop_min"]),
            int(found[0]["direction"]),
        )
        for _, found in sorted(by_half.items())
    )


def _cycler_scan(entry: dict[str, Any]) -> CyclerScan:
    on_min, expected = float(entry["current_on_min"]), entry["expected_li_volume_um3"]
    return CyclerScan(
        str(entry["scan"]),
        int(entry["after_pulse"]),
        on_min,
        None if expected is None else float(expected),
        *(_point(on_min, entry[f"{side}_um3"]) for side in ("plating", "stripping")),
    )


def _point(x: float, values: Sequence[float | None] | None) -> Point | None:
    if not values or values[0] is None:
        return None
    return Point(x, float(values[0]), values[1], values[2])


def _ratios(entries: Sequence[dict[str, Any]]) -> tuple[Line, ...]:
    by_side: dict[str, list[Point]] = {}
    for e in entries:
        if e["ratio"] is not None:
            point = Point(float(e["current_on_min"]), float(e["ratio"]), e["low"], e["high"])
            by_side.setdefault(_side(str(e["side"])), []).append(point)
    return tuple(Line(side, tuple(points)) for side, points in by_side.items())


def _side(name: str) -> str:
    return name if name.endswith("side") else f"{name} side"


def _read_voltage(folder: Path) -> Voltage | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "voltage.parquet"
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
        columns = [
            np.asarray(table.column(name).to_numpy(), np.float64)
            for name in ("current_on_min", "voltage_v", "pulse", "lowest_v", "highest_v")
        ]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return Voltage(*columns)


def _damaged(path: Path, error: Exception) -> ReadError:
    return ReadError(
        f"'{path.name}' is damaged ({error})", where=path, mend="run the step 'measure' again"
    )
