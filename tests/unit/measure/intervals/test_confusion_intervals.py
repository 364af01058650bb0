"""Correction by the confusion matrix: by hand, and on scans that differ from each other."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.confusion import Confusion, corrected_counts
from tomolith.measure.intervals.held_out_units import Sums, Unit, Units, units_for


def units(counts: list[np.ndarray], *, is_own: bool = False) -> Units:
    none = [np.zeros((len(c), 0)) for c in counts]
    found = tuple(Unit(c.astype(float), n, n) for c, n in zip(counts, none, strict=True))
    return Units(found, is_own=is_own, is_whole=True, words="")


def confusion_interval(
    predicted: np.ndarray, held: Units, *, n_draws: int = 400
) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and half width of each class."""
    names = tuple(f"class {i}" for i in range(len(predicted)))
    source, strata = Confusion(predicted, held, n_draws=n_draws), Strata(names, predicted)
    found = [source.of(strata.combine({name: 1.0})) for name in names]
    return np.array([e.centre for e in found]), np.array([e.half for e in found])


def test_the_correction_by_hand() -> None:
    # predicted background: 90 right, 10 are lithium; predicted lithium: 40 right, 20 background
    counts = np.array([[90.0, 20.0], [10.0, 40.0]])
    found = corrected_counts(counts, np.array([1000.0, 600.0]))
    assert found == pytest.approx([1000 * 0.9 + 600 / 3, 1000 * 0.1 + 600 * 2 / 3])


def test_equal_slices_leave_no_doubt_but_the_binomial_one() -> None:
    counts = np.array([[[90.0, 0.0], [0.0, 10.0]]])
    centre, half = confusion_interval(np.array([900.0, 100.0]), units([counts] * 4))
    assert centre.tolist() == [900.0, 100.0]
    assert half.max() == 0


def test_slices_are_drawn_whole() -> None:
    """Slices that differ as wholes give more doubt than as many pixels drawn one by one."""
    rng = np.random.default_rng(0)
    shares = rng.choice([0.5, 0.9], 20)
    counts = [
        np.array([[[900 - 1000 * (1 - s) / 2, 0], [1000 * (1 - s) / 2, 100]]]) for s in shares
    ]
    predicted = np.array([9e4, 1e4])
    _, half = confusion_interval(predicted, units(counts, is_own=True))
    missed = np.mean([(1 - s) / 2 / 0.9 for s in shares])
    pixels = 1.96 * 9e4 * np.sqrt(missed * (1 - missed) / (900 * 20))
    assert half[1] > 3 * pixels


