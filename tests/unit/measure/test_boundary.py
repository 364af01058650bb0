"""Half a voxel on every border: slabs and spheres of known surface."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities.base import Region
from tomolith.measure.quantities.boundary import BoundaryVolume, between
from tomolith.measure.quantities.frame import Frame

SCHEMA = PRESETS["li-binary"]


def of_lithium(labels: np.ndarray, size: tuple[float, float, float], *, block: int = 99) -> float:
    """Return the shift of the class lithium, counted in cubes of ``block`` voxels."""
    grid = Grid(labels.shape, size)
    shift = BoundaryVolume(SCHEMA)
    for core in grid.box.tiles((block,) * 3):
        shift.update(Region(labels[core.slices], core, core))
    (found,) = (v.value for v in shift.finish(grid) if v.class_name == "lithium")
    assert found is not None
    return float(found)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slab_gains_half_a_voxel_on_either_side(axis: int) -> None:
    labels = np.zeros((12, 10, 14), np.uint8)
    index = np.moveaxis(labels, axis, 0)
    index[3:7] = 1
    size = (2.0, 1.0, 0.5)
    area = labels[0:1].size if axis == 0 else labels.size // labels.shape[axis]
    assert of_lithium(labels, size) == 2 * area * 0.5 * math.prod(size)
    index[:7] = 1  # the face of the scan is no border
    assert of_lithium(labels, size) == area * 0.5 * math.prod(size)


def test_a_sphere_gains_its_faces_which_are_one_and_a_half_its_surface() -> None:
    n, radius = 64, 24.0
    z, y, x = np.ogrid[:n, :n, :n]
    labels = ((z - 31.5) ** 2 + (y - 31.3) ** 2 + (x - 31.8) ** 2 < radius**2).astype(np.uint8)
    surface = 4 * math.pi * radius**2
    assert of_lithium(labels, (1.0, 1.0, 1.0)) == pytest.approx(1.5 * surface / 2, rel=0.01)


@pytest.mark.parametrize("block", [3, 7, 16])
def test_blocks_change_no_face(block: int) -> None:
    labels = np.random.default_rng(0).choice([0, 1, 255], (17, 13, 19)).astype(np.uint8)
    lithium, background = labels == 1, labels == 0
    faces = 0
    for axis in range(3):
        first = [np.moveaxis(m, axis, 0)[:-1] for m in (lithium, background)]
        second = [np.moveaxis(m, axis, 0)[1:] for m in (lithium, background)]
        faces += np.count_nonzero(first[0] & second[1]) + np.count_nonzero(first[1] & second[0])
    assert of_lithium(labels, (1.0, 1.0, 1.0), block=block) == faces / 2


def test_it_may_be_finished_twice() -> None:
    box = Box((0, 0, 0), (1, 1, 4))
    shift = BoundaryVolume(SCHEMA)
    labels = np.array([[[0, 1, 1, 0]]], np.uint8)
    for start in (0, 2):
        core = Box((0, 0, start), (1, 1, start + 2))
        shift.update(Region(labels[core.slices], core, core))
    grid = Grid(box.shape_zyx, (1.0, 1.0, 1.0))
    assert shift.finish(grid) == shift.finish(grid)


def test_it_is_measured_like_any_quantity() -> None:
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1:3] = 1
    grid = Grid(labels.shape, (1.0, 1.0, 1.0))
    settings = MeasureSettings(quantities=["boundary_volume"])
    found = measure(LabelMap(Volume(labels, grid), SCHEMA), settings, block_zyx=(1, 4, 4))
    assert [m.value for m in found] == [16.0, 16.0, 16.0]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("block", [2, 5, 99])
def test_faces_of_electrodes_are_told_apart_by_side(axis: int, block: int) -> None:
    schema, grid = PRESETS["li-operando"], Grid((12, 12, 12), (1.0, 1.0, 1.0))
    values = {c.name: c.value for c in schema.classes}
    labels = np.zeros(grid.shape_zyx, np.uint8)
    across = np.moveaxis(labels, axis, 1)
    across[:, :3] = across[:, 9:] = values["electrode"]
    across[:, 2, 4:7] = values["pit"]
    across[:, 7:9, :4] = values["deposited"]
    shift = BoundaryVolume(schema, Frame.half_depth(grid.shape_zyx, axis=axis))
    for core in reversed(list(grid.box.tiles((block,) * 3))):
        shift.update(Region(np.ascontiguousarray(labels[core.slices]), core, core))
    found = {v.class_name: v.value for v in shift.finish(grid)}
    low, high = "electrode, stripping side", "electrode, plating side"
    assert found[between("background", low)] == 9 * 12 / 2
    assert found[between(low, "pit")] == (3 + 2) * 12 / 2
    assert found[between("background", high)] == 8 * 12 / 2
    assert found[between(high, "deposited")] == 4 * 12 / 2
    assert found[between(low, "deposited")] == found[between(high, "pit")] == 0
    assert found["electrode"] == sum(
        v for name, v in found.items() if v is not None and " | " in name and "electrode" in name
    )
