"""Plan maps along any axis, and how the cell lies in the volume."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.measure.plan_maps import plan_maps
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import find_frame

SIZES = (2.0, 1.0, 0.5)
VALUES = np.random.default_rng(0).choice([0, 1, 2, 255], (5, 300, 6)).astype(np.uint8)


def labelmap(values: np.ndarray, schema: str = "li-operando") -> LabelMap:
    return LabelMap(Volume(values, Grid(values.shape, SIZES)), PRESETS[schema])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("block", [(2, 70, 5), (9, 999, 9)])
def test_maps_are_sums_and_means_along_the_axis(axis: int, block: tuple[int, int, int]) -> None:
    maps = plan_maps(labelmap(VALUES), axis=axis, block_zyx=block)
    here = VALUES == 2
    assert np.array_equal(maps.count("dendrite"), here.sum(axis=axis))
    assert np.allclose(maps.thickness_um("dendrite"), here.sum(axis=axis) * SIZES[axis])
    assert np.allclose(maps.density("dendrite"), here.mean(axis=axis))


def test_a_map_of_no_class_is_refused() -> None:
    with pytest.raises(InputError, match="no class 'lithium'"):
        plan_maps(labelmap(VALUES)).count("lithium")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_plane_is_found_whatever_the_axis_and_a_few_specks(axis: int) -> None:
    across = np.arange(60)[None, :, None]
    middle = 30 + 0.5 * np.arange(20)[:, None] - 0.3 * np.arange(24)[None, :]
    values = (np.abs(across - middle[:, None, :]) > 12).astype(np.uint8)
    values[np.random.default_rng(1).random(values.shape) < 1e-4] = 1  # mislabelled
    frame = find_frame(labelmap(np.moveaxis(values, 1, axis)), axis=axis, plating_high=False)
    assert frame.plane_vox == pytest.approx((30, 0.5, -0.3), abs=0.25)
    assert frame.sides == ("plating side", "stripping side")
    cut = find_frame(labelmap(np.moveaxis(values, 1, axis)), axis=axis, plane=False)
    assert cut.plane_vox == (29.5, 0.0, 0.0)


def test_without_electrodes_the_sides_are_parted_at_half_depth() -> None:
    values = np.zeros((4, 10, 4), np.uint8)
    assert find_frame(labelmap(values)).plane_vox == (4.5, 0.0, 0.0)
    assert find_frame(labelmap(values, "li-binary")).plane_vox == (4.5, 0.0, 0.0)


def test_a_quantity_whose_classes_are_lacking_is_left_out_or_refused() -> None:
    binary = labelmap((VALUES == 1).astype(np.uint8), "li-binary")
    assert "dead_li_volume" not in {m.name for m in measure(binary, MeasureSettings())}
    with pytest.raises(InputError, match="no class 'pit' and no class 'redeposited'"):
        measure(binary, MeasureSettings(quantities=["pit_filling"]))
