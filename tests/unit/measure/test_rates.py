"""Li moved from scan to scan, and rates through a series."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from tomolith.core import Interval, Measurement, Provenance
from tomolith.measure.intervals.propagate import clipped
from tomolith.measure.rates import (
    Stretch,
    exponential_rate,
    li_moved,
    linear_rate,
    thickness_rates,
    with_errors,
)

MADE = Provenance("measure")
X = [0.0, 1.0, 2.0, 4.0, 5.0]


def test_the_line_is_scipys_with_its_interval() -> None:
    y = [1.0, 2.2, 2.9, 5.3, 5.8]
    rate, theirs = linear_rate(X, y), stats.linregress(X, y)
    arm = stats.t.ppf(0.975, 3) * theirs.stderr
    assert rate is not None and rate.interval is not None
    assert rate.value == pytest.approx(theirs.slope)
    assert (rate.interval.low, rate.interval.high) == pytest.approx(
        (theirs.slope - arm, theirs.slope + arm)
    )


def test_the_exponential_is_scipys_with_its_interval() -> None:
    y = [2.0, 2.7, 3.9, 7.1, 10.2]
    rate = exponential_rate(X, y)
    (_, k), covariance = optimize.curve_fit(lambda x, a, k: a * np.exp(k * x), X, y, p0=(2, 0.3))
    arm = stats.t.ppf(0.975, 3) * math.sqrt(covariance[1, 1])
    assert rate is not None and rate.interval is not None
    assert rate.value == pytest.approx(k, rel=1e-5)
    assert rate.interval.high - rate.value == pytest.approx(arm, rel=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_exponential_may_begin_where_there_is_nothing(sign: float) -> None:
    x, y = np.arange(4.0), sign * np.array([0.0, 1.0, 2.5, 6.0])
    rate = exponential_rate(x, y)
    (_, k), covariance = optimize.curve_fit(lambda x, a, k: a * np.exp(k * x), x, y, p0=(sign, 1))
    arm = stats.t.ppf(0.975, 2) * math.sqrt(covariance[1, 1])
    assert rate is not None and rate.interval is not None
    assert rate.value == pytest.approx(k, rel=1e-5)
    assert rate.interval.high - rate.value == pytest.approx(arm, rel=1e-3)
    decay = exponential_rate(x, y[::-1])
    assert decay is not None and decay.value == pytest.approx(-k, rel=1e-5)


def test_intervals_of_rates_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    x = np.arange(8.0)
    covered = []
    for _ in range(300):
        linear = linear_rate(x, 3 + 0.5 * x + rng.normal(0, 0.2, 8))
        growing = exponential_rate(x, 3 * np.exp(0.2 * x) + rng.normal(0, 0.2, 8))
        assert linear is not None and growing is not None
        covered.append(
            [r.interval.low <= v <= r.interval.high for r, v in ((linear, 0.5), (growing, 0.2))]
        )
    assert np.mean(covered, axis=0) == pytest.approx([0.95, 0.95], abs=0.03)


def test_few_points_give_less() -> None:
    assert linear_rate([1.0], [2.0]) is None
    assert linear_rate([1.0, 1.0], [2.0, 3.0]) is None
    two = linear_rate([0.0, 2.0], [1.0, 4.0])
    assert two is not None and (two.value, two.interval) == (1.5, None)
    assert exponential_rate([0.0, 1.0], [1.0, 2.0]) is None
    assert exponential_rate(X, [0.0, 0.0, 0.0, 0.0, 4.0]) is None
    assert exponential_rate(X, [-1.0, 1.0, 2.0, 3.0, 4.0]) is None


def test_a_constant_thickness_has_no_rate() -> None:
    flat = exponential_rate(X, [3.0] * 5)
    assert flat is not None and flat.value == 0
    assert flat.interval is not None and (flat.interval.low, flat.interval.high) == (0, 0)


def thick(value: float, half: float, shared: float = 0.0) -> Measurement:
    around = Interval(value - half, value + half, "x", {"border": (shared,)})
    return Measurement("effective_thickness", value, "um", "", around)


def test_three_scans_on_a_line_are_not_taken_for_exact() -> None:
    rate = linear_rate([0, 1, 2], [1.0, 2.0, 3.0])
    assert rate is not None and rate.interval is not None and rate.interval.half_width == 0
    own = with_errors(rate, [thick(v, 1.0) for v in (1.0, 2.0, 3.0)]).interval
    assert own is not None and own.half_width == pytest.approx(math.sqrt(0.5))
    assert own.method == "scatter of the scans about the fit, Student's t; x"
    alike = with_errors(rate, [thick(v, 1.0, 1.0) for v in (1.0, 2.0, 3.0)]).interval
    assert alike is None  # a border that lies elsewhere in all scans tilts no line
    growing = [thick(v, s, s) for v, s in ((1.0, 0.0), (2.0, 1.0), (3.0, 2.0))]
    tilted = with_errors(rate, growing).interval
    assert tilted is not None and tilted.half_width == pytest.approx(1.0)


def test_through_two_scans_counts_what_both_may_be_off() -> None:
    rate = linear_rate([0.0, 2.0], [1.0, 4.0])
    assert rate is not None
    own = with_errors(rate, [thick(1.0, 0.6), thick(4.0, 0.8)]).interval
    assert own is not None and own.method == "x"
    assert (own.low, own.high) == pytest.approx((1.5 - 0.5, 1.5 + 0.5))  # hypot(0.6, 0.8) / 2
    shared = with_errors(rate, [thick(1.0, 0.6, 0.6), thick(4.0, 0.8, 0.8)]).interval
    assert shared is not None and shared.half_width == pytest.approx(0.1)
    unknown = Measurement("effective_thickness", 1.0, "um", "")
    assert with_errors(rate, [unknown, thick(4.0, 0.8)]).interval is None


def clipped_thick(value: float, half: float, shared: float) -> Measurement:
    m = thick(value, half, shared)
    assert m.interval is not None
    return replace(m, interval=clipped(m.interval, 0.0))


def test_clipped_thicknesses_leave_the_rate_as_it_was() -> None:
    y = [0.5, 1.0, 1.5]
    rate = linear_rate([0, 1, 2], y)
    assert rate is not None
    found = with_errors(rate, [clipped_thick(v, 1.0, 0.98) for v in y]).interval
    assert found is not None
    half = math.sqrt(0.5 * (1 - 0.98**2))  # what is shared tilts no line
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))


def test_rates_of_thin_layers_cover_the_truth_as_often_as_they_say() -> None:
    rng, covered = np.random.default_rng(0), []
    x, true, shared = np.arange(6.0), 0.1 + 0.2 * np.arange(6.0), 0.8
    own = math.sqrt(1 - shared**2)
    for _ in range(400):
        seen = true + (shared * rng.normal() + own * rng.normal(size=6)) / 1.96
        rate = linear_rate(x, np.maximum(seen, 0.0))
        layers = [clipped_thick(v, 1.0, shared) for v in seen]
        layers = [replace(m, value=max(m.value, 0.0)) for m in layers]
        assert rate is not None
        interval = with_errors(rate, layers).interval
        assert interval is not None
        covered.append(interval.low <= 0.2 <= interval.high)
    assert 0.93 <= np.mean(covered) <= 0.99  # the larger of scatter and errors counts


def test_the_larger_of_scatter_and_errors_counts() -> None:
    y = [1.0, 2.2, 2.9, 5.3, 5.8]
    for fit in (linear_rate, exponential_rate):
        rate = fit(X, y)
        assert rate is not None and rate.interval is not None
        small, large = (with_errors(rate, [thick(v, half) for v in y]) for half in (1e-6, 9.0))
        assert small.interval is not None and large.interval is not None
        assert small.interval.half_width == pytest.approx(rate.interval.half_width)
        assert large.interval.half_width > 2 * rate.interval.half_width
        assert rate.weights == pytest.approx(
            [
                fit(X, np.add(y, 1e-6 * np.eye(5)[i])).value * 1e6 - rate.value * 1e6
                for i in range(5)
            ],
            abs=0.006,  # the scatter about the fit bends it a little
        )


def test_a_layer_that_is_not_there_has_no_interval() -> None:
    found = [Measurement("effective_thickness", 0.0, "um", f"t{i}/pit") for i in range(4)]
    (rate,) = thickness_rates(
        found, [Stretch("", {f"t{i}": float(i) for i in range(4)})], provenance=MADE
    )
    assert (rate.value, rate.interval) == (0.0, None)


def volume(scan: str, side: str, value: float | None, arm: float | None = None) -> Measurement:
    interval = None if arm is None or value is None else Interval(value - arm, value + arm, "x")
    return Measurement("li_volume", value, "um3", f"{scan}/all Li, {side}", interval)


def test_li_moves_from_scan_to_scan_with_its_interval() -> None:
    found = [
        volume("a", "plating side", 5.0, 3.0),
        volume("b", "plating side", 15.0, 4.0),
        volume("a", "stripping side", 9.0),
        volume("b", "stripping side", None),
    ]
    moved = {
        (m.name, m.region): m for m in li_moved(found, ["a", "b"], n_pulses=[1, 3], provenance=MADE)
    }
    one = moved["li_moved_per_pulse", "b/plating side"]
    assert (one.value, one.unit) == (5.0, "um3/pulse")
    assert one.interval == Interval(2.5, 7.5, "x")
    assert moved["li_moved", "b/plating side"].interval == Interval(5.0, 15.0, "x")
    assert moved["li_moved", "b/stripping side"].value is None
    without = li_moved(found, ["a", "b"], provenance=MADE)
    assert {m.name for m in without} == {"li_moved"}


def test_each_half_cycle_has_its_own_rates() -> None:
    thick = [0.0, 2.0, 4.0, 3.0, 2.0]
    found = [
        Measurement("effective_thickness", v, "um", f"t{i}/dendrite") for i, v in enumerate(thick)
    ]
    places = {f"t{i}": float(i) for i in range(5)}
    stretches = [
        Stretch("charge", {s: places[s] for s in ("t0", "t1", "t2")}),
        Stretch("discharge", {s: places[s] for s in ("t2", "t3", "t4")}),
    ]
    rates = {(m.name, m.region): m for m in thickness_rates(found, stretches, provenance=MADE)}
    assert rates["thickness_rate", "series/dendrite, charge"].value == pytest.approx(2.0)
    assert rates["thickness_rate", "series/dendrite, discharge"].value == pytest.approx(-1.0)
    assert not thickness_rates(found, stretches, without=["dendrite"], provenance=MADE)
    growth = rates["thickness_growth", "series/dendrite, discharge"]
    assert growth.value is not None and growth.value < 0 and growth.unit == "1/pulse"
    begins = rates["thickness_growth", "series/dendrite, charge"]
    assert begins.value == pytest.approx(0.968, abs=1e-3)
    assert begins.method == "least-squares exponential through 3 scans, 1 of them without it"
    assert growth.method == "least-squares exponential through 3 scans"
