"""Voltage while current flows: per pulse, and against the time under current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.core import CyclerRecord
from tomolith.measure.electrochemistry.pulses import Steps, current_on_s

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PulseVoltage:
    """Voltages of one pulse, in V.

    Parameters
    ----------
    pulse
        Its number.
    first_v, last_v
        At its first and its last sample.
    lowest_v, highest_v
        The envelope.
    rested_v
        At the end of the rest after it; ``None`` where there is none.
    """

    pulse: int
    first_v: float
    last_v: float
    lowest_v: float
    highest_v: float
    rested_v: float | None


@dataclass(frozen=True, slots=True, eq=False)
class OnCurve:
    """Voltage against current-on time, rests left out; one entry per sample under current.

    Parameters
    ----------
    on_s
        Shape (n,): the time during which current had flowed.
    voltage_v
        Shape (n,).
    pulse
        Shape (n,): number of the pulse.
    """

    on_s: Doubles
    voltage_v: Doubles
    pulse: npt.NDArray[np.int64]


def envelope(record: CyclerRecord, steps: Steps) -> tuple[PulseVoltage, ...]:
    """Return the voltages of every pulse: lowest and highest are the envelope of the curve.

    Examples
    --------
    >>> from tomolith.measure.electrochemistry.pulses import find_steps
    >>> record = CyclerRecord(
    ...     np.array([0.0, 10.0, 20.0, 20.0, 90.0]),
    ...     np.array([1.0, 1.0, 1.0, 0.0, 0.0]),
    ...     np.array([0.3, 0.1, 0.2, 0.05, 0.01]),
    ...     None,
    ... )
    >>> envelope(record, find_steps(record))[0]
    PulseVoltage(pulse=1, first_v=0.3, last_v=0.2, lowest_v=0.1, highest_v=0.3, rested_v=0.01)
    """
    rested = {rest.after_pulse: rest.stop_s for rest in steps.rests}
    found = []
    for pulse in steps.pulses:
        voltage = record.voltage_v[slice(*pulse.rows)]
        rested_v = None
        if pulse.number in rested:
            row = np.searchsorted(record.time_s, rested[pulse.number], side="left")
            later = np.flatnonzero(record.time_s[: row + 1] <= rested[pulse.number])
            rested_v = float(record.voltage_v[later[-1]])
        found.append(
            PulseVoltage(
                pulse.number,
                float(voltage[0]),
                float(voltage[-1]),
                float(voltage.min()),
                float(voltage.max()),
                rested_v,
            )
        )
    return tuple(found)


def on_curve(record: CyclerRecord, steps: Steps) -> OnCurve:
    """Return voltage against current-on time, as the papers draw it.

    Examples
    --------
    >>> from tomolith.measure.electrochemistry.pulses import find_steps
    >>> record = CyclerRecord(
    ...     np.array([0.0, 10.0, 10.0, 90.0, 90.0, 100.0]),
    ...     np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0]),
    ...     np.array([0.1, 0.1, 0.0, 0.0, 0.2, 0.2]),
    ...     None,
    ... )
    >>> curve = on_curve(record, find_steps(record))
    >>> curve.on_s.tolist(), curve.pulse.tolist()
    ([0.0, 10.0, 10.0, 20.0], [1, 1, 2, 2])
    """
    rows = [np.arange(*pulse.rows) for pulse in steps.pulses]
    numbers = [np.full(len(r), p.number) for r, p in zip(rows, steps.pulses, strict=True)]
    all_rows = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    pulse = np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)
    on_s = current_on_s(steps, record.time_s[all_rows])
    return OnCurve(on_s, record.voltage_v[all_rows], pulse.astype(np.int64))
