"""Expected volumes: correlated fields whose variance is known, and held-out slices."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import Grid
from tomolith.measure.intervals import probabilities
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.held_out_units import Unit, Units
from tomolith.measure.intervals.probabilities import (
    BLOCK_SIDES,
    ExpectedVoxels,
    Probabilities,
    expected_voxels,
)

GRID = Grid((64, 64, 128), None)


def probability_interval(
    found: ExpectedVoxels, units: Units | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and half width of each of two classes."""
    source, strata = Probabilities(found, units), Strata(("a", "b"), found.expected)
    each = [source.of(strata.combine({name: 1.0})) for name in "ab"]
    whole = source.of(strata.combine({"a": 1.0, "b": 1.0}))
    assert whole.half < 1e-6 * whole.centre + 1e-6  # all voxels are known
    return np.array([e.centre for e in each]), np.array([e.half for e in each])


def cubes(side: int, seed: int = 0) -> np.ndarray:
    """Return probabilities (2, z, y, x) that are the same within cubes of ``side`` voxels."""
    rng = np.random.default_rng(seed)
    small = rng.choice([0, 51, 128, 204, 255], [n // side for n in GRID.shape_zyx])
    p = np.kron(small, np.ones((side,) * 3, int)).astype(np.uint8)
    return np.stack([255 - p, p])


@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_voxels_that_err_together_are_one_draw(side: int) -> None:
    shares = cubes(side)
    p = shares[1, ::side, ::side, ::side] / 255
    true_variance = (side**6 * p * (1 - p)).sum()  # each cube is right or wrong as a whole
    found = expected_voxels(shares, GRID)
    assert found.expected[1] == pytest.approx(shares[1].sum() / 255)
    assert found.correlation_vox[1] == pytest.approx(side, rel=0.15)
    blocks = found.block_variance[BLOCK_SIDES.index(side), 1]
    assert blocks == pytest.approx(true_variance, rel=0.01)
    assert found.variance[1] == pytest.approx(true_variance, rel=0.5)


def test_the_interval_covers_draws_of_a_correlated_truth() -> None:
    shares, rng = cubes(8), np.random.default_rng(1)
    centre, half = probability_interval(expected_voxels(shares, GRID))
    p = shares[1, ::8, ::8, ::8] / 255
    truth = [512 * np.count_nonzero(rng.random(p.shape) < p) for _ in range(2000)]
    covered = np.mean(np.abs(np.array(truth) - centre[1]) <= half[1])
    assert 0.93 <= covered <= 0.99
    independent = 1.96 * np.sqrt(expected_voxels(shares, GRID).doubt[1])
    assert half[1] > 15 * independent


def test_of_large_scans_cubes_are_drawn_from_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = cubes(4)
    whole = expected_voxels(shares, GRID)
    monkeypatch.setattr(probabilities, "_MOST_BOXES", 1)
    sample = expected_voxels(shares, GRID)  # of the first of two boxes
    assert sample.expected.tolist() == whole.expected.tolist()
    assert sample.doubt.tolist() == whole.doubt.tolist()
    assert sample.variance == pytest.approx(whole.variance, rel=0.2)
    shares[:, :, :, :64] = np.array([255, 0], np.uint8)[:, None, None, None]
    unseen = expected_voxels(shares, GRID)  # the box that is looked at has no doubt
    assert unseen.variance == pytest.approx(unseen.doubt * 64**3)


def test_sure_probabilities_have_no_width() -> None:
    shares = np.zeros((2, 8, 8, 8), np.uint8)
    shares[0] = 255
    centre, half = probability_interval(expected_voxels(shares, Grid((8, 8, 8), None)))
    assert centre.tolist() == [512.0, 0.0]
    assert half.max() < 1e-6


def unit(truth: float, expected: float, doubt: float, n: float = 1000.0) -> Unit:
    counts = np.diag([n - truth, truth])[None]
    return Unit(counts, np.array([[n - expected, expected]]), np.array([[doubt, doubt]]))


def test_held_out_slices_hold_probabilities_to_their_word() -> None:
    shares = np.zeros((2, 10, 10, 10), np.uint8)
    shares[:] = np.array([204, 51], np.uint8)[:, None, None, None]  # 20 % lithium
    found = expected_voxels(shares, Grid((10, 10, 10), None))
    doubt = found.doubt[1]
    errors = [30.0, 50.0, 40.0, 60.0]  # there is always more than the probabilities say
    units = tuple(unit(200 + e, 200, doubt) for e in errors)
    held = Units(units, is_own=False, is_whole=True, words="4 scans")
    centre, half = probability_interval(found, held)
    assert centre[1] == pytest.approx(245, rel=0.01)
    s2 = np.var(errors, ddof=1)
    assert half[1] == pytest.approx(3.182 * np.sqrt(s2 * (1 + 1 / 4)), rel=0.1)
    own = Units(units, is_own=True, is_whole=True, words="4 places")
    assert probability_interval(found, own)[1][1] < 0.6 * half[1]


def test_boxes_and_their_order_do_not_matter() -> None:
    shares = cubes(4)
    lazy = expected_voxels(shares, GRID)
    again = expected_voxels(np.asfortranarray(shares), GRID)
    assert lazy.expected.tolist() == again.expected.tolist()
    assert lazy.block_variance.tolist() == again.block_variance.tolist()
