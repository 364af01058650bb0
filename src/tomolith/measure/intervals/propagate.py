"""Intervals of sums, differences, multiples and quotients.

An interval need not lie around the number that was counted: one that was corrected lies around the
corrected number. So middles are added and divided, and half widths are carried along, both as they
were before the interval was clipped to what is possible. What is possible of a volume is not what
is possible of a change: of the ends that are left the middle is biased, and errors that two numbers
share would not cancel.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest

from tomolith.core import Interval


def scaled(interval: Interval, factor: float) -> Interval:
    """Return the interval of a multiple.

    Examples
    --------
    >>> scaled(Interval(1.0, 3.0, "x"), -2.0)
    Interval(low=-6.0, high=-2.0, method='x')
    """
    low, high = sorted((interval.low * factor, interval.high * factor))
    shared = {cause: tuple(factor * s for s in each) for cause, each in interval.shared.items()}
    free = None
    if interval.free is not None:
        middle, arm = factor * interval.centre, abs(factor) * interval.arm
        free = middle - arm, middle + arm
    return Interval(low, high, interval.method, shared, free)


def shifted(interval: Interval, by: float) -> Interval:
    """Return the interval of a number plus another that is exact.

    Examples
    --------
    >>> shifted(Interval(1.0, 3.0, "x"), -2.0)
    Interval(low=-1.0, high=1.0, method='x')
    """
    free = interval.free and (interval.free[0] + by, interval.free[1] + by)
    return replace(interval, low=interval.low + by, high=interval.high + by, free=free)


def difference(a: Interval, b: Interval) -> Interval:
    """Return the interval of ``a - b`` of two scans of one cell.

    What both share by the same cause is subtracted, with its sign; all else is taken to be
    independent, and half widths add in quadrature.

    Examples
    --------
    >>> difference(Interval(17.0, 23.0, "x"), Interval(6.0, 14.0, "x"))
    Interval(low=5.0, high=15.0, method='x')
    >>> a = Interval(15.0, 25.0, "x", {"border": (4.0,)})
    >>> difference(a, Interval(5.0, 15.0, "x", {"border": (4.0,)})).half_width.__round__(4)
    4.2426

    A volume of 1 ± 4 is shown as 0 to 5; what it shares was worked out for the ± 4:

    >>> small = clipped(Interval(-3.0, 5.0, "x", {"border": (4.0,)}), 0.0)
    >>> difference(Interval(6.0, 14.0, "x", {"border": (4.0,)}), small)
    Interval(low=9.0, high=9.0, method='x')
    """
    shared = {
        cause: _less(a.shared.get(cause, ()), b.shared.get(cause, ()))
        for cause in sorted({*a.shared, *b.shared})
    }
    half = math.hypot(
        own_half_width(a), own_half_width(b), *(s for each in shared.values() for s in each)
    )
    middle = a.centre - b.centre
    return Interval(middle - half, middle + half, _methods((a, b)), shared)


def _less(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(x - y for x, y in zip_longest(a, b, fillvalue=0.0))


def own_half_width(interval: Interval) -> float:
    """Return the half width, before it was clipped, without what other numbers share.

    Examples
    --------
    >>> own_half_width(Interval(-5.0, 5.0, "x", {"border": (3.0,)}))
    4.0
    """
    square = sum(s * s for each in interval.shared.values() for s in each)
    return math.sqrt(max(interval.arm**2 - square, 0.0))


def quotient(a: Interval, b: Interval) -> Interval | None:
    """Return the interval of ``a / b``: relative half widths add in quadrature.

    Returns
    -------
    Interval or None
        ``None`` where ``b`` may be zero.

    Notes
    -----
    Source: first-order propagation for independent quantities, GUM (JCGM 100:2008), section 5.1.

    Examples
    --------
    >>> quotient(Interval(27.0, 33.0, "x"), Interval(9.0, 11.0, "x")).half_width.__round__(3)
    0.424
    >>> quotient(Interval(27.0, 33.0, "x"), Interval(-1.0, 11.0, "x")) is None
    True
    """
    if abs(b.centre) <= b.arm:
        return None
    ratio = a.centre / b.centre
    half = math.hypot(a.arm, ratio * b.arm) / abs(b.centre)
    return Interval(ratio - half, ratio + half, _methods((a, b)))


def change_frac(now: Interval, before: Interval) -> Interval | None:
    """Return the interval of ``now / before`` of two scans of one cell.

    As :func:`quotient`, but what both share by the same cause is subtracted, with its sign: an
    error that is the same share of both changes nothing.

    Returns
    -------
    Interval or None
        ``None`` where ``before`` may be zero.

    Examples
    --------
    >>> now = Interval(9.0, 11.0, "x", {"border": (1.0,)})
    >>> change_frac(now, Interval(18.0, 22.0, "x", {"border": (2.0,)}))
    Interval(low=0.5, high=0.5, method='x')
    >>> change_frac(now, Interval(-1.0, 22.0, "x")) is None
    True
    """
    if abs(before.centre) <= before.arm:
        return None
    ratio = now.centre / before.centre
    error = difference(now, scaled(before, ratio))
    return shifted(scaled(error, 1 / before.centre), ratio - error.centre / before.centre)


def part_of(a: Interval, b: Interval) -> Interval | None:
    """Return the interval of ``a / (a + b)``, within 0 and 1.

    Returns
    -------
    Interval or None
        ``None`` where both may be zero.

    Notes
    -----
    Source: as :func:`quotient`, with the derivatives b / (a + b)² and a / (a + b)².

    Examples
    --------
    >>> part_of(Interval(9.0, 11.0, "x"), Interval(28.0, 32.0, "x")).half_width.__round__(4)
    0.0225
    """
    whole = a.centre + b.centre
    if whole <= a.arm + b.arm:
        return None
    middle = a.centre / whole
    half = math.hypot(b.centre * a.arm, a.centre * b.arm) / whole**2
    return clipped(Interval(middle - half, middle + half, _methods((a, b))), 0.0, 1.0)


def clipped(interval: Interval, low: float, high: float = math.inf) -> Interval:
    """Return the interval within what is possible; its centre and arm stay as they are.

    Examples
    --------
    >>> clipped(Interval(-2.0, 3.0, "x"), 0.0)
    Interval(low=0.0, high=3.0, method='x')
    """
    first, last = (float(min(max(end, low), high)) for end in (interval.low, interval.high))
    free = interval.free or (float(interval.low), float(interval.high))
    return replace(interval, low=first, high=last, free=free)


def _methods(intervals: Iterable[Interval]) -> str:
    return "; ".join(dict.fromkeys(i.method for i in intervals))
