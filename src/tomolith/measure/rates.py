"""How fast Li moves: from scan to scan, and as rates fitted through the series."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from tomolith.core import Interval, Measurement, Provenance
from tomolith.measure.electrochemistry.faraday import SeenVolume, change_interval
from tomolith.measure.intervals.propagate import own_half_width, scaled
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.rows import SERIES

Doubles = npt.NDArray[np.float64]

_LEVEL = 0.975  # of Student's t: 95 % on two sides
_EQUAL_FRAC = 1e-12  # values that differ by less are equal, up to rounding
_SCATTER = "scatter of the scans about the fit, Student's t"


@dataclass(frozen=True, slots=True)
class Rate:
    """A slope or a growth constant.

    Parameters
    ----------
    value
        Per step of x.
    interval
        95 % confidence interval from the scatter about the fit; ``None`` below three points.
    weights
        Change of ``value`` with each number that was fitted.
    """

    value: float
    interval: Interval | None
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the series in which current flows one way.

    Parameters
    ----------
    name
        ``charge``, ``discharge``, with a number from the second cycle on; empty for the whole
        series.
    places
        Where each of its scans stands, by name: after how many pulses, or which scan it is.
    """

    name: str
    places: Mapping[str, float]


def linear_rate(x: Sequence[float], y: Sequence[float]) -> Rate | None:
    """Return the slope of the least-squares line; ``None`` where fewer than two x differ.

    Examples
    --------
    >>> rate = linear_rate([0, 1, 2, 3], [1.0, 3.1, 4.9, 7.0])
    >>> round(rate.value, 3), round(rate.interval.low, 3), round(rate.interval.high, 3)
    (1.98, 1.797, 2.163)
    """
    across, along = np.asarray(x, np.float64), np.asarray(y, np.float64)
    spread = float(((across - across.mean()) ** 2).sum()) if len(across) else 0.0
    if spread == 0:
        return None
    slope = float(((across - across.mean()) * (along - along.mean())).sum()) / spread
    rest = along - along.mean() - slope * (across - across.mean())
    weights = tuple(((across - across.mean()) / spread).tolist())
    return Rate(slope, _interval(slope, rest, 1 / spread), weights)


def exponential_rate(x: Sequence[float], y: Sequence[float]) -> Rate | None:
    """Return ``k`` of the least-squares fit ``a exp(k x)``, to the values and not their logarithms.

    A layer that is not there yet, 0, is fitted too; those that are there say where the fit starts.
    ``None`` where values have both signs, where fewer than three differ in x or fewer than two of
    them are not 0, or where the fit does not settle.

    Examples
    --------
    >>> rate = exponential_rate([0, 1, 2, 3], [1.0, 2.0, 4.1, 7.9])
    >>> round(rate.value, 2), rate.interval.low < math.log(2) < rate.interval.high
    (0.68, True)
    >>> round(exponential_rate([0, 1, 2, 3], [0.0, 1.0, 2.5, 6.0]).value, 3)
    0.931
    """
    across, along = np.asarray(x, np.float64), np.asarray(y, np.float64)
    is_there = along != 0
    if (
        len(np.unique(across)) < 3
        or len(np.unique(across[is_there])) < 2
        or not ((along >= 0).all() or (along <= 0).all())
    ):
        return None
    if np.ptp(along) <= _EQUAL_FRAC * np.abs(along).max():
        line = linear_rate(x, y)
        weights = tuple(w / float(along[0]) for w in line.weights) if line else ()
        return Rate(0.0, _interval(0.0, np.zeros_like(along), 0.0), weights)
    start = np.polyfit(across[is_there], np.log(np.abs(along[is_there])), 1)
    first = np.sign(along.sum()) * math.exp(float(start[1]))

    def misfit(p: Doubles) -> Doubles:
        return np.asarray(p[0] * np.exp(p[1] * across) - along, np.float64)

    with np.errstate(over="ignore", invalid="ignore"):
        try:
            found = optimize.least_squares(misfit, [first, float(start[0])], method="lm")
            inverse = np.linalg.inv(found.jac.T @ found.jac)
        except (ValueError, np.linalg.LinAlgError):
            return None
    k, spread = float(found.x[1]), float(inverse[1, 1])
    if not (found.success and math.isfinite(k) and math.isfinite(spread) and spread >= 0):
        return None
    weights = tuple((inverse @ found.jac.T)[1].tolist())
    return Rate(k, _interval(k, misfit(found.x), spread), weights)


