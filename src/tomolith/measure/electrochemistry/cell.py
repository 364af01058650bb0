"""A cycler file read, its pulses found, and the scans of a series matched to its rests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tomolith.core import CyclerRecord
from tomolith.errors import InputError, MismatchError
from tomolith.measure.electrochemistry.gaps import pulse_doubts
from tomolith.measure.electrochemistry.matching import (
    MatchedScan,
    ScanMatch,
    ScanTime,
    match_by_order,
    match_by_time,
    scan_times,
)
from tomolith.measure.electrochemistry.pulses import Pulse, Steps, current_on_s, find_steps
from tomolith.measure.electrochemistry.settings import CyclerSettings
from tomolith.store.cyclers import read_cycler

How = Literal["time", "order", "given"]


@dataclass(frozen=True, slots=True, eq=False)
class CycledCell:
    """What a cell went through, and in which state each scan shows it.

    Parameters
    ----------
    path
        The cycler's file.
    record, steps
        What it holds.
    match
        The scans, in the order of time.
    how
        What the scans were matched by.
    times
        When the scans were taken, on the scanner's clock; empty where nobody knows.
    electrode_area_cm2
        Of the whole cell.
    """

    path: Path
    record: CyclerRecord
    steps: Steps
    match: ScanMatch
    how: How
    times: tuple[ScanTime, ...]
    electrode_area_cm2: float

    @property
    def matched_by(self) -> str:
        """What the scans were matched by, in words."""
        return "'after_pulse'" if self.how == "given" else self.how

    @property
    def notes(self) -> tuple[str, ...]:
        """Every decision of reading, finding pulses and matching, one sentence each."""
        return (
            *self.record.notes,
            *self.steps.notes,
            *pulse_doubts(self.steps),
            *self.match.notes,
        )

    @property
    def doubts(self) -> tuple[str, ...]:
        """Those of the notes that a reader of the numbers must know."""
        return (*pulse_doubts(self.steps), *self.match.doubts)

    def pulses_between(self, first: MatchedScan, second: MatchedScan) -> tuple[Pulse, ...]:
        """Return the pulses after one scan and up to another."""
        numbers = range(first.after_pulse + 1, second.after_pulse + 1)
        return tuple(p for p in self.steps.pulses if p.number in numbers)

    def current_on_s(self, after_pulse: int) -> float:
        """Return for how long current had flowed after so many pulses."""
        if not after_pulse:
            return 0.0
        stop_s = self.steps.pulses[after_pulse - 1].stop_s
        return float(current_on_s(self.steps, np.array([stop_s]))[0])

    def cycler_time_s(self, scan: str) -> float | None:
        """Return when a scan began on the cycler's clock; ``None`` where nobody knows."""
        if self.match.clock_offset is None:
            return None
        start_s = next(t.start_s for t in self.times if t.name == scan)
        return start_s + self.match.clock_offset.value_s


