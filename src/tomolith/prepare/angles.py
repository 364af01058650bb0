"""The angles of a scan: their unit, whether they cover half a turn, and what each counts for."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tomolith.errors import InputError, MismatchError

Angles = npt.NDArray[np.float64]

_TURN_RAD = 2 * math.pi * 1.01
_MAX_GAP = 5.0  # in typical steps; a wider gap leaves a direction unseen


def theta_unit(values: Angles, attribute: Any, where: str) -> Literal["degrees", "radians"]:
    """Return the unit of stored angles, from the file's attribute and from their range.

    Parameters
    ----------
    values
        Angles as stored.
    attribute
        What the file calls the unit; ``None`` where it does not.
    where
        The file, for the message.

    Raises
    ------
    MismatchError
        Attribute and range contradict each other.

    Examples
    --------
    >>> theta_unit(np.linspace(0, 180, 7), None, "a.h5"), theta_unit(np.arange(4.0), None, "a.h5")
    ('degrees', 'radians')
    """
    span = float(np.ptp(values)) if values.size else 0.0
    by_range: Literal["degrees", "radians"] = "radians" if span <= _TURN_RAD else "degrees"
    text = attribute.decode() if isinstance(attribute, bytes) else str(attribute or "")
    named = {"deg": "degrees", "°": "degrees", "rad": "radians"}
    said = next((unit for short, unit in named.items() if text.lower().startswith(short)), by_range)
    if said != by_range:
        raise MismatchError(
            f"'exchange/theta' says that it is in {said}, but runs from {values.min():g} to "
            f"{values.max():g}",
            expected="half a turn: 180 degrees, or pi radians",
            where=where,
            mend=f"write 'theta_unit: {by_range}' if these are {by_range}",
        )
    return by_range


def check_half_turn(theta_rad: Angles, where: str) -> None:
    """Refuse angles that do not cover half a turn evenly enough to reconstruct from.

    Raises
    ------
    InputError
        Angles are not finite, cover less or more than half a turn, or leave a gap.

    Examples
    --------
    >>> check_half_turn(np.linspace(0, np.pi, 7), "a.h5")
    >>> check_half_turn(np.linspace(0, 2.0, 7), "a.h5")
    Traceback (most recent call last):
    ...
    tomolith.errors.InputError: the angles cover 115 degrees
      expected: 180 degrees
      where:    a.h5
    """
    if theta_rad.size < 2 or not np.isfinite(theta_rad).all():
        raise InputError(
            f"there are {theta_rad.size} angles, {np.isfinite(theta_rad).sum()} of them finite",
            expected="the angles of at least two projections",
            where=where,
        )
    order = np.sort(theta_rad)
    step, span = float(np.median(np.diff(order))), float(order[-1] - order[0])
    if not math.pi * 0.999 - step <= span <= math.pi * 1.001 + 2 * step:
        raise InputError(
            f"the angles cover {math.degrees(span):.3g} degrees",
            expected="180 degrees",
            where=where,
            mend="give the projections of half a turn" if span > math.pi else None,
        )
    gap = float(np.diff(order).max())
    if gap > _MAX_GAP * max(step, math.pi / theta_rad.size):
        raise InputError(
            f"the angles leave a gap of {math.degrees(gap):.3g} degrees",
            expected=f"steps of about {math.degrees(step):.3g} degrees",
            where=where,
        )


def angle_weights(theta_rad: Angles) -> Angles:
    """Return the share of half a turn, in radians, that each projection stands for.

    Half the distance to the next angle on either side, modulo half a turn: the sum is pi also for
    uneven steps, and where the first and the last projection show the same direction.

    Examples
    --------
    >>> np.degrees(angle_weights(np.radians([0.0, 60.0, 120.0, 180.0]))).round(6)
    array([30., 60., 60., 30.])
    """
    turned = np.mod(theta_rad - theta_rad.min() + 1e-9, math.pi)  # 180 degrees may be a bit less
    order = np.argsort(turned, kind="stable")
    after = np.diff(np.append(turned[order], turned[order[0]] + math.pi))
    weights = np.empty_like(turned)
    weights[order] = (after + np.roll(after, 1)) / 2
    return weights
