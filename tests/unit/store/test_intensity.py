from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import Grid, IntensityStats, Volume
from tomolith.errors import InputError
from tomolith.store import intensity
from tomolith.store.intensity import sample_slices, sample_stats


class Counting:
    """An array that counts what is read from it, larger than any memory."""

    def __init__(self, shape):
        self.shape = shape
        self.dtype = np.dtype(np.uint8)
        self.n_read = 0

    def __getitem__(self, index):
        shape = [s.stop - s.start for s in index]
        assert all(s.step in (None, 1) for s in index)
        self.n_read += int(np.prod(shape))
        return (np.arange(shape[2], dtype=np.uint8) + np.zeros(shape, np.uint8)).astype(np.uint8)


def test_a_small_volume_is_sampled_in_full():
    grey = np.random.default_rng(0).normal(size=(8, 20, 30)).astype(np.float32)
    stats, n_bad = sample_stats(Volume(grey, Grid(grey.shape, None)))
    assert stats == (IntensityStats.of_sample(grey),)
    assert n_bad == 0


def test_a_huge_volume_costs_32_slices_and_two_million_voxels():
    array = Counting((3000, 3000, 3000))
    stats, _ = sample_stats(Volume(array, Grid(array.shape, None)))
    assert array.n_read <= 32 * 3000 * 3000
    assert 1_000_000 < stats[0].n_sampled <= 2_000_000


def test_bands_of_rows_do_not_change_the_sample(monkeypatch):
    grey = np.random.default_rng(0).integers(0, 9999, (2, 3000, 700)).astype(np.uint16)
    volume = Volume(grey, Grid(grey.shape, None))
    whole = sample_stats(volume)
    monkeypatch.setattr(intensity, "_SLAB_BYTES", 100_000)
    assert sample_stats(volume) == whole


def test_slices_lie_evenly_and_include_the_middle():
    for n in (1, 2, 31, 32, 33, 64, 1000):
        slices = sample_slices(n)
        assert 1 <= len(slices) <= 32
        assert 0 <= slices[0] <= slices[-1] < n
        assert (slices[0] + slices[-1]) / 2 == pytest.approx((n - 1) / 2, abs=n / len(slices))


def test_sections_have_statistics_of_their_own():
    rng = np.random.default_rng(0)
    grey = np.stack([rng.normal(mean, 1, (40, 40)) for mean in (10, 200)]).astype(np.float32)
    stats, _ = sample_stats(Volume(grey, Grid(grey.shape, None, sections=True)))
    assert [round(s.mean, -1) for s in stats] == [10, 200]
    assert stats[0] == IntensityStats.of_sample(grey[0])


def test_not_finite_values_are_counted_and_left_out():
    grey = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    grey[0, 1, 2] = np.nan
    grey[1, 2, 3] = np.inf
    stats, n_bad = sample_stats(Volume(grey, Grid((2, 3, 4), None)))
    assert n_bad == 2
    assert stats[0].n_sampled == 22


def test_an_empty_section_is_named():
    grey = np.zeros((3, 4, 4), np.uint8)
    grey[:2] = np.arange(16).reshape(4, 4)
    with pytest.raises(InputError, match="section 2: the image is empty"):
        sample_stats(Volume(grey, Grid((3, 4, 4), None, sections=True)))
    with pytest.raises(InputError, match="the image is empty"):
        sample_stats(Volume(grey[2:], Grid((1, 4, 4), None)))
