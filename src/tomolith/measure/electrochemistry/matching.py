"""Which scan shows the cell in which rest, and how far the two clocks are apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from tomolith.errors import InputError, MismatchError
from tomolith.measure.electrochemistry.gaps import is_cut_off, pulse_doubts, state_after_end
from tomolith.measure.electrochemistry.pulses import Rest, Steps

Doubles = npt.NDArray[np.float64]

_N_NAMED = 3


@dataclass(frozen=True, slots=True)
class ScanTime:
    """When a scan was taken, in s on the scanner's clock; a mere stamp has ``start == stop``."""

    name: str
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """How far the cycler's clock is ahead of the scanner's.

    Parameters
    ----------
    value_s
        Half way between ``low_s`` and ``high_s``.
    low_s, high_s
        Every offset between them puts the scans into the same rests.
    n_inside
        How many scans then lie in a rest.
    others_s
        Offsets elsewhere that put as many scans into as many rests.
    """

    value_s: float
    low_s: float
    high_s: float
    n_inside: int
    others_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class MatchedScan:
    """A scan and the state of the cell: how many pulses came before it."""

    name: str
    after_pulse: int


@dataclass(frozen=True, slots=True)
class ScanMatch:
    """Scans matched to rests.

    Parameters
    ----------
    scans
        In the order of time.
    clock_offset
        Estimated or given; ``None`` where scans were matched by their order.
    notes
        What had to be decided, one sentence each.
    doubts
        Those of them that a reader of the numbers must know.
    """

    scans: tuple[MatchedScan, ...]
    clock_offset: ClockOffset | None
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def scan_times(
    names: Sequence[str], stamps: Sequence[datetime], *, started: datetime, duration_s: float = 0.0
) -> tuple[ScanTime, ...]:
    """Return the times of scans from time stamps, counted from the start of the cycler's test.

    Parameters
    ----------
    stamps
        Starts of the scans, local time without time zone like ``CyclerRecord.started``.

    Examples
    --------
    >>> day = datetime(2000, 1, 1)
    >>> scan_times(["a"], [datetime(2000, 1, 1, 0, 10)], started=day, duration_s=60)
    (ScanTime(name='a', start_s=600.0, stop_s=660.0),)
    """
    starts = [(stamp - started).total_seconds() for stamp in stamps]
    return tuple(ScanTime(name, s, s + duration_s) for name, s in zip(names, starts, strict=True))


def estimate_clock_offset(steps: Steps, scans: Sequence[ScanTime]) -> ClockOffset:
    """Return the offset that puts most scans whole into rests, and these into most rests.

    Where several do equally well, the one closest to 0; the others are reported.

    Raises
    ------
    MismatchError
        No offset puts any scan into a rest.

    Examples
    --------
    Rests of 20 min, pulses of 10 min; the cycler is 100 s ahead of the scanner:

    >>> rests = tuple(Rest(i, 1800.0 * i, 1800.0 * i + 1200.0) for i in range(3))
    >>> scans = [ScanTime(str(i), 1800.0 * i + 300, 1800.0 * i + 700) for i in range(3)]
    >>> found = estimate_clock_offset(Steps((), rests, 0.0), scans)
    >>> found.value_s, found.low_s, found.high_s, found.n_inside
    (100.0, -300.0, 500.0, 3)
    """
    lows = [r.start_s - s.start_s for r, s in itertools.product(steps.rests, scans)]
    highs = [r.stop_s - s.stop_s for r, s in itertools.product(steps.rests, scans)]
    fitting = [(low, high) for low, high in zip(lows, highs, strict=True) if low <= high]
    if not fitting:
        raise MismatchError(
            "no scan fits into any rest of the cycler file",
            expected="rests at least as long as a scan",
            mend="match by order, or check the times of the scans",
        )
    edges = np.unique(np.array(fitting))
    # an offset between two edges does what their middle does; the edges themselves count too
    offsets = np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))
    score = _score(steps.rests, scans, offsets)
    best = score == score.max()
    starts = np.flatnonzero(np.diff(best.astype(int), prepend=0) == 1)
    stops = np.flatnonzero(np.diff(best.astype(int), append=0) == -1)
    ranges = [(float(offsets[a]), float(offsets[b])) for a, b in zip(starts, stops, strict=True)]
    ranges.sort(key=lambda pair: abs(pair[0] + pair[1]))
    low_s, high_s = ranges[0]
    n_inside = int(score.max()) // (len(steps.rests) + 1)
    others = tuple((a + b) / 2 for a, b in ranges[1:])
    return ClockOffset((low_s + high_s) / 2, low_s, high_s, n_inside, others)


