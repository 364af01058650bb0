"""Dendrites of any block layout are those of the whole array; known shapes have known numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import QUANTITIES, Frame, Region
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.dendrite_height import DendriteHeight, SmallestGap
from tomolith.measure.quantities.dendrite_skeleton import SkeletonLength, skeleton_of

SCHEMA = PRESETS["li-operando"]
SIZES = (1.0, 0.5, 2.0)
SHAPE = (24, 37, 22)
FRAME = Frame(1, True, (18.2, 0.1, -0.05))
ALL = np.ones((3, 3, 3))
MIN = 6
NAMES = [n for n in QUANTITIES.names() if "dendrite_pieces" in str(QUANTITIES.load(n).__mro__)]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    """Scattered pieces of all sizes between two electrodes with holes."""
    rng = np.random.default_rng(7)
    values = np.zeros(SHAPE, np.uint8)
    values[ndimage.gaussian_filter(rng.random(SHAPE), 0.8) > 0.59] = 2
    values[:, :4] = values[:, -4:] = 1
    values[rng.random(SHAPE) < 0.1] = 0
    values[3:6, :, 5:9] = np.where(values[3:6, :, 5:9] == 1, 0, values[3:6, :, 5:9])
    return values


def in_blocks(
    name: str, labels: np.ndarray, chunk: tuple[int, int, int], frame: Frame = FRAME
) -> tuple[ClassValue, ...]:
    kind, grid = QUANTITIES.load(name), Grid(labels.shape, SIZES)
    halves = [kind(SCHEMA, frame, min_voxels=MIN), kind(SCHEMA, frame, min_voxels=MIN)]
    for i, core in enumerate(grid.box.tiles(chunk)):
        halves[i % 2].update(Region(labels[core.slices], core, core))
    halves[1].merge(halves[0])
    return halves[1].finish(grid)


def kept(labels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the mask of all pieces that count, and each of them, by scipy on the whole array."""
    pieces, n = ndimage.label(labels == 2, ALL)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    chosen = [i for i in range(1, n + 1) if sizes[i] >= MIN]
    boxes = ndimage.find_objects(pieces)
    assert 5 < len(chosen) < n - 5  # some count and some do not
    return np.isin(pieces, chosen), [pieces[boxes[i - 1]] == i for i in chosen]


def test_eight_quantities_are_made_of_pieces() -> None:
    assert len(NAMES) == 8


