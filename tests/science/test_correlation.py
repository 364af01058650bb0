"""Maps that have nothing to do with each other are found to be so as often as promised."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from tomolith.errors import MismatchError
from tomolith.measure.correlation import SpatialMap, correlate
from tomolith.measure.persistence import overlap


def patches(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Return a map whose columns are alike over about twice ``sigma`` pixels."""
    margin = int(4 * sigma)
    noise = rng.normal(size=(shape[0] + 2 * margin, shape[1] + 2 * margin))
    inner = slice(margin, -margin or None)
    return ndimage.gaussian_filter(noise, sigma)[inner, inner] if sigma else noise


@pytest.mark.parametrize("sigma", [0.0, 2.0, 4.0])
def test_unrelated_patches_are_rejected_in_one_of_twenty_cases(sigma: float) -> None:
    rng, n = np.random.default_rng(int(sigma)), 400
    modified, naive, n_effective, rs = 0, 0, [], []
    for _ in range(n):
        a, b = patches(rng, (48, 64), sigma), patches(rng, (48, 64), sigma)
        found = correlate(SpatialMap(a), SpatialMap(b))
        r, p = stats.pearsonr(a.ravel(), b.ravel())
        assert found.r == pytest.approx(r, abs=1e-5)
        modified += found.p < 0.05
        naive += p < 0.05
        n_effective.append(found.n_effective)
        rs.append(r)
    assert 0.025 < modified / n < 0.08  # 0.05 with two standard errors of 400 trials, and a little
    assert naive / n > 0.6 if sigma else naive / n < 0.08
    # var(r) = 1 / (n - 1) defines the effective sample size
    assert np.median(n_effective) == pytest.approx(1 + 1 / np.var(rs), rel=0.25)


def test_the_interval_covers_the_true_coefficient() -> None:
    rng, n, true_r, inside = np.random.default_rng(3), 300, 0.6, 0
    for _ in range(n):
        a, c = patches(rng, (64, 64), 2.0), patches(rng, (64, 64), 2.0)
        b = true_r * a + np.sqrt(1 - true_r**2) * c
        interval = correlate(SpatialMap(a), SpatialMap(b)).interval
        inside += interval.low <= true_r <= interval.high
    assert 0.91 < inside / n < 0.985


def test_pixels_may_be_longer_than_wide() -> None:
    rng = np.random.default_rng(5)
    a, b = patches(rng, (96, 96), 4.0), patches(rng, (96, 96), 4.0)
    cubic = correlate(SpatialMap(a), SpatialMap(b))
    long = correlate(SpatialMap(a[::2], (2.0, 1.0)), SpatialMap(b[::2], (2.0, 1.0)))
    assert long.n_effective == pytest.approx(cubic.n_effective, rel=0.3)


def test_maps_without_structure_or_of_other_columns() -> None:
    flat, noise = np.full((8, 8), 3), np.random.default_rng(0).normal(size=(8, 8))
    assert correlate(SpatialMap(flat), SpatialMap(noise)) is None
    found = correlate(SpatialMap(noise[:1, :3]), SpatialMap(noise[1:2, :3]))
    assert found.n_effective <= 3
    assert found.p is None
    assert found.interval is None
    with pytest.raises(MismatchError, match="the same columns"):
        correlate(SpatialMap(noise), SpatialMap(noise[:4]))
    with pytest.raises(MismatchError, match="64 and 32 columns count"):
        correlate(SpatialMap(noise), SpatialMap(noise, known=np.arange(64).reshape(8, 8) < 32))


def disc(shape: tuple[int, int]) -> np.ndarray:
    u, v = ((np.arange(n) - (n - 1) / 2) / (n / 2) for n in shape)
    return u[:, None] ** 2 + v[None, :] ** 2 < 1


def test_unrelated_patches_of_a_round_sample_are_rejected_in_one_of_twenty_cases() -> None:
    rng, n, known = np.random.default_rng(4), 400, disc((48, 64))
    rejected, p_shift = 0, []
    for _ in range(n):
        a, b = patches(rng, (48, 64), 2.0), patches(rng, (48, 64), 2.0)
        found = correlate(SpatialMap(a, known=known), SpatialMap(b, known=known))
        assert found.r == pytest.approx(stats.pearsonr(a[known], b[known])[0], abs=1e-5)
        rejected += found.p < 0.05
        p_shift.append(overlap(a > 0.15, b > 0.15, known).p)
    assert 0.025 < rejected / n < 0.08
    assert 0.02 < np.mean(np.array(p_shift) < 0.05) < 0.10


def test_what_lies_around_the_sample_changes_nothing() -> None:
    rng, known = np.random.default_rng(6), np.zeros((40, 50), np.bool_)
    known[4:30, 7:41] = True
    a, b = patches(rng, (40, 50), 2.0), patches(rng, (40, 50), 2.0)
    found = correlate(SpatialMap(a, known=known), SpatialMap(b, known=known))
    inner = correlate(SpatialMap(a[4:30, 7:41]), SpatialMap(b[4:30, 7:41]))
    assert found.r == pytest.approx(inner.r, abs=1e-6)
    assert found.n_effective == pytest.approx(inner.n_effective, rel=0.1)  # other rings' reach


def test_shifts_tell_patches_that_stay_from_patches_that_happen_to_meet() -> None:
    rng = np.random.default_rng(1)
    p_stay, p_meet = [], []
    for _ in range(200):
        early = patches(rng, (64, 64), 3.0) > 0.15
        late = patches(rng, (64, 64), 3.0) > 0.15
        p_meet.append(overlap(early, late).p)
        p_stay.append(overlap(early, late | early).p)
    assert 0.01 < np.mean(np.array(p_meet) < 0.05) < 0.12
    assert np.mean(np.array(p_stay) < 0.05) > 0.95


def test_overlap_at_a_shift_is_counted_exactly() -> None:
    rng = np.random.default_rng(2)
    early, late = rng.random((2, 9, 14)) < 0.4
    shifts = [
        np.count_nonzero(early & np.roll(late, (du, dv), axis=(0, 1)))
        for du in range(9)
        for dv in range(14)
    ]
    found = overlap(early, late)
    assert found.n_both == shifts[0]
    assert found.n_shifts_as_good == sum(n >= shifts[0] for n in shifts)
    assert found.n_shifts == 9 * 14


def test_a_shift_is_judged_by_the_sites_that_it_leaves_over_known_columns() -> None:
    rng, known = np.random.default_rng(2), np.zeros((9, 14), np.bool_)
    known[1:8, 3:9] = known[0, 5] = True
    early, late = rng.random((2, 9, 14)) < 0.4
    first, found = early & known, overlap(early, late, known)
    kept = []
    for du, dv in np.ndindex(9, 14):
        moved, seen = (np.roll(sites, (du, dv), axis=(0, 1)) for sites in (late & known, known))
        if 2 * (first & seen).sum() >= first.sum():
            n, chance = (first & seen).sum(), (late & known).sum() / known.sum()
            kept.append(((first & moved).sum() - n * chance) / np.sqrt(n))
    assert found.share == (first & late).sum() / first.sum()
    assert found.share_by_chance == (late & known).sum() / known.sum()
    assert found.n_shifts == len(kept) < 9 * 14
    assert found.n_shifts_as_good == sum(beyond >= kept[0] for beyond in kept)