def match_by_time(
    steps: Steps, scans: Sequence[ScanTime], *, clock_offset_s: float | None = None
) -> ScanMatch:
    """Match scans to rests by time, after setting the clocks.

    Parameters
    ----------
    clock_offset_s
        How far the cycler's clock is ahead; estimated where not given.

    Raises
    ------
    InputError
        Scans out of order.
    MismatchError
        A scan lies in no rest. Before the first sample of the file the cell is taken to rest, and
        for as long as it rested between pulses after the last one too; a note says so. Or several
        offsets, of which none is 0, fit some of the scans, and none fits all.

    Examples
    --------
    >>> rests = (Rest(0, 0.0, 1200.0), Rest(1, 1800.0, 3000.0))
    >>> match = match_by_time(Steps((), rests, 0.0), [ScanTime("a", 2000.0, 2100.0)],
    ...                       clock_offset_s=0.0)
    >>> match.scans
    (MatchedScan(name='a', after_pulse=1),)
    """
    _refuse_disorder(scans)
    if clock_offset_s is None:
        offset = estimate_clock_offset(steps, scans)
        _refuse_ambiguity(offset, len(scans))
        notes = [_offset_note(offset, len(scans))]
    else:
        shifted = [(s.start_s + clock_offset_s, s.stop_s + clock_offset_s) for s in scans]
        n_inside = sum(_rest_of(steps, *times) is not None for times in shifted)
        offset = ClockOffset(clock_offset_s, clock_offset_s, clock_offset_s, n_inside)
        notes = [f"the clock offset was given as {clock_offset_s:g} s"]
    matched, doubts = [], []
    for scan in scans:
        start_s, stop_s = scan.start_s + offset.value_s, scan.stop_s + offset.value_s
        after = _state_at(steps, scan.name, start_s, stop_s)
        if after is None:
            raise _in_no_rest(steps, scan, start_s, stop_s)
        if _rest_of(steps, start_s, stop_s) is None:
            doubts.append(f"scan '{scan.name}' lies outside the file; the cell is taken to rest")
        matched.append(MatchedScan(scan.name, after))
    notes += [*doubts, *_shared_notes(matched)]
    return ScanMatch(tuple(matched), offset, tuple(notes), tuple(doubts))


def match_by_order(steps: Steps, names: Sequence[str]) -> ScanMatch:
    """Match scans to rests one to one, in order.

    Raises
    ------
    MismatchError
        There are as many scans neither as rests, nor as states of the cell; or the last scan
        follows a pulse in which the file may be cut off.

    Examples
    --------
    >>> rests = (Rest(0, 0.0, 1.0), Rest(1, 2.0, 3.0))
    >>> [s.after_pulse for s in match_by_order(Steps((), rests, 0.0), ["a", "b"]).scans]
    [0, 1]
    """
    states = [rest.after_pulse for rest in steps.rests]
    doubts: list[str] = []
    n_states = len(steps.pulses) + 1
    if len(names) != len(states) and len(names) == n_states:
        unseen = [str(s) for s in range(n_states) if s not in states]
        inner = [s for s in unseen if s not in ("0", str(n_states - 1))]
        if not inner and not is_cut_off(steps):
            doubts = [f"the file has no rest after pulse {', '.join(unseen)}; one was assumed"]
            states = list(range(n_states))
    if len(names) != len(states):
        raise MismatchError(
            f"{len(names)} scans, but {len(states)} rests and {len(steps.pulses)} pulses in the "
            "cycler file" + "".join(f"; {doubt}" for doubt in pulse_doubts(steps)),
            expected="one scan per rest",
            mend="say when the scans were taken ('scan_stamps' or 'scan_times_min' under "
            "'measure.cycler'), or after which pulse ('after_pulse')",
        )
    matched = [MatchedScan(name, state) for name, state in zip(names, states, strict=True)]
    notes = ("scans were matched to rests by their order", *doubts)
    return ScanMatch(tuple(matched), None, notes, tuple(doubts))


