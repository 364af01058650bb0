"""Sums and differences go on with what an interval was before it was clipped."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomolith.core import Interval
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.combine import Estimate, combine
from tomolith.measure.intervals.propagate import (
    clipped,
    difference,
    own_half_width,
    part_of,
    scaled,
    shifted,
)


def around(centre: float, arm: float, shared: float = 0.0) -> Interval:
    return clipped(Interval(centre - arm, centre + arm, "x", {"border": (shared,)}), 0.0)


def test_a_clipped_interval_keeps_its_centre_and_arm() -> None:
    found = clipped(Interval(np.float64(-3.0), np.float64(5.0), "x"), 0.0, 4.0)
    assert (found.low, found.high, found.centre, found.arm) == (0.0, 4.0, 1.0, 4.0)
    assert type(found.low) is type(found.high) is float
    again = clipped(found, 1.0)
    assert (again.low, again.centre, again.arm) == (1.0, 1.0, 4.0)
    twice = scaled(shifted(found, 1.0), -2.0)
    assert (twice.low, twice.high, twice.centre, twice.arm) == (-10.0, -2.0, -4.0, 8.0)


def test_what_a_small_volume_shares_cancels_in_a_difference() -> None:
    large, small = around(10.0, 5.0, 4.9), around(0.0, 5.0, 4.9)
    assert (small.low, small.high) == (0.0, 5.0)
    own = math.sqrt(5.0**2 - 4.9**2)
    assert own_half_width(small) == pytest.approx(own)
    change = difference(large, small)
    half = own * math.sqrt(2)  # 1.41
    assert (change.low, change.high) == pytest.approx((10.0 - half, 10.0 + half))


def test_changes_of_small_volumes_cover_the_truth_as_often_as_they_say() -> None:
    rng, covered = np.random.default_rng(0), []
    arm, shared, true = 1.0, 0.9, (0.3, 0.7)
    own = math.sqrt(arm**2 - shared**2)
    for _ in range(1000):
        alike, *each = rng.normal(0, 1 / 1.96, 3)
        first, second = (
            around(v + shared * alike + own * e, arm, shared)
            for v, e in zip(true, each, strict=True)
        )
        change = difference(second, first)
        covered.append(change.low <= true[1] - true[0] <= change.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_a_share_goes_on_with_both_as_they_were() -> None:
    a, b = around(1.0, 2.0), around(9.0, 1.0)
    half = math.hypot(9.0 * 2.0, 1.0 * 1.0) / 100
    found = part_of(a, b)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, 0.1 + half))
    assert (found.centre, found.arm) == pytest.approx((0.1, half))


def test_the_volume_of_a_class_is_clipped_and_remembers() -> None:
    class Doubtful:
        words, is_whole = "labels", True

        def of(self, _: object) -> Estimate:
            return Estimate(2.0, 3.0, np.array([4.0]))

    counted = np.array([1.0, 9.0])
    found = combine(Strata(("pit", "rest"), counted).combine({"pit": 1.0}), counted, [Doubtful()])
    assert found is not None
    assert (found.low, found.high, found.centre, found.arm) == (0.0, 7.0, 2.0, 5.0)
    assert own_half_width(found) == pytest.approx(3.0)
