"""Pulses and rests of a cycler record, and the time during which current flowed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tomolith.core import CyclerRecord
from tomolith.errors import MismatchError
from tomolith.store.cyclers.check import balance

Doubles = npt.NDArray[np.float64]

REST_FRAC = 0.02
"""A current below this share of the largest is a rest."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """A stretch of current in one direction.

    Parameters
    ----------
    number
        From 1, in the order of time.
    direction
        1 on charge, -1 on discharge.
    half_cycle
        From 0; one more with every change of direction.
    start_s, stop_s
        On the cycler's clock.
    rows
        First row and one past the last row of the record.
    current_ma
        Mean, with sign.
    charge_mah
        With sign: as stated by the file, or current × time where it states none.
    """

    number: int
    direction: int
    half_cycle: int
    start_s: float
    stop_s: float
    rows: tuple[int, int]
    current_ma: float
    charge_mah: float


@dataclass(frozen=True, slots=True)
class Rest:
    """A stretch without current; ``after_pulse`` pulses came before it."""

    after_pulse: int
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class Steps:
    """What a cell went through.

    Parameters
    ----------
    pulses, rests
        In the order of time.
    rest_below_a
        Currents up to this count as rest.
    notes
        What had to be decided, one sentence each.
    """

    pulses: tuple[Pulse, ...]
    rests: tuple[Rest, ...]
    rest_below_a: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Run:
    sign: int
    first: int
    stop: int


def find_steps(
    record: CyclerRecord, *, rest_below_a: float | None = None, shortest_s: float = 1.0
) -> Steps:
    """Detect pulses and rests.

    Parameters
    ----------
    rest_below_a
        Currents up to this size are a rest; 2 % of the largest where not given.
    shortest_s
        What is shorter belongs to the stretch before it: cyclers write single rows without
        current where a step begins. A note says how often.

    Raises
    ------
    MismatchError
        The charge that the file states for one pulse, and current × time, differ by more than
        1 %.

    Examples
    --------
    >>> time_s = np.array([0.0, 1200.0, 1200.0, 1800.0, 1800.0, 3000.0])
    >>> current_a = np.array([0.0, 0.0, 7.5e-4, 7.5e-4, 0.0, 0.0])
    >>> steps = find_steps(CyclerRecord(time_s, current_a, np.zeros(6), None))
    >>> [(p.start_s, p.stop_s, round(p.charge_mah, 6)) for p in steps.pulses]
    [(1200.0, 1800.0, 0.125)]
    >>> [(r.after_pulse, r.start_s, r.stop_s) for r in steps.rests]
    [(0, 0.0, 1200.0), (1, 1800.0, 3000.0)]
    """
    largest_a = float(np.abs(record.current_a).max())
    limit_a = REST_FRAC * largest_a if rest_below_a is None else rest_below_a
    runs, n_joined = _join_short(record, _runs(record, limit_a), shortest_s)
    pulses: list[Pulse] = []
    rests: list[Rest] = []
    for place, run in enumerate(runs):
        start_s, stop_s = _extent_s(record, run)
        if not run.sign:
            rests.append(Rest(len(pulses), start_s, stop_s))
            continue
        rest_follows = place + 1 < len(runs) and not runs[place + 1].sign
        pulses.append(_pulse(record, run, pulses[-1] if pulses else None, rest_follows))
    note = f"{n_joined} stretches shorter than {shortest_s:g} s belong to the ones before them"
    return Steps(tuple(pulses), tuple(rests), limit_a, (note,) if n_joined else ())


def current_on_s(steps: Steps, time_s: Doubles) -> Doubles:
    """Return for how long current had flowed at each time: the axis of the papers' figures.

    Examples
    --------
    >>> pulses = (
    ...     Pulse(1, 1, 0, 10.0, 20.0, (0, 1), 1.0, 1.0),
    ...     Pulse(2, 1, 0, 50.0, 60.0, (1, 2), 1.0, 1.0),
    ... )
    >>> current_on_s(Steps(pulses, (), 0.0), np.array([0.0, 15.0, 30.0, 55.0, 90.0])).tolist()
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    if not steps.pulses:
        return np.zeros_like(time_s, dtype=np.float64)
    edges = np.array([edge for p in steps.pulses for edge in (p.start_s, p.stop_s)])
    lengths = np.array([length for p in steps.pulses for length in (0.0, p.stop_s - p.start_s)])
    return np.asarray(np.interp(time_s, edges, np.cumsum(lengths)), dtype=np.float64)