def _score(rests: Sequence[Rest], scans: Sequence[ScanTime], offsets: Doubles) -> Doubles:
    """Return, for each offset, scans in rests first and different rests second, as one number."""
    starts = np.array([rest.start_s for rest in rests])
    stops = np.array([rest.stop_s for rest in rests])
    begin = offsets[:, None] + np.array([scan.start_s for scan in scans])
    end = offsets[:, None] + np.array([scan.stop_s for scan in scans])
    tiny_s = 1e-6  # edges were found by subtraction
    rest = np.searchsorted(starts, begin + tiny_s, side="right") - 1
    inside = (rest >= 0) & (end <= stops[rest] + tiny_s)
    where = np.sort(np.where(inside, rest, -1), axis=1)
    new = np.diff(where, axis=1, prepend=-1) > 0
    score: Doubles = inside.sum(axis=1) * (len(rests) + 1.0) + new.sum(axis=1)
    return score


def _rest_of(steps: Steps, start_s: float, stop_s: float) -> Rest | None:
    inside = (r for r in steps.rests if r.start_s <= start_s and stop_s <= r.stop_s)
    return next(inside, None)


def _state_at(steps: Steps, scan: str, start_s: float, stop_s: float) -> int | None:
    """Return how many pulses came before; ``None`` where current flows or may have flowed."""
    rest = _rest_of(steps, start_s, stop_s)
    if rest is not None:
        return rest.after_pulse
    edges = [e for p in steps.pulses for e in (p.start_s, p.stop_s)]
    edges += [e for r in steps.rests for e in (r.start_s, r.stop_s)]
    if edges and stop_s <= min(edges):
        return 0
    if steps.pulses and stop_s >= max(edges) and start_s >= steps.pulses[-1].stop_s:
        return state_after_end(steps, scan, stop_s)
    return None


def _in_no_rest(steps: Steps, scan: ScanTime, start_s: float, stop_s: float) -> MismatchError:
    running = [p.number for p in steps.pulses if p.start_s < stop_s and start_s < p.stop_s]
    during = f", while pulse {running[0]} runs" if running else ""
    return MismatchError(
        f"scan '{scan.name}' lies in no rest: {start_s:g} to {stop_s:g} s on the cycler's clock"
        f"{during}",
        expected="every scan within one rest",
        mend="leave the scan out, give the clock offset, or match by order",
    )


def _refuse_disorder(scans: Sequence[ScanTime]) -> None:
    for first, second in itertools.pairwise(scans):
        if second.start_s < first.start_s:
            raise InputError(
                f"scan '{second.name}' ({second.start_s:g} s) is listed after '{first.name}' "
                f"({first.start_s:g} s), but was taken before it",
                expected="scans in the order of time",
                mend="put the scans in order, or correct their times",
            )


def _refuse_ambiguity(offset: ClockOffset, n_scans: int) -> None:
    """Refuse to choose among offsets that leave scans outside all rests, unless 0 is one."""
    if offset.n_inside == n_scans or not offset.others_s or offset.low_s <= 0 <= offset.high_s:
        return
    raise MismatchError(
        f"{len(offset.others_s) + 1} clock offsets put {offset.n_inside} of {n_scans} scans into "
        f"rests: {_listed((offset.value_s, *offset.others_s))} s; none puts all",
        expected="one offset, or scans that all lie in rests",
        mend="a rest may be missing in the file: export the whole test. If the clocks are known, "
        "give 'clock_offset_s', else 'after_pulse', under 'measure.cycler'",
    )


def _listed(offsets_s: Sequence[float]) -> str:
    more = ", ..." if len(offsets_s) > _N_NAMED else ""
    return ", ".join(f"{value:g}" for value in offsets_s[:_N_NAMED]) + more


def _offset_note(offset: ClockOffset, n_scans: int) -> str:
    note = (
        f"the cycler's clock is {offset.value_s:g} s ahead of the scanner's, estimated from "
        f"{offset.n_inside} of {n_scans} scans ({offset.low_s:g} to {offset.high_s:g} s do as well)"
    )
    if offset.others_s:
        note += f"; ambiguous: {_listed(offset.others_s)} s would fit too"
    return note


def _shared_notes(matched: Sequence[MatchedScan]) -> list[str]:
    pairs = itertools.pairwise(matched)
    return [
        f"scans '{a.name}' and '{b.name}' lie in the same rest, after pulse {a.after_pulse}"
        for a, b in pairs
        if a.after_pulse == b.after_pulse
    ]