def scan(rng: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """Return n slices, and how much lithium hides in background of a scan with its own errors."""
    missed = rng.uniform(0.02, 0.12)
    slices = []
    for _ in range(n):
        hidden = rng.normal(missed, 0.005) * 900
        slices.append([[900 - hidden, 0.0], [hidden, 100.0]])
    return np.array(slices), missed


def test_it_covers_scans_that_differ() -> None:
    rng, covered, too_narrow = np.random.default_rng(0), 0, 0
    n_trials = 100
    for _ in range(n_trials):
        held = units([scan(rng, 6)[0] for _ in range(8)])
        truth = 1e4 + 9e4 * scan(rng, 1)[1]
        centre, half = confusion_interval(np.array([9e4, 1e4]), held, n_draws=100)
        covered += abs(centre[1] - truth) <= half[1]
        alone = held.t * np.linalg.norm(held.bootstrap(_lithium, 100), axis=0)
        # what held-out slices say of their own mean, without how scans differ
        too_narrow += abs(centre[1] - truth) <= alone[0]
    assert covered >= 0.9 * n_trials
    assert too_narrow <= 0.8 * n_trials


def _lithium(drawn: Sums) -> np.ndarray:
    return corrected_counts(drawn.counts.sum(axis=-3), np.array([9e4, 1e4]))[:, 1:]


def test_classes_taken_for_each_other_leave_their_sum_alone() -> None:
    """Rows truth, columns prediction: dendrite and deposit are mixed up, background never."""
    rng, names = np.random.default_rng(0), ("background", "dendrite", "deposited")
    counts = [
        np.array([[[900.0, 0, 0], [0, 50, one], [0, other, 100]]])
        for one, other in rng.uniform(5, 45, (6, 2))
    ]
    predicted = np.array([9e5, 5e4, 1e5])
    source, strata = Confusion(predicted, units(counts)), Strata(names, predicted)
    each = source.of(strata.combine({"dendrite": 1.0}))
    both = source.of(strata.combine({"dendrite": 1.0, "deposited": 1.0}))
    assert each.half > 1e4
    assert both.centre == pytest.approx(1.5e5)
    assert both.half < 1.0


def test_of_one_side_it_is_not_known_where_the_electrode_was_missed() -> None:
    counts = np.array([[[80.0, 0.0], [20.0, 100.0]]])  # a fifth of background is electrode
    predicted = np.array([1e5, 1e5])
    source = Confusion(predicted, units([counts] * 4))
    strata = Strata(("background", "electrode"), predicted, plating_frac=0.5)
    sides = [f"electrode, {side} side" for side in ("stripping", "plating")]
    one = source.of(strata.combine({sides[0]: 1.0}))
    assert (one.centre, one.half) == pytest.approx((6e4, 1e4))
    both = source.of(strata.combine(dict.fromkeys(sides, 1.0)))
    assert (both.centre, both.half) == pytest.approx((1.2e5, 0.0), abs=1e-6)


def test_what_labels_say_of_the_confusion_is_shared_by_the_scans_they_judge() -> None:
    rng = np.random.default_rng(0)
    held = units([scan(rng, 6)[0] for _ in range(4)])
    first, second = (
        Confusion(n, held).of(Strata(("a", "b"), n).combine({"b": 1.0}))
        for n in (np.array([9e4, 1e4]), np.array([8.9e4, 1.1e4]))
    )
    assert np.linalg.norm(first.shared) > 0.3 * first.half
    assert np.linalg.norm(first.shared - second.shared) < 0.02 * first.half
    own = Confusion(np.array([9e4, 1e4]), units([scan(rng, 6)[0] for _ in range(4)], is_own=True))
    assert own.of(Strata(("a", "b"), np.array([9e4, 1e4])).combine({"b": 1.0})).shared.size == 0


def record(*places: tuple[str, int]) -> HeldOut:
    slices = [HeldOutSlice(s, z, ((4, 1), (0, 3))) for s, z in sorted(places)]
    return HeldOut("net", "test", ("x", "y"), tuple(slices))


def test_neighbouring_slices_are_one_place() -> None:
    own = units_for(record(*(("a", z) for z in (0, 1, 2, 10, 20, 21, 30, 40))), "a")
    assert own is not None
    assert [len(u.counts) for u in own.units] == [3, 1, 2, 1, 1]
    assert (own.is_own, own.is_whole) == (True, True)


def test_a_scan_with_few_places_is_judged_by_all_scans() -> None:
    found = units_for(record(*((s, z) for s in "abcde" for z in (0, 1, 2, 9))), "a")
    assert found is not None
    assert (len(found), found.is_own, found.is_whole) == (5, False, True)


def test_few_scans_do_not_show_how_scans_differ() -> None:
    few = units_for(record(*((s, z) for s in "abc" for z in (0, 1, 2, 9))), "a")
    assert few is not None
    assert (len(few), few.is_own, few.is_whole) == (12, False, False)
    alone = units_for(record(("a", 0), ("a", 1)), "b")
    assert alone is not None
    assert (len(alone), alone.is_own, alone.is_whole) == (2, False, False)
    assert "of one scan, which do not show" in alone.words
    assert units_for(record(("a", 0)), "a") is None


def test_labels_that_were_never_right_may_be_elsewhere() -> None:
    rng = np.random.default_rng(0)
    n = 16
    places = [np.array([[[900.0 + rng.integers(50), 10.0], [0.0, 0.0]]]) for _ in range(n)]
    centre, half = confusion_interval(np.array([9000.0, 100.0]), units(places, is_own=True))
    assert centre.tolist() == [9100.0, 0.0]
    assert half == pytest.approx([100 * (1 - 0.05 ** (1 / n))] * 2)


def test_a_class_that_is_nowhere_gets_no_dust() -> None:
    rng = np.random.default_rng(0)
    places = []
    for _ in range(9):
        counts = np.zeros((1, 3, 3))
        counts[0, :2, :2] = rng.integers(1, 100, (2, 2))
        places.append(counts)
    _, half = confusion_interval(np.array([9000.0, 800.0, 0.0]), units(places, is_own=True))
    assert half[0] > 0
    assert half[2] == 0