def cycle_cell(
    settings: CyclerSettings,
    scans: Sequence[str],
    *,
    known_times_s: Mapping[str, float] | None = None,
) -> CycledCell:
    """Read a cycler file, find its pulses and rests, and match scans to them.

    Parameters
    ----------
    settings
        The file, and how to match.
    scans
        Names, in the order of time.
    known_times_s
        Times that the scans themselves bring along, in s on the scanner's clock; those of the
        settings go before them.

    Raises
    ------
    InputError
        The file cannot be read, has no pulse, or times are given for some scans only.
    MismatchError
        Its units contradict each other, or the scans do not fit its rests.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.phantom.cycler import simulate_cycler, write_mpt
    >>> from tomolith.phantom.protocol import Protocol
    >>> path = Path(tempfile.mkdtemp()) / "cell.mpt"
    >>> write_mpt(simulate_cycler(Protocol(n_pulses=1), key=1), path)
    >>> settings = CyclerSettings(path=str(path), electrode_area_cm2=0.5)
    >>> cell = cycle_cell(settings, ["fresh", "charged", "discharged"])
    >>> cell.how, [scan.after_pulse for scan in cell.match.scans]
    ('order', [0, 1, 2])
    """
    path = Path(settings.path)
    record = read_cycler(path, units=settings.units.units())
    limit_ma = settings.rest_below_ma
    steps = find_steps(record, rest_below_a=None if limit_ma is None else limit_ma / 1e3)
    if not steps.pulses:
        raise InputError(
            "the cycler file holds no pulse: no current flows",
            where=path,
            mend="name the file of the test during which the scans were taken",
        )
    if settings.after_pulse:
        match = _given(settings.after_pulse, scans, steps)
        return CycledCell(path, record, steps, match, "given", (), settings.electrode_area_cm2)
    times = _times(settings, scans, record, known_times_s or {})
    how: How = (
        "time" if settings.match == "time" or (settings.match == "auto" and times) else "order"
    )
    if how == "time" and not times:
        raise InputError(
            "'match: time' asks for the times of the scans, which are not known",
            mend="give 'scan_stamps' or 'scan_times_min', or 'match: order'",
        )
    try:
        if how == "time":
            match = match_by_time(steps, times, clock_offset_s=settings.clock_offset_s)
        else:
            match, times = match_by_order(steps, scans), ()
    except MismatchError as error:
        raise MismatchError(
            error.found, expected=error.expected, where=path, mend=error.mend
        ) from error
    return CycledCell(path, record, steps, match, how, times, settings.electrode_area_cm2)


def _given(after_pulse: Mapping[str, int], scans: Sequence[str], steps: Steps) -> ScanMatch:
    """Take the states as given; refuse such as there cannot be."""
    _for_each(after_pulse, scans, "after_pulse")
    states, n = [after_pulse[scan] for scan in scans], len(steps.pulses)
    wrong = [s for s in states if not 0 <= s <= n]
    if wrong or states != sorted(states):
        raise MismatchError(
            f"'after_pulse' gives {', '.join(map(str, states))} for the scans in their order",
            expected=f"rising numbers from 0 to {n}, which is how many pulses the file has",
            mend="correct 'after_pulse', or the order of the scans",
        )
    matched = tuple(MatchedScan(*pair) for pair in zip(scans, states, strict=True))
    return ScanMatch(matched, None, ("the recipe says after how many pulses each scan was taken",))


def _times(
    settings: CyclerSettings,
    scans: Sequence[str],
    record: CyclerRecord,
    known_times_s: Mapping[str, float],
) -> tuple[ScanTime, ...]:
    """Return the times of the scans from the settings, or those known; else nothing."""
    scan_s = 60 * settings.scan_min
    if settings.scan_stamps:
        stamps = settings.scan_stamps
        _for_each(stamps, scans, "scan_stamps")
        if record.started is None:
            raise InputError(
                "the cycler file does not say when it started, so time stamps mean nothing",
                where=settings.path,
                mend="give 'scan_times_min' instead, counted from the start of the test",
            )
        return scan_times(
            scans, [stamps[s] for s in scans], started=record.started, duration_s=scan_s
        )
    times_s = dict(known_times_s)
    if settings.scan_times_min:
        _for_each(settings.scan_times_min, scans, "scan_times_min")
        times_s = {scan: 60 * minutes for scan, minutes in settings.scan_times_min.items()}
    if settings.match == "order" or any(scan not in times_s for scan in scans):
        return ()
    return tuple(ScanTime(scan, times_s[scan], times_s[scan] + scan_s) for scan in scans)


def _for_each(given: Mapping[str, object], scans: Sequence[str], key: str) -> None:
    missing = [scan for scan in scans if scan not in given]
    strange = [scan for scan in given if scan not in scans]
    if missing or strange:
        raise InputError(
            f"'{key}' "
            + (f"says nothing of {', '.join(missing)}" if missing else "")
            + (" and " if missing and strange else "")
            + (f"names {', '.join(strange)}" if strange else ""),
            expected=f"one entry for each scan of the series: {', '.join(scans)}",
            mend=f"correct '{key}' under 'measure.cycler'",
        )