def _interval(value: float, rest: Doubles, spread: float) -> Interval | None:
    """Return the interval of a parameter whose variance is ``spread`` times that of the rest."""
    n_free = len(rest) - 2
    if n_free < 1:
        return None
    deviation = math.sqrt(float((rest**2).sum()) / n_free * spread)
    arm = float(stats.t.ppf(_LEVEL, n_free)) * deviation
    return Interval(value - arm, value + arm, _SCATTER)


def li_moved(
    measurements: Sequence[Measurement],
    scans: Sequence[str],
    *,
    n_pulses: Sequence[int] | None = None,
    provenance: Provenance,
) -> list[Measurement]:
    """Return the Li that came to each side since the scan before (µm³), and that per pulse.

    ``li_moved``
        Change of all Li of a side since the scan before; below zero what went.
    ``li_moved_per_pulse``
        The same over the number of pulses between; only where that is known.

    Parameters
    ----------
    measurements
        With ``li_volume``; nothing where it is lacking.
    scans
        Names, in the order of time.
    n_pulses
        How many pulses came before each scan.
    provenance
        What is written beside the numbers.

    Examples
    --------
    >>> found = [Measurement("li_volume", v, "um3", f"{s}/all Li, plating side")
    ...          for s, v in (("a", 5.0), ("b", 9.0))]
    >>> moved = li_moved(found, ["a", "b"], n_pulses=[0, 2], provenance=Provenance("measure"))
    >>> [(m.name, m.region, m.value) for m in moved]
    [('li_moved', 'b/plating side', 4.0), ('li_moved_per_pulse', 'b/plating side', 2.0)]
    """
    value = {m.region: m for m in measurements if m.name == "li_volume"}
    rows: list[Measurement] = []
    for i, (before, now) in enumerate(itertools.pairwise(scans)):
        n = None if n_pulses is None else n_pulses[i + 1] - n_pulses[i]
        for side in (STRIPPING, PLATING):
            pair = [value.get(f"{scan}/all Li, {side}") for scan in (before, now)]
            if pair[0] is not None and pair[1] is not None:
                rows += _moved(pair[0], pair[1], f"{now}/{side}", n, provenance)
    return rows


def _moved(
    before: Measurement, now: Measurement, region: str, n_pulses: int | None, made: Provenance
) -> Iterator[Measurement]:
    how, change, interval = "change of all Li since the scan before", None, None
    if before.value is not None and now.value is not None:
        change = float(now.value - before.value)
        interval = change_interval(
            SeenVolume(0, before.value, before.interval), SeenVolume(0, now.value, now.interval)
        )
    yield Measurement("li_moved", change, "um3", region, interval, made, how)
    if not n_pulses:
        return
    each = None if change is None else change / n_pulses
    if interval is not None:
        interval = scaled(interval, 1 / n_pulses)
    how += f", over {n_pulses} pulse{'s' * (n_pulses > 1)}"
    yield Measurement("li_moved_per_pulse", each, "um3/pulse", region, interval, made, how)


