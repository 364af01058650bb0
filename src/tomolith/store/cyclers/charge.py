"""The charge that a file states, from whatever counters the vendor keeps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tomolith.store.cyclers.table import Table

Doubles = npt.NDArray[np.float64]


def stated_charge(table: Table, charged: tuple[str, ...], back: tuple[str, ...]) -> Doubles | None:
    """Return the balance of a counter of charge and one of discharge, in mAh from 0.

    Parameters
    ----------
    charged, back
        Names of the two columns. Both may be set back to 0, at the end of a cycle or a step.
    """
    up, down = table.numbers("charge", *charged), table.numbers("charge", *back)
    if up is None or down is None:
        return None
    return accumulate(up) - accumulate(down)


def accumulate(counter: Doubles) -> Doubles:
    """Return what a counter that only rises, or is set back, has counted since the first sample.

    Examples
    --------
    >>> accumulate(np.array([0.5, 1.0, 0.25, 0.5])).tolist()
    [0.0, 0.5, 0.75, 1.0]
    """
    size = np.abs(counter)
    steps = np.diff(size)
    fallen = steps < -1e-9 * max(float(size.max(initial=0.0)), 1e-300)
    steps = np.where(fallen, size[1:], steps)
    return np.concatenate([[0.0], np.cumsum(steps)])


def accumulate_signed(counter: Doubles, sign: npt.NDArray[np.float64]) -> Doubles:
    """Return the balance of a counter without sign, counted up where ``sign`` is +1.

    Examples
    --------
    >>> accumulate_signed(np.array([0.0, 1.0, 0.5, 1.0]), np.array([1.0, 1, -1, -1])).tolist()
    [0.0, 1.0, 0.5, 0.0]
    """
    steps = np.diff(accumulate(counter)) * sign[1:]
    return np.concatenate([[0.0], np.cumsum(steps)])
