"""What coverages may be off bounds how far the sites of two scans agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core import PRESETS, Grid, Interval, LabelMap, Measurement, Provenance, Volume
from tomolith.measure.intervals.overlap import Doubt, SiteBounds, joint_coverage
from tomolith.measure.persistence import overlap
from tomolith.measure.plan_maps import PlanMaps, plan_maps
from tomolith.measure.series_numbers import series_numbers

MADE = Provenance("test")
INDICES = ("share", "jaccard", "dice", "share_by_chance")
EXACT = Doubt(0, 0, "exact")


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.low, interval.high


def row_of_labels(values: list[int]) -> PlanMaps:
    """Return the maps of a cell of as many columns, each of one voxel."""
    labels = np.array(values, np.uint8).reshape(1, 1, -1)
    volume = Volume(labels, Grid(labels.shape, (1.0, 1.0, 1.0)))
    return plan_maps(LabelMap(volume, PRESETS["li-operando"]))


def coverage(region: str, value: float, low: float, high: float) -> Measurement:
    return Measurement("plan_coverage", value, "1", region, Interval(low, high, "held-out labels"))


def by_region(*found: Measurement) -> Mapping[str, Measurement]:
    return {m.region: m for m in found}


def test_sites_that_may_be_made_up_or_missed() -> None:
    """Of 100 columns: 30 early of which 4 may be made up, 40 late and up to 6 more; 20 in both."""
    found = SiteBounds.of((50, 10, 20, 20), Doubt(4, 0, "early"), Doubt(0, 6, "late"))
    assert found.both == (16, 26)
    assert found.only_early == (0, 10)  # four made up, and six that late missed
    assert found.only_late == (20, 30)
    assert found.neither == (44, 54)
    assert [ends(one) for one in found.places] == [
        (0.44, 0.54),
        (0.0, 0.1),
        (0.2, 0.3),
        (0.16, 0.26),
    ]
    assert ends(found.by_chance) == pytest.approx((0.26 * 0.40, 0.30 * 0.46))
    assert ends(found.share) == (16 / 26, 1.0)
    assert ends(found.jaccard) == (16 / 56, 26 / 46)
    assert ends(found.dice) == (32 / 72, 52 / 72)
    assert ends(found.share_by_chance) == (0.40, 0.46)
    assert "bound" in found.share.method
    assert "early; late" in found.share.method


def test_the_overlap_is_within_both_maps() -> None:
    found = SiteBounds.of((80, 5, 10, 5), Doubt(0, 2, "x"), Doubt(20, 90, "x"))
    assert found.both == (0, 12)  # no more than can hold it early
    assert found.late == (0, 100)
    assert ends(found.share) == (0.0, 1.0)


def test_without_doubt_the_bounds_are_the_number() -> None:
    found = SiteBounds.of((50, 10, 20, 20), EXACT, EXACT)
    assert [ends(getattr(found, name)) for name in INDICES] == [
        (2 / 3, 2 / 3),
        (0.4, 0.4),
        (4 / 7, 4 / 7),
        (0.4, 0.4),
    ]


def test_where_nothing_can_overlap_no_index_is_above_zero() -> None:
    found = SiteBounds.of((10, 2, 0, 0), Doubt(2, 0, "x"), EXACT)
    assert ends(found.share) == ends(found.jaccard) == ends(found.dice) == (0.0, 0.0)


def test_without_a_doubt_of_either_there_are_no_bounds() -> None:
    assert SiteBounds.of((50, 10, 20, 20), EXACT, None) is None
    assert SiteBounds.of((50, 10, 20, 20), None, EXACT) is None


@given(
    size=st.integers(2, 40),
    fractions=st.tuples(*[st.floats(0, 1)] * 6),
    known=st.floats(0.3, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_truth_is_within_the_bounds_wherever_the_maps_are_wrong(
    size: int, fractions: tuple[float, ...], known: float, seed: int
) -> None:
    """Columns are made up and missed at random, no more than the doubts; some are not known."""
    rng = np.random.default_rng(seed)
    here = rng.random((1, size)) < known
    shown, true, doubts = [], [], []
    for covered, made_up, missed in (fractions[:3], fractions[3:]):
        counted = rng.random((1, size)) < covered
        n_fewer = int(rng.integers(0, int(made_up * counted.sum()) + 1))
        n_more = int(rng.integers(0, int(missed * (~counted).sum()) + 1))
        truth = counted.copy()
        for value, n in ((True, n_fewer), (False, n_more)):
            wrong = rng.permutation(np.flatnonzero(counted == value))[:n]
            truth.flat[wrong] = not value
        shown.append(counted)
        true.append(truth)
        doubts.append(Doubt(n_fewer, n_more, "x"))
    counted_overlap, true_overlap = overlap(*shown, here), overlap(*true, here)
    bounds = SiteBounds.of(counted_overlap.n_places, *doubts)
    assert bounds is not None
    if not here.any():
        return
    for n, place in zip(true_overlap.n_places, bounds.places, strict=True):
        assert place.low - 1e-12 <= n / here.sum() <= place.high + 1e-12
    chance = true_overlap.n_early * true_overlap.n_late / here.sum() ** 2
    assert bounds.by_chance.low - 1e-12 <= chance <= bounds.by_chance.high + 1e-12
    for found in (true_overlap, counted_overlap):
        for name in INDICES:
            value, interval = getattr(found, name), getattr(bounds, name)
            assert value is None or interval.low - 1e-12 <= value <= interval.high + 1e-12


def test_classes_may_be_wrong_together() -> None:
    plan = row_of_labels([2, 2, 4, 4, 4, 0, 0, 0, 0, 0])
    found = by_region(coverage("a/dendrite", 0.2, 0.1, 0.4), coverage("a/deposited", 0.3, 0.2, 0.4))
    joint = joint_coverage(plan, "a", ["dendrite", "deposited", "unheard of"], found)
    assert ends(joint) == pytest.approx((0.3, 0.8))
    doubt = Doubt.of(plan, "a", ["dendrite", "deposited"], found)
    assert (doubt.n_fewer, doubt.n_more) == pytest.approx((2, 3))
    assert doubt.method == "held-out labels"


def test_a_corrected_coverage_beside_the_counted_one_tells_only_what_is_made_up() -> None:
    plan = row_of_labels([2, 2, 2, 2, 0, 0, 0, 0, 0, 0])
    doubt = Doubt.of(plan, "a", ["dendrite"], by_region(coverage("a/dendrite", 0.4, 0.1, 0.3)))
    assert (doubt.n_fewer, doubt.n_more) == pytest.approx((3, 0))


def test_no_interval_of_a_coverage_no_doubt() -> None:
    plan = row_of_labels([2, 2, 4, 0])
    bare = Measurement("plan_coverage", 0.25, "1", "a/deposited")
    known = by_region(coverage("a/dendrite", 0.5, 0.25, 0.75), bare)
    assert Doubt.of(plan, "a", ["dendrite", "deposited"], known) is None
    assert Doubt.of(plan, "b", ["dendrite"], known) is None  # not measured
    assert Doubt.of(plan, "a", ["redeposited"], known) is None  # not there
    assert Doubt.of(row_of_labels([255, 255]), "a", ["dendrite"], known) is None  # no label


@pytest.fixture(scope="module")
def half_and_full() -> dict[str, PlanMaps]:
    """Ten columns: dendrite in four, then redeposited Li in five, two of them the same.

    The last two columns hold labels only in the first scan.
    """
    return {
        "half": row_of_labels([2, 2, 2, 2, 5, 0, 0, 0, 0, 0]),
        "full": row_of_labels([0, 0, 5, 5, 5, 5, 2, 0, 255, 255]),
    }


def numbers(plans: dict[str, PlanMaps], *found: Measurement) -> dict[tuple[str, str], Measurement]:
    series = series_numbers(found, list(plans), plans, provenance=MADE)
    return {(m.name, m.region): m for m in series.measurements}


def test_series_numbers_get_bounds_from_the_coverages(half_and_full: dict[str, PlanMaps]) -> None:
    found = numbers(
        half_and_full,
        coverage("half/dendrite", 0.4, 0.3, 0.6),  # of ten columns one fewer, two more
        coverage("full/redeposited", 4 / 8, 4 / 8, 5 / 8),  # of eight one more
        coverage("full/dendrite", 1 / 8, 0.0, 1 / 8),
        Measurement("plan_coverage", 0.0, "1", "half/deposited"),  # not found: it adds nothing
    )
    growth = {
        region.partition("/")[2]: ends(m.interval)
        for (name, region), m in found.items()
        if name == "growth_share"
    }
    assert growth == {
        "neither": pytest.approx((0.0, 3 / 8)),
        "only dendrite or deposited": pytest.approx((0.0, 4 / 8)),
        "only redeposited": pytest.approx((0.0, 4 / 8)),
        "both": pytest.approx((1 / 8, 5 / 8)),
        "both, expected by chance": pytest.approx((3 / 8 * 4 / 8, 6 / 8 * 5 / 8)),
    }
    since = "full/dendrite since half"
    share = found["persistence_share", since]
    assert share.value == 0
    assert ends(share.interval) == pytest.approx((0.0, 1 / 4))  # one made up, one of two missed
    assert ends(found["persistence_share_by_chance", since].interval) == pytest.approx((0, 1 / 8))
    assert found["persistence_p", since].interval is None


def test_series_numbers_without_coverages_have_no_bounds(
    half_and_full: dict[str, PlanMaps],
) -> None:
    bare = Measurement("plan_coverage", 1 / 8, "1", "full/dendrite")
    found = numbers(half_and_full, coverage("half/dendrite", 0.4, 0.3, 0.6), bare)
    bounded = [m for (name, _), m in found.items() if name.startswith(("growth", "persistence"))]
    assert len([m for m in bounded if m.value is not None]) > 5
    assert all(m.interval is None for m in bounded)
