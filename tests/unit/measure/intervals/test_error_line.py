"""The line through the errors of held-out scans: by hand, its degenerate cases, its coverage."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.measure.intervals.error_line import ErrorLine

FOUND = np.array([10.0, 20, 30, 40, 50, 60])
ERRORS = 2 + 0.3 * FOUND + np.array([1.0, -1, 0, 0, -1, 1])


def line(found: np.ndarray, errors: np.ndarray, *, has_slope: bool = True) -> ErrorLine:
    return with_doubts(found, errors, np.ones(len(found)), has_slope=has_slope)


def with_doubts(
    found: np.ndarray, errors: np.ndarray, doubts: np.ndarray, *, has_slope: bool = True
) -> ErrorLine:
    return ErrorLine(found, errors, doubts, largest=1e3, has_slope=has_slope)


def test_it_is_the_interval_of_a_new_observation() -> None:
    there = line(FOUND, ERRORS).carried_to(80.0, 1.0, estimated=80.0)
    b, a = np.polyfit(FOUND, ERRORS, 1)
    s2 = ((ERRORS - a - b * FOUND) ** 2).sum() / 4
    of_line = 1 / 6 + (80 - 35) ** 2 / ((FOUND - 35) ** 2).sum()
    assert there.centre == pytest.approx(80 + a + b * 80)
    assert there.half == pytest.approx(2.776 * np.sqrt(s2 * (1 + of_line)), rel=1e-3)
    assert there.shared.shape == (6,)


def test_scans_that_are_alike_have_no_slope() -> None:
    errors = np.array([1.0, 2, 3, 4])
    level = line(np.full(4, 20.0), errors).carried_to(90.0, 1.0, estimated=0.0)
    assert level.centre == pytest.approx(2.5)
    assert level.half == pytest.approx(3.182 * errors.std(ddof=1) * np.sqrt(1.25), rel=1e-3)
    assert line(FOUND, ERRORS, has_slope=False).carried_to(
        90.0, 1.0, estimated=0.0
    ).centre == pytest.approx(ERRORS.mean())


def test_errors_on_a_line_leave_none() -> None:
    there = line(FOUND, 2 + 0.3 * FOUND).carried_to(80.0, 1.0, estimated=80.0)
    assert there.centre == pytest.approx(106.0)
    assert there.half < 1e-9


def test_the_order_of_scans_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(6)
    one = line(FOUND, ERRORS).carried_to(80.0, 1.0, estimated=80.0)
    other = line(FOUND[order], ERRORS[order]).carried_to(80.0, 1.0, estimated=80.0)
    assert (other.centre, other.half) == pytest.approx((one.centre, one.half))
    assert other.shared == pytest.approx(one.shared[order])


def test_the_negative_of_a_sum_shares_the_negative() -> None:
    one = line(FOUND, ERRORS).carried_to(80.0, 1.0, estimated=80.0)
    less = line(-FOUND, -ERRORS).carried_to(-80.0, 1.0, estimated=-80.0)
    assert (less.centre, less.half) == pytest.approx((-one.centre, one.half))
    assert less.shared == pytest.approx(-one.shared)


def test_where_doubt_is_larger_errors_count_less_and_scatter_more() -> None:
    doubts = np.array([1.0, 1, 1, 1, 1, 1e6])
    errors = np.array([0.0, 1, 0, 1, 0, 1000])
    there = with_doubts(np.full(6, 20.0), errors, doubts).carried_to(20.0, 1.0, estimated=0.0)
    assert there.centre == pytest.approx(0.4, abs=0.01)
    doubtful = with_doubts(np.full(6, 20.0), errors, doubts).carried_to(20.0, 4, estimated=0.0)
    assert doubtful.own == pytest.approx(2 * there.own)


@pytest.mark.parametrize("n_scans", [5, 24])
def test_it_covers_another_scan(n_scans: int) -> None:
    """Errors go with the volume, scatter with its root, and are not normal but even."""
    rng, covered, level = np.random.default_rng(n_scans), [], []
    for _ in range(1000):
        found = rng.uniform(100, 1000, n_scans + 1)
        errors = 30 - 0.4 * found + np.sqrt(3 * found) * rng.uniform(-3, 3, n_scans + 1)
        for has_slope, into in ((True, covered), (False, level)):
            known = with_doubts(found[1:], errors[1:], found[1:], has_slope=has_slope)
            there = known.carried_to(found[0], found[0], estimated=0.0)
            into.append((abs(errors[0] - there.centre) <= there.half, there.half))
    assert 0.92 <= np.mean([c for c, _ in covered]) <= 0.99
    if n_scans == 24:  # of five, a slope costs as much as it gains
        halves = [np.median([h for _, h in found]) for found in (covered, level)]
        assert halves[0] < 0.8 * halves[1]
