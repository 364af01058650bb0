"""The filters of the scanner: right widths, nothing lost, no trace of blocks."""

import numpy as np
import pytest
from scipy import ndimage

from tomolith.phantom.optics import REFINING_VARIANCE, gauss_taps, refine, smooth


def spread(line):
    """Return the variance of a line's weights about its middle of mass."""
    line = line.astype(np.float64) / line.sum()
    at = np.arange(len(line))
    return float((line * at * at).sum() - (line * at).sum() ** 2)


@pytest.mark.parametrize("sigma", [0.4, 1.2, 5.3])
def test_taps_are_even_sum_to_one_and_reach_three_deviations(sigma):
    taps = np.array(gauss_taps(sigma))
    assert taps.sum() == pytest.approx(1)
    assert np.array_equal(taps, taps[::-1])
    assert 3 * sigma <= len(taps) // 2 < 3 * sigma + 1


def test_no_blur_is_one_tap_and_leaves_what_is_there():
    values = np.random.default_rng(1).random((3, 4, 5), np.float32)
    assert smooth(values, gauss_taps(0.0)) is values


def test_smoothing_agrees_with_scipy(monkeypatch):
    values = np.random.default_rng(1).random((20, 23, 27), np.float32)
    found = smooth(values, gauss_taps(1.7))
    wanted = ndimage.gaussian_filter(values.astype(np.float64), 1.7, radius=6)[6:-6, 6:-6, 6:-6]
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-6
    monkeypatch.setattr("tomolith.phantom.optics._PIECE", 1)
    assert np.array_equal(smooth(values, gauss_taps(1.7)), found)


def test_smoothing_of_a_part_is_the_part_of_the_smoothed():
    values, taps = np.random.default_rng(2).random((20, 23, 27), np.float32), gauss_taps(1.0)
    part = smooth(values[3:17, 1:, 5:20], taps)
    assert np.array_equal(part, smooth(values, taps)[3:11, 1:, 5:14])


def test_refining_keeps_the_sum_of_a_point_and_blurs_it_as_it_says():
    point = np.zeros((7, 7, 7), np.float32)
    point[3, 3, 3] = 1
    fine = refine(point)
    assert fine.shape == (10, 10, 10)
    assert fine.sum() == pytest.approx(8)
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        assert spread(fine.sum(axis=others)) / 2**2 == pytest.approx(REFINING_VARIANCE)


def test_a_slope_stays_a_slope_when_it_is_refined():
    slope = np.broadcast_to(np.arange(6, dtype=np.float32), (3, 3, 6))
    assert refine(slope)[0, 0].tolist() == [i / 2 + 0.75 for i in range(8)]
