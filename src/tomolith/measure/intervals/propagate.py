"""Intervals of sums, differences, multiples and quotients.

An interval need not lie around the number that was counted: one that was corrected lies around the
corrected number. So middles are added and divided, and half widths are carried along.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from tomolith.core import Interval


def scaled(interval: Interval, factor: float) -> Interval:
    """Return the interval of a multiple.

    Examples
    --------
    >>> scaled(Interval(1.0, 3.0, "x"), -2.0)
    Interval(low=-6.0, high=-2.0, method='x')
    """
    low, high = sorted((interval.low * factor, interval.high * factor))
    return Interval(low, high, interval.method)


def total(intervals: Sequence[Interval]) -> Interval:
    """Return the interval of a sum of numbers of one scan: half widths are added.

    Classes of one scan were told apart by the same network in the same picture; their errors may go
    together, and then add up. Where they are opposite, as where one class is taken for another of
    the same sum, this is too wide, never too narrow.

    Examples
    --------
    >>> total([Interval(1.0, 3.0, "x"), Interval(10.0, 14.0, "x")])
    Interval(low=11.0, high=17.0, method='x')
    """
    return Interval(
        sum(i.low for i in intervals), sum(i.high for i in intervals), _methods(intervals)
    )


def difference(a: Interval, b: Interval) -> Interval:
    """Return the interval of ``a - b`` of two scans: half widths add in quadrature.

    The errors of two scans are taken to be independent. What both share cancels in the difference;
    the interval is then too wide.

    Examples
    --------
    >>> difference(Interval(17.0, 23.0, "x"), Interval(6.0, 14.0, "x"))
    Interval(low=5.0, high=15.0, method='x')
    """
    half = math.hypot(a.half_width, b.half_width)
    middle = _middle(a) - _middle(b)
    return Interval(middle - half, middle + half, _methods((a, b)))


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
    if b.low <= 0 <= b.high:
        return None
    ratio = _middle(a) / _middle(b)
    half = math.hypot(a.half_width, ratio * b.half_width) / abs(_middle(b))
    return Interval(ratio - half, ratio + half, _methods((a, b)))


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
    whole = _middle(a) + _middle(b)
    if whole <= a.half_width + b.half_width:
        return None
    middle = _middle(a) / whole
    half = math.hypot(_middle(b) * a.half_width, _middle(a) * b.half_width) / whole**2
    return clipped(Interval(middle - half, middle + half, _methods((a, b))), 0.0, 1.0)


def clipped(interval: Interval, low: float, high: float = math.inf) -> Interval:
    """Return the interval within what is possible.

    Examples
    --------
    >>> clipped(Interval(-2.0, 3.0, "x"), 0.0)
    Interval(low=0.0, high=3.0, method='x')
    """
    first, last = (min(max(end, low), high) for end in (interval.low, interval.high))
    return Interval(first, last, interval.method)


def _middle(interval: Interval) -> float:
    return (interval.low + interval.high) / 2


def _methods(intervals: Iterable[Interval]) -> str:
    return "; ".join(dict.fromkeys(i.method for i in intervals))
