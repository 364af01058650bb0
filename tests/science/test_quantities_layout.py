"""No number depends on how the scan is cut into blocks, nor on how the cell lies in the scan."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import QUANTITIES
from tomolith.phantom import Cell, PhantomSettings
from tomolith.phantom.truth import TruthCounter

SCHEMA = PRESETS["li-operando"]
LI = ("electrode", "dendrite", "deposited", "redeposited")
Found = dict[tuple[str, str], float | None]


def measured(
    values: np.ndarray, size_um: float, *names: str, block_zyx: tuple[int, int, int] = (32, 64, 64)
) -> Found:
    labels = LabelMap(Volume(values, Grid(values.shape, (size_um,) * 3)), SCHEMA)
    settings = MeasureSettings(quantities=names or None)
    found = measure(labels, settings, region="s", block_zyx=block_zyx)
    return {(m.name, m.region.removeprefix("s/")): m.value for m in found}


@pytest.fixture(scope="module")
def half_cycle() -> np.ndarray:
    """Labels of a cell with dendrites, pits, deposit and redeposited Li, and some noise."""
    cell = Cell.build(PhantomSettings(preset="tiny", scans=(18,)), 0)
    labels = cell.materials(Box((0, 0, 0), (34, 64, 26)), 18)
    rng = np.random.default_rng(0)
    wrong = rng.random(labels.shape) < 0.002
    labels[wrong] = rng.choice(SCHEMA.values, wrong.sum())
    return labels


@pytest.fixture(scope="module")
def of_whole(half_cycle: np.ndarray) -> Found:
    return measured(half_cycle, 5.32, block_zyx=half_cycle.shape)


@pytest.mark.parametrize("chunk", [7, 16, 33])
def test_every_quantity_is_the_same_for_all_blocks(
    half_cycle: np.ndarray, of_whole: Found, chunk: int
) -> None:
    assert {name for name, _ in of_whole} == set(QUANTITIES.names())
    assert measured(half_cycle, 5.32, block_zyx=(chunk,) * 3) == of_whole


@pytest.mark.parametrize("chunk", [7, 16, 33, 64])
def test_pieces_are_those_of_scipy_on_the_whole_array(half_cycle: np.ndarray, chunk: int) -> None:
    pieces, _ = ndimage.label(half_cycle == SCHEMA["dendrite"].value, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    large = sizes[sizes >= 27]
    assert len(sizes) > len(large) > 1
    names = ("dendrite_number", "dendrite_volume")
    found = measured(half_cycle, 1.0, *names, block_zyx=(chunk,) * 3)
    assert found["dendrite_number", "dendrite"] == len(large)
    assert found["dendrite_volume", "dendrite, largest"] == large.max()
    assert found["dendrite_volume", "dendrite, mean"] == pytest.approx(large.mean(), rel=1e-12)


@pytest.mark.parametrize("tilt_deg", [0.0, 10.0])
def test_a_finer_tilted_cell_has_its_true_numbers(tilt_deg: float) -> None:
    shape = (96, 124, 96)
    settings = PhantomSettings(
        preset="tiny",
        shape_zyx=shape,
        voxel_size_um=64 * 5.32 / 96,
        tilt_deg=tilt_deg,
        scans=(12,),
        seed=2,
    )
    cell, box = Cell.build(settings, 0), Box.whole(shape)
    material = cell.materials(box, 12)
    counter = TruthCounter(cell, 12)
    counter.add(box, material)
    true = {(r.quantity, r.region): r.value for r in counter.rows("s", 0)}
    names = ("volume", "effective_thickness", "thickness_across_tilt", "local_thickness")
    found = measured(material, settings.voxel_size_um, *names)
    cos_tilt = math.cos(math.radians(tilt_deg))
    for name in SCHEMA.names:
        assert found["volume", name] == pytest.approx(true["volume", name], rel=1e-12)
    for part in (*LI, "electrode, stripping side", "electrode, plating side"):
        along = true["effective_thickness", part]
        assert found["effective_thickness", part] == pytest.approx(along, rel=1e-12)
        across = found["thickness_across_tilt", part]
        assert across == pytest.approx(along * cos_tilt, rel=0.01)
    for side in ("stripping side", "plating side"):
        along = true["effective_thickness", f"electrode, {side}"]
        local = found["local_thickness", f"electrode, {side}"]
        assert local == pytest.approx(along * cos_tilt, rel=0.01)


@pytest.mark.parametrize("pulse", [0, 12])
@pytest.mark.parametrize("angle_deg", [0.0, 30.0])
def test_a_turned_cell_is_as_thick_as_before(angle_deg: float, pulse: int) -> None:
    """The labels themselves are turned about z; truth is counted before, where they come from."""
    settings = PhantomSettings(preset="tiny", tilt_deg=0, scans=(0, 12))
    size, cell = settings.voxel_size_um, Cell.build(settings, 0)
    source = cell.materials(Box((0, -16, -80), (64, 80, 144)), pulse)
    values = turned(source, angle_deg, (150, 64))
    names = ("local_thickness", "thickness_across_tilt", "tilt")
    found = measured(values, size, *names)
    for side, rows in (("stripping side", slice(0, 40)), ("plating side", slice(56, 96))):
        part = f"electrode, {side}"
        expected = mean_thickness(source, rows, angle_deg, 64) * size
        assert found["local_thickness", part] == pytest.approx(expected, rel=0.01)
        assert found["thickness_across_tilt", part] == pytest.approx(expected, rel=0.01)
        assert found["tilt", part] == pytest.approx(angle_deg, abs=1.0)


def turned(source: np.ndarray, angle_deg: float, shape_yx: tuple[int, int]) -> np.ndarray:
    a, middle = math.radians(angle_deg), [(n - 1) / 2 for n in source.shape[1:]]
    y, x = (i - (n - 1) / 2 for i, n in zip(np.indices(shape_yx), shape_yx, strict=True))
    ys = np.rint(y * math.cos(a) - x * math.sin(a) + middle[0]).astype(int)
    xs = np.rint(y * math.sin(a) + x * math.cos(a) + middle[1]).astype(int)
    inside = (ys >= 0) & (ys < source.shape[1])
    assert (xs[inside] >= 0).all()
    assert (xs[inside] < source.shape[2]).all()
    out = source[:, np.where(inside, ys, 0), np.where(inside, xs, 0)]
    out[:, ~inside] = 0
    return out


def mean_thickness(source: np.ndarray, rows: slice, angle_deg: float, width: int) -> float:
    """Return the electrode's mean thickness in voxels where the turned field of view cuts it."""
    a, electrode = math.radians(angle_deg), source[:, rows] == 1
    per_column = electrode.sum(axis=1).mean(axis=0)
    row = np.arange(source.shape[1])[rows]
    height = (electrode.sum(axis=(0, 2)) * row).sum() / electrode.sum()
    height -= (source.shape[1] - 1) / 2
    ends = np.array([-width / 2, width / 2]) / math.cos(a) + height * math.tan(a)
    places = np.linspace(*(ends + (source.shape[2] - 1) / 2), 400)
    return float(np.interp(places, np.arange(len(per_column)), per_column).mean())
