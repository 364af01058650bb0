"""What a cycler file may lack: a rest between two pulses, or its end."""

from __future__ import annotations

import numpy as np

from tomolith.errors import MismatchError
from tomolith.measure.electrochemistry.pulses import Pulse, Steps

LONG = 1.5
"""A pulse of so many medians may be two, the rest between them missing."""

_WHOLE_FRAC = 0.99  # of the median of the other pulses: a last pulse that is shorter may be cut
_N_NAMED = 5


def pulse_doubts(steps: Steps) -> tuple[str, ...]:
    """Return what looks as if the file lacked something, a sentence each.

    Examples
    --------
    >>> pulses = tuple(
    ...     Pulse(i + 1, 1, 0, start_s, stop_s, (10 * i, 10 * i + 9), 1.0, 1.0)
    ...     for i, (start_s, stop_s) in enumerate([(0, 60), (90, 210), (300, 360), (390, 420)])
    ... )
    >>> for doubt in pulse_doubts(Steps(pulses, (), 0.0)):
    ...     print(doubt)
    pulse 2 lasts 2 times the median of all (2 of 1 min): a rest between two pulses may be missing
    the file ends while current flows, in pulse 4, after 0.5 of 1 min: it may be cut off
    """
    lengths = np.array([_length_s(p) for p in steps.pulses])
    middle_s = float(np.median(lengths)) if len(lengths) else 0.0
    found = [
        f"pulse {p.number} lasts {_length_s(p) / middle_s:.3g} times the median of all "
        f"({_min(_length_s(p))} of {_min(middle_s)} min): a rest between two pulses may be missing"
        for p in steps.pulses
        if len(lengths) > 2 and _length_s(p) >= LONG * middle_s
    ]
    if len(found) > _N_NAMED:
        found = [*found[:_N_NAMED], f"so do {len(found) - _N_NAMED} more pulses"]
    if is_cut_off(steps):
        found.append(
            f"the file ends while current flows, in pulse {steps.pulses[-1].number}, after "
            f"{_min(_length_s(steps.pulses[-1]))} of {_min(_others_s(steps))} min: it may be cut "
            "off"
        )
    return tuple(found)


def is_cut_off(steps: Steps) -> bool:
    """Tell whether the file ends in a pulse that is shorter than the others.

    A pulse may be shorter by 1 %, or by the time between two samples.
    """
    if len(steps.pulses) < 2 or not _ends_in_pulse(steps):
        return False
    last = steps.pulses[-1]
    n_between = max(last.rows[1] - last.rows[0] - 1, 1)
    longest_s = _length_s(last) * (1 + 1 / n_between)
    return longest_s < _WHOLE_FRAC * _others_s(steps)


def state_after_end(steps: Steps, scan: str, stop_s: float) -> int:
    """Return the state that a scan after the end of the file shows: that after the last pulse.

    Parameters
    ----------
    scan
        Its name.
    stop_s
        When it ended, on the cycler's clock; it began after the last current.

    Raises
    ------
    MismatchError
        The last pulse may be cut off; or the scan ended later than the longest rest between two
        pulses after the last current, so that pulses may be missing.
    """
    last = steps.pulses[-1]
    if is_cut_off(steps):
        raise MismatchError(
            f"scan '{scan}' was taken after the end of the cycler file, which ends while current "
            f"flows: in pulse {last.number}, after {_min(_length_s(last))} min",
            expected=f"a last pulse as long as the others, {_min(_others_s(steps))} min, or a file "
            "that goes on",
            mend="the file may be cut off: export the whole test. If the pulse did end there, say "
            "after how many pulses each scan was taken ('after_pulse' under 'measure.cycler')",
        )
    rests_s = [r.stop_s - r.start_s for r in steps.rests if 0 < r.after_pulse < len(steps.pulses)]
    if rests_s and stop_s - last.stop_s > max(rests_s) * (1 + 1e-6):
        raise MismatchError(
            f"scan '{scan}' was taken after the end of the cycler file, until "
            f"{_min(stop_s - last.stop_s)} min after its last pulse, {last.number}",
            expected=f"scans within {_min(max(rests_s))} min of it, the longest rest between two "
            "pulses, or a file that goes on",
            mend="the file may be cut off: export the whole test. If no current flowed any more, "
            "say after how many pulses each scan was taken ('after_pulse' under 'measure.cycler')",
        )
    return last.number


def _ends_in_pulse(steps: Steps) -> bool:
    return not steps.rests or steps.rests[-1].after_pulse < len(steps.pulses)


def _others_s(steps: Steps) -> float:
    return float(np.median([_length_s(p) for p in steps.pulses[:-1]]))


def _length_s(pulse: Pulse) -> float:
    return pulse.stop_s - pulse.start_s


def _min(seconds: float) -> str:
    return f"{seconds / 60:.4g}"
