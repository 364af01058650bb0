"""Intervals of what is no volume hold the truth: faces cut into voxels, thin voids, missed tips."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Measurement, Provenance
from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.ensemble import Ensemble
from tomolith.measure.intervals.rules import Scan, interval_of
from tomolith.measure.intervals.tips import find_tips
from tomolith.measure.quantities import QUANTITIES, Frame, Region
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.sides import electrode_part
from tomolith.measure.series import series_changes

SCHEMA = PRESETS["li-operando"]
PLATING = electrode_part("plating side")


def found(name: str, values: np.ndarray, grid: Grid) -> dict[str, ClassValue]:
    quantity = QUANTITIES.load(name)(SCHEMA, Frame.half_depth(grid.shape_zyx))
    quantity.update(Region(values, grid.box, grid.box))
    return {v.class_name: v for v in quantity.finish(grid)}


def known(name: str, part: str, value: float, voxel_um: float) -> tuple[float, float]:
    """Return the ends of the interval of a number, by half a voxel alone."""
    strata = Strata(SCHEMA.names, np.ones(6))
    source = Ensemble(np.ones((2, 6)))
    interval = interval_of(name, part, Scan(strata, [source], {(name, part): value}, voxel_um))
    assert interval is not None
    return interval.low, interval.high


@pytest.mark.parametrize("seed", range(12))
def test_a_face_cut_into_voxels_has_the_roughness_and_tilt_that_it_had(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_z, n_y, n_x, size = 30, 60, 40, 2.0
    z, x = np.meshgrid(np.arange(n_z), np.arange(n_x), indexing="ij")
    slopes = rng.uniform(-0.15, 0.15, 2)
    waves = rng.uniform(0, 2.5) * np.sin(z / 3 + rng.uniform(0, 6)) * np.sin(x / 4)
    height = 45 + slopes[0] * (z - 15) + slopes[1] * (x - 20) + waves  # voxels
    y = np.arange(n_y)[None, :, None] + 0.5
    values = ((y >= height[:, None, :]) | (y < 5)).astype(np.uint8)
    grid = Grid(values.shape, (size,) * 3)
    design = np.stack([np.ones(z.size), z.ravel(), x.ravel()], axis=1)
    plane = np.linalg.lstsq(design, height.ravel(), rcond=None)[0]
    steepness = math.hypot(plane[1], plane[2])
    rest = (height.ravel() - design @ plane) * size / math.hypot(1, steepness)
    tilt = found("tilt", values, grid)[PLATING]
    assert tilt.interval is not None
    assert tilt.interval.low <= math.degrees(math.atan(steepness)) <= tilt.interval.high
    assert tilt.interval.high - tilt.interval.low < 8
    roughness = found("roughness", values, grid)[PLATING].value
    assert roughness is not None
    low, high = known("roughness", PLATING, roughness, size)
    assert low <= float(np.sqrt(np.mean(rest**2))) <= high
    assert high - low <= size


@pytest.mark.parametrize("seed", range(12))
def test_voids_thinner_than_a_voxel_are_within(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (24, 40, 20)
    face = 8 + rng.uniform(0, 1, (24, 20))  # of the electrode
    blobs = np.kron(rng.uniform(-1, 2.2, (6, 5)), np.ones((4, 4)))
    depth = np.maximum(blobs, 0)  # of the void, in voxels
    y = np.arange(40)[None, :, None] + 0.5
    bottom, top = face[:, None], (face + depth)[:, None]
    values = np.zeros(shape, np.uint8)
    values[np.broadcast_to((y < bottom) | (y > 35), shape)] = 1
    values[(y >= bottom) & (y < top)] = 3
    values[(y >= top) & (y < top + 4)] = 5
    grid = Grid(shape, (1.0, 1.0, 1.0))
    share = found("void_map_share", values, grid)["redeposited"]
    area = found("contact_area", values, grid)["redeposited"]
    assert share.interval is not None and area.interval is not None
    assert share.interval.low <= float(np.mean(depth > 0)) <= share.interval.high
    assert area.interval.low <= float(np.sum(depth == 0)) <= area.interval.high
    assert share.interval.low <= float(share.value or 0) <= share.interval.high


def test_a_deep_void_is_sure_and_a_thin_one_is_not() -> None:
    columns = [[1, 3, 3, 5], [1, 3, 5, 0], [1, 5, 0, 0], [1, 0, 0, 0]]
    values = np.array(columns, np.uint8).T.reshape(1, 4, 4)
    grid = Grid((1, 4, 4), (1.0, 1.0, 1.0))
    share = found("void_map_share", values, grid)["redeposited"].interval
    area = found("contact_area", values, grid)["redeposited"].interval
    assert share is not None and area is not None
    assert (share.low, share.high) == (0.25, 0.75)
    assert (area.low, area.high) == (0.0, 2.0)


def test_the_smooth_border_of_a_ball_is_within() -> None:
    z, y, x = np.mgrid[:48, :48, :48] - 23.5
    values = (2 * (z**2 + y**2 + x**2 < 18**2)).astype(np.uint8)
    value = found("boundary_volume", values, Grid((48,) * 3, (1.0,) * 3))["dendrite"].value
    low, high = known("boundary_volume", "dendrite", float(value or 0), 1.0)
    assert low < 4 * math.pi * 18**2 / 2 < high


def slice_of(
    rng: np.random.Generator, scan: str, z: int, scale: float
) -> tuple[HeldOutSlice, float, float]:
    """Return a slice, and the heights of its highest true and found dendrite.

    A third of the dendrites is missed, of the others the tip is off by a few voxels.
    """
    heights = rng.gamma(4.0, scale, rng.integers(1, 5))
    seen = (heights + rng.normal(0, 2, len(heights)))[rng.uniform(size=len(heights)) < 2 / 3]
    true, here = float(heights.max()), float(max(seen.max(initial=0.0), 0.0))
    reach = (100 - round(true), 100, *((100 - round(here), 100) if here >= 1 else (-1, -1)))
    counts = ((90, 1), (len(heights) - len(seen), len(seen)))
    return HeldOutSlice(scan, z, counts, reach=(reach, (0, 1, 0, 1))), true, here


def test_the_highest_dendrite_is_within_though_a_third_is_missed() -> None:
    n_inside, n_within_voxels, n = 0, 0, 300
    for seed in range(n):
        rng = np.random.default_rng(seed)
        slices = tuple(
            slice_of(rng, f"s{i:02d}", 10 * z, 5.0)[0] for i in range(12) for z in range(4)
        )
        record = HeldOut("net", "test", ("background", "dendrite"), slices)
        half = find_tips(record, axis=1, plating_high=True).half_vox
        assert half is not None
        scan = [slice_of(rng, "t", z, 5.0)[1:] for z in range(12)]
        true, here = (max(h) for h in zip(*scan, strict=True))
        n_inside += abs(true - here) <= math.hypot(1, half)
        n_within_voxels += abs(true - here) <= 1
    assert 0.9 <= n_inside / n <= 0.995
    assert n_within_voxels / n < 0.5  # half a voxel at each face alone


def test_what_two_scans_share_cancels_in_the_swelling() -> None:
    strata, source = Strata(SCHEMA.names, np.ones(6)), Ensemble(np.ones((2, 6)))
    numbers = []
    for name, value in (("a", 180.0), ("b", 190.0)):
        scan = Scan(strata, [source], {("gap", "electrodes"): value}, 2.0)
        interval = interval_of("gap", "electrodes", scan)
        numbers.append(Measurement("gap", value, "um", f"{name}/electrodes", interval))
    (_, swelling) = series_changes(numbers, ["a", "b"], provenance=Provenance("test"))
    assert swelling.value == 10.0
    assert swelling.interval is not None
    assert swelling.interval.half_width == pytest.approx(2.0 * math.sqrt(2) / 2)
