"""Normalisation carries over between grey scales and number types."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core import IntensityStats, Normalisation
from tomolith.core.intensity import PERCENTS
from tomolith.errors import InputError

rng = np.random.default_rng(0)
IMAGE = rng.integers(20, 220, (2, 9, 11)).astype(np.uint8)


def normalised(image, method="percentile"):
    stats = (IntensityStats.of_sample(image),)
    return Normalisation(method).apply(image, stats)


@pytest.mark.parametrize("method", ["percentile", "zscore"])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u2", ">u2", "<f4", ">f4", "<f8"])
def test_number_types_of_the_same_image_give_the_same_input(dtype, method):
    again = normalised(IMAGE.astype(dtype), method)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, normalised(IMAGE, method))


@pytest.mark.parametrize("method", ["percentile", "zscore"])
@given(gain=st.floats(0.01, 100), shift=st.floats(-1e3, 1e3))
def test_another_grey_scale_gives_the_same_input(method, gain, shift):
    other = ((IMAGE.astype(np.float64) + shift) * gain).astype(np.float32)
    np.testing.assert_allclose(normalised(other, method), normalised(IMAGE, method), atol=1e-3)


def test_percentiles_go_to_minus_one_and_one_without_clipping():
    ramp = np.arange(10_001, dtype=np.uint16).reshape(1, 1, -1)
    out = normalised(ramp)
    assert out[0, 0, 100] == pytest.approx(-1)
    assert out[0, 0, 9900] == pytest.approx(1)
    assert out.max() > 1


def test_zscore_has_mean_zero_and_deviation_one():
    out = normalised(IMAGE, "zscore")
    assert out.mean() == pytest.approx(0, abs=1e-5)
    assert out.std() == pytest.approx(1, abs=1e-5)


def test_the_last_digit_of_large_values_is_kept():
    large = np.array([[[65534, 65535]]], np.uint16)
    stats = (IntensityStats.of_sample(large),)
    low, high = Normalisation().apply(large, stats).ravel()
    assert high > low


def test_sections_use_their_own_statistics():
    dark, bright = IMAGE[:1], IMAGE[1:].astype(np.uint16) * 100
    both = np.concatenate([dark.astype(np.uint16), bright])
    stats = (IntensityStats.of_sample(dark), IntensityStats.of_sample(bright))
    out = Normalisation().apply(both, stats)
    np.testing.assert_array_equal(out[1:], normalised(bright))
    np.testing.assert_array_equal(Normalisation().apply(both[1:], stats, z_start=1), out[1:])


def test_statistics_leave_out_what_is_not_finite():
    values = np.array([1.0, 2.0, np.nan, 3.0, np.inf, -np.inf])
    stats = IntensityStats.of_sample(values)
    assert (stats.n_sampled, stats.mean) == (3, 2.0)
    assert stats.percentile(50) == 2.0


@pytest.mark.parametrize(
    ("values", "says"), [([np.nan, np.inf], "not finite"), ([7, 7, 7], "are 7"), ([], "not finite")]
)
def test_an_image_without_contrast_is_refused(values, says):
    with pytest.raises(InputError, match=says):
        IntensityStats.of_sample(np.array(values, np.float32))


def test_a_nearly_constant_image_falls_back_on_its_extremes():
    values = np.zeros(1000)
    values[-9:] = 5.0  # 1 % and 99 % percentiles are both 0, the 99.5 % one is 5
    offset, scale = Normalisation().offset_scale(IntensityStats.of_sample(values))
    assert (0 - offset) * scale == pytest.approx(-1)
    assert (5 - offset) * scale == pytest.approx(1)


def test_a_single_hot_voxel_still_gives_finite_input():
    values = np.zeros(1_000_000)
    values[0] = 1.0
    out = Normalisation().apply(values.reshape(1, 1000, 1000), (IntensityStats.of_sample(values),))
    assert np.isfinite(out).all()


def test_a_hand_made_statistic_without_spread_does_not_divide_by_zero():
    flat = IntensityStats((3.0,) * len(PERCENTS), 3.0, 0.0, 1)
    for method in ("percentile", "zscore"):
        assert Normalisation(method).offset_scale(flat) == (3.0, 1.0)


def test_statistics_survive_writing_and_reading():
    stats = IntensityStats.of_sample(IMAGE)
    assert IntensityStats.from_dict(stats.to_dict()) == stats