def thickness_rates(
    measurements: Sequence[Measurement],
    stretches: Sequence[Stretch],
    *,
    per: str = "pulse",
    without: Sequence[str] = (),
    provenance: Provenance,
) -> list[Measurement]:
    """Fit a line and an exponential to each effective thickness through each stretch.

    ``thickness_rate``
        Slope of the line (µm per pulse).
    ``thickness_growth``
        ``k`` of ``a exp(k n)`` (1 per pulse); only where there are three thicknesses of one sign,
        two of which are not 0.

    Intervals are those of :func:`with_errors`.

    Regions are ``series/<part>, <stretch>``.

    Parameters
    ----------
    measurements
        With ``effective_thickness``; nothing where it is lacking.
    stretches
        Of the series.
    per
        What x counts: ``pulse`` or ``scan``.
    without
        Parts that are left out, such as the background.
    provenance
        What is written beside the numbers.

    Notes
    -----
    Source: thickness against pulses in Huang et al., npj Comput. Mater. 9, 93 (2023).

    Examples
    --------
    >>> found = [Measurement("effective_thickness", 2.0 * i + 1, "um", f"t{i}/dendrite")
    ...          for i in range(4)]
    >>> charge = Stretch("charge", {f"t{i}": i for i in range(4)})
    >>> rates = thickness_rates(found, [charge], provenance=Provenance("measure"))
    >>> [(m.name, m.region, round(m.value, 3), m.unit) for m in rates][0]
    ('thickness_rate', 'series/dendrite, charge', 2.0, 'um/pulse')
    """
    value = {
        m.region.rpartition("/")[::2]: m
        for m in measurements
        if m.name == "effective_thickness" and m.value is not None
    }
    parts = [p for p in dict.fromkeys(part for _, part in value) if p not in without]
    rows = []
    for part, stretch in itertools.product(parts, stretches):
        known = [scan for scan in stretch.places if (scan, part) in value]
        x = [stretch.places[scan] for scan in known]
        thick = [value[scan, part] for scan in known]
        y = [float(m.value or 0.0) for m in thick]
        region = f"{SERIES}/{part}" + (f", {stretch.name}" if stretch.name else "")
        n = f"{len(known)} scans"
        if (rate := linear_rate(x, y)) is not None:
            rate, how = with_errors(rate, thick), f"least-squares line through {n}"
            rows.append(_rate_row("thickness_rate", rate, f"um/{per}", region, provenance, how))
        if any(y) and (rate := exponential_rate(x, y)) is not None:
            n += f", {y.count(0.0)} of them without it" if 0.0 in y else ""
            rate, how = with_errors(rate, thick), f"least-squares exponential through {n}"
            rows.append(_rate_row("thickness_growth", rate, f"1/{per}", region, provenance, how))
    return rows


def with_errors(rate: Rate, fitted: Sequence[Measurement]) -> Rate:
    """Return the rate with an interval that also knows how wrong each fitted number may be.

    What the numbers share by the same cause goes through the fit with its sign. What each has of
    its own shows in the scatter too: the larger of the two counts. Three scans that happen to lie
    on a line are not taken for exact; where nothing can be off, there is no interval. Through two
    nothing scatters: what both may be off is then all there is, where it is known of both.

    Examples
    --------
    >>> found = [Measurement("effective_thickness", v, "um", "", Interval(v - 1, v + 1, "x"))
    ...          for v in (1.0, 2.0, 3.0)]
    >>> rate = linear_rate([0, 1, 2], [1.0, 2.0, 3.0])
    >>> rate.interval.half_width, round(with_errors(rate, found).interval.half_width, 3)
    (0.0, 0.707)
    """
    known = [
        (weight, m.interval, float(m.value or 0.0))
        for weight, m in zip(rate.weights, fitted, strict=True)
        if m.interval is not None
    ]
    if rate.interval is None and len(known) < len(fitted):
        return rate
    scatter, why = (rate.interval.half_width, [_SCATTER]) if rate.interval else (0.0, [])
    carried = [scaled(interval, weight) for weight, interval, _ in known]
    own = math.hypot(*map(own_half_width, carried))
    arm = math.hypot(max(scatter, own), *_shared(carried))
    moved = sum(w * (i.centre - v) for w, i, v in known)
    words = "; ".join(dict.fromkeys([*why, *(i.method for i in carried)]))
    middle = rate.value + moved
    interval = Interval(middle - arm, middle + arm, words) if arm else None
    return Rate(rate.value, interval, rate.weights)


def _shared(intervals: Sequence[Interval]) -> Iterator[float]:
    """Yield the sums of what the intervals share, one for each way to err."""
    for cause in sorted({cause for interval in intervals for cause in interval.shared}):
        ways = (interval.shared.get(cause, ()) for interval in intervals)
        yield from map(math.fsum, itertools.zip_longest(*ways, fillvalue=0.0))


def _rate_row(
    name: str, rate: Rate, unit: str, region: str, made: Provenance, how: str
) -> Measurement:
    return Measurement(name, rate.value, unit, region, rate.interval, made, how)