def _runs(record: CyclerRecord, limit_a: float) -> list[_Run]:
    current = record.current_a
    signs = np.where(np.abs(current) <= limit_a, 0, np.sign(current)).astype(int)
    first = np.flatnonzero(np.diff(signs, prepend=2)).tolist()
    stops = [*first[1:], len(signs)]
    return [_Run(int(signs[a]), a, b) for a, b in zip(first, stops, strict=True)]


def _extent_s(record: CyclerRecord, run: _Run) -> tuple[float, float]:
    """Return start and stop: half way between the rows on either side of an edge."""
    time_s, first, last = record.time_s, run.first, run.stop - 1
    before, after = max(first - 1, 0), min(last + 1, len(time_s) - 1)
    return (
        float(time_s[before] + time_s[first]) / 2,
        float(time_s[last] + time_s[after]) / 2,
    )


def _join_short(
    record: CyclerRecord, runs: list[_Run], shortest_s: float
) -> tuple[list[_Run], int]:
    """Give short runs to the run before them (the first: to the next), and join equals."""
    joined: list[_Run] = []
    n_short = 0
    for run in runs:
        start_s, stop_s = _extent_s(record, run)
        short = stop_s - start_s < shortest_s and len(runs) > 1
        n_short += short
        if joined and (short or joined[-1].sign == run.sign):
            joined[-1] = replace(joined[-1], stop=run.stop)
        else:
            joined.append(run)
    if len(joined) > 1 and np.subtract(*_extent_s(record, joined[0])[::-1]) < shortest_s:
        joined[:2] = [replace(joined[1], first=joined[0].first)]
    return joined, n_short


def _pulse(record: CyclerRecord, run: _Run, last: Pulse | None, rest_follows: bool) -> Pulse:
    start_s, stop_s = _extent_s(record, run)
    # in a rest nothing passes, so its first row has all of the pulse, the row before the last edge
    first, stop = max(run.first - 1, 0), run.stop + rest_follows
    passed = record.passed_mah()
    charge_mah = float(passed[stop - 1] - passed[first])
    if record.charge_mah is not None and stop - first > 1:
        _check_pulse(record, slice(first, stop), run.sign)
    half_cycle = 0 if last is None else last.half_cycle + (last.direction != run.sign)
    return Pulse(
        number=1 if last is None else last.number + 1,
        direction=run.sign,
        half_cycle=half_cycle,
        start_s=start_s,
        stop_s=stop_s,
        rows=(run.first, run.stop),
        current_ma=1e3 * float(record.current_a[run.first : run.stop].mean()),
        charge_mah=charge_mah,
    )


def _check_pulse(record: CyclerRecord, rows: slice, direction: int) -> None:
    assert record.charge_mah is not None
    part = CyclerRecord(
        record.time_s[rows],
        record.current_a[rows],
        record.voltage_v[rows],
        record.charge_mah[rows],
    )
    found = balance(part, direction)
    if not found.agrees:
        raise MismatchError(
            f"in the pulse from {part.time_s[0]:g} s to {part.time_s[-1]:g} s the file states "
            f"{found.stated_mah:.6g} mAh, but current × time gives {found.integrated_mah:.6g} mAh",
            expected="agreement within 1 %",
            where="; ".join(record.provenance.inputs) or None,
            mend="samples may be missing: export the test again with all of them",
        )