@pytest.mark.parametrize("chunk", [(7,) * 3, (16,) * 3, (33,) * 3, (24, 4, 9), SHAPE])
def test_numbers_are_those_of_the_whole_array(
    labels: np.ndarray, chunk: tuple[int, int, int]
) -> None:
    mask, pieces = kept(labels)
    sizes, one = [int(piece.sum()) for piece in pieces], math.prod(SIZES)
    found = {name: [v.value for v in in_blocks(name, labels, chunk)] for name in NAMES}
    assert found["dendrite_number"] == [len(pieces)]
    expected = [np.mean(sizes) * one, np.median(sizes) * one, max(sizes) * one]
    assert found["dendrite_volume"] == pytest.approx(expected, rel=1e-12)
    skeletons = [skeleton_of(piece) for piece in pieces]
    length = sum(s.length_um(SIZES) for s in skeletons)
    assert found["skeleton_length"] == pytest.approx([length], rel=1e-12)
    assert found["branching_points"] == [
        sum(s.n_branchings for s in skeletons),
        sum(s.n_ends for s in skeletons),
    ]
    there = mask.any(axis=1)
    first, last = mask.argmax(axis=1), SHAPE[1] - 1 - mask[:, ::-1].argmax(axis=1)
    envelope = (last - first + 1)[there].sum()
    assert found["envelope_porosity"] == pytest.approx([1 - mask.sum() / envelope], rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_no_digit_depends_on_the_blocks(labels: np.ndarray, name: str, axis: int) -> None:
    frame = Frame(axis, axis != 2, FRAME.plane_vox)
    turned = np.moveaxis(labels, 1, axis)
    whole = in_blocks(name, turned, turned.shape, frame)
    assert None not in [v.value for v in whole]
    for chunk in ((9,) * 3, (33,) * 3, (5, 34, 11)):
        assert in_blocks(name, turned, chunk, frame) == whole


def test_the_smallest_gap_is_that_of_the_nearest_voxels(labels: np.ndarray) -> None:
    """Every pair of voxels, instead of tips and faces; faces half a voxel nearer than middles."""
    values = labels.copy()
    values[:, 4:12][values[:, 4:12] == 2] = 0
    mask, _ = kept(values)
    index = np.arange(SHAPE[1])[None, :, None]
    low = (values == 1) & (index < FRAME.first_high(Grid(SHAPE, None).box)[:, None, :])
    sizes = np.array(SIZES)
    below = np.maximum.accumulate(low[:, ::-1], axis=1)[:, ::-1]  # solid behind its face
    tips, faces = (np.argwhere(m) * sizes for m in (mask, below))
    away = np.abs(tips[:, None] - faces[None])
    away[..., 1] = np.maximum(away[..., 1] - sizes[1], 0)
    ((found,),) = [[v.value for v in in_blocks("smallest_gap", values, (16,) * 3)]]
    assert found == pytest.approx(np.sqrt((away**2).sum(axis=-1)).min(), abs=1e-9)


def wire(angle_deg: float, *, size: float = 1.0) -> np.ndarray:
    """Return electrodes 60 µm apart, tilted, and a wire across the layer from one, 36 µm high."""
    shape = tuple(round(n / size) for n in (64, 150, 64))
    z, y, x = ((np.arange(n) - (n - 1) / 2) * size for n in shape)
    a = math.radians(angle_deg)
    across = y[None, :, None] * math.cos(a) + x[None, None, :] * math.sin(a) + 0 * z[:, None, None]
    along = x[None, None, :] * math.cos(a) - y[None, :, None] * math.sin(a)
    radius = np.hypot(along, z[:, None, None])
    values = ((np.abs(across) >= 30) & (np.abs(across) < 45)).astype(np.uint8)
    values[(radius < 3) & (across > -6) & (across < 30)] = 2
    return values


@pytest.mark.parametrize("angle_deg", [0.0, 10.0, 30.0])
def test_a_tilt_changes_neither_height_nor_penetration_nor_gap(angle_deg: float) -> None:
    values = wire(angle_deg)
    labelmap = LabelMap(Volume(values, Grid(values.shape, (1.0,) * 3)), SCHEMA)
    names = ("dendrite_height", "penetration_frac", "smallest_gap", "dendrite_number")
    found = measure(labelmap, MeasureSettings(quantities=names), region="s")
    value = {(m.name, m.region.removeprefix("s/")): m.value for m in found}
    assert value["dendrite_height", "dendrite"] == pytest.approx(36, abs=1.0)
    assert value["penetration_frac", "dendrite"] == pytest.approx(0.6, abs=0.02)
    assert value["smallest_gap", "dendrite"] == pytest.approx(24, abs=1.0)
    assert value["dendrite_number", "dendrite"] == 1


def test_a_tip_in_a_pit_is_as_near_as_its_walls() -> None:
    values = np.zeros((1, 20, 9), np.uint8)
    values[:, :8], values[:, -4:] = 1, 1
    values[:, 2:8, 2:8] = 0  # a pit, with a dendrite in the middle of it
    values[:, 5:, 4] = 2
    gap = SmallestGap(SCHEMA, Frame.half_depth(values.shape), min_voxels=1)
    box = Box.whole(values.shape)
    gap.update(Region(values, box, box))
    assert gap.finish(Grid(values.shape, (1.0, 1.0, 0.5)))[0].value == pytest.approx(1.5)


def test_without_dendrites_nothing_is_crossed_and_no_height_is_made_up() -> None:
    values = np.zeros((4, 20, 4), np.uint8)
    values[:, :5] = values[:, 15:] = 1
    for name, expected in (
        ("dendrite_number", [0]),
        ("dendrite_volume", [None] * 3),
        ("dendrite_height", [None] * 2),
        ("penetration_frac", [0.0]),
        ("smallest_gap", [None]),
        ("envelope_porosity", [None]),
        ("skeleton_length", [0.0]),
        ("branching_points", [0, 0]),
    ):
        assert [v.value for v in in_blocks(name, values, (4, 20, 4))] == expected, name


def test_a_dendrite_too_large_to_thin_has_no_length_and_says_why() -> None:
    values = np.full((4, 4, 4), 2, np.uint8)
    box = Box.whole(values.shape)
    length = SkeletonLength(SCHEMA, max_box_voxels=63)
    length.update(Region(values, box, box))
    (found,) = length.finish(Grid(values.shape, SIZES))
    assert found.value is None
    assert "more than 63 voxels" in found.method


def test_skeletons_of_known_shapes() -> None:
    ring = np.zeros((1, 21, 21), bool)
    ring[0, 0, :] = ring[0, -1, :] = ring[0, :, 0] = ring[0, :, -1] = True
    found = skeleton_of(ring)
    # thinning rounds the four corners off
    assert found.length_um((1.0, 1.0, 1.0)) == pytest.approx(72 + 4 * math.sqrt(2))
    assert (found.n_branchings, found.n_ends) == (0, 0)
    fork = np.zeros((3, 20, 21), bool)
    fork[1, :10, 10] = True
    for i in range(10):
        fork[1, 10 + i, 10 - i] = fork[1, 10 + i, 10 + i] = True
    found = skeleton_of(fork)
    assert (found.n_branchings, found.n_ends) == (1, 3)
    assert found.length_um((1.0, 1.0, 1.0)) == pytest.approx(10 + 18 * math.sqrt(2), abs=1.5)
    thick = np.zeros((9, 60, 9), bool)
    thick[2:7, 2:58, 2:7] = True
    assert skeleton_of(thick).length_um((1.0, 2.0, 1.0)) == pytest.approx(110, abs=10)


def test_a_smallest_size_below_one_voxel_is_refused() -> None:
    with pytest.raises(InputError, match="min_voxels is 0"):
        DendriteHeight(SCHEMA, min_voxels=0)
