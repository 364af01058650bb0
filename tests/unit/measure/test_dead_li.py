"""Connected pieces across block borders are those of scipy on the whole array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from tomolith.config import Component
from tomolith.core import PRESETS, Grid, Interval, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.measure.intervals.boundary import Boundary
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.rules import Scan, of_dead_li
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import Frame, Region
from tomolith.measure.quantities.dead_li import TOO_SMALL, DeadLi
from tomolith.measure.quantities.frame import PLATING, STRIPPING

SCHEMA = PRESETS["li-operando"]
SHAPE = (35, 37, 34)
FRAME = Frame(1, True, (18.2, 0.1, -0.05))


@pytest.fixture(scope="module", params=[0.06, 0.25])
def labels(request: pytest.FixtureRequest) -> np.ndarray:
    """Scattered and smoothed Li: many pieces, of all sizes, some across many borders."""
    rng = np.random.default_rng(7)
    values = rng.choice([2, 4, 5], SHAPE).astype(np.uint8)
    values[ndimage.gaussian_filter(rng.random(SHAPE), 0.5) < 0.5 + request.param / 3] = 0
    values[:, :4] = values[:, -4:] = 1
    values[rng.random(SHAPE) < 0.3] = 0
    return values


def scipy_dead(values: np.ndarray, side: str) -> list[tuple[int, ...]]:
    index = np.arange(SHAPE[1])[None, :, None]
    is_high = index >= FRAME.first_high(Grid(SHAPE, None).box)[:, None, :]
    electrode = (values == 1) & (is_high if side == PLATING else ~is_high)
    names = (2, 4) if side == PLATING else (5,)
    pieces, n = ndimage.label(np.isin(values, names) | electrode, np.ones((3, 3, 3)))
    alive = set(np.unique(pieces[electrode]))
    sums = [ndimage.sum_labels(values == v, pieces, range(n + 1)).astype(int) for v in names]
    return sorted(tuple(int(s[i]) for s in sums) for i in range(1, n + 1) if i not in alive)


@pytest.mark.parametrize("chunk", [7, 16, 33, 64])
@pytest.mark.parametrize("side", [PLATING, STRIPPING])
def test_pieces_are_those_of_scipy(labels: np.ndarray, chunk: int, side: str) -> None:
    halves = [DeadLi(SCHEMA, FRAME), DeadLi(SCHEMA, FRAME)]
    for i, core in enumerate(Grid(SHAPE, None).box.tiles((chunk,) * 3)):
        read = core.expand((3, 3, 3)).clip(SHAPE)
        halves[i % 2].update(Region(labels[read.slices], read, core))
    halves[0].merge(halves[1])
    found = sorted(tuple(int(n) for n in row) for row in halves[0].dead_voxels(side, SHAPE))
    expected = scipy_dead(labels, side)
    assert len(expected) > 3
    assert found == expected


def groups(points: np.ndarray, reach: int) -> np.ndarray:
    """Return a number per point; points within ``reach`` along every axis have the same."""
    pairs = cKDTree(points).query_pairs(reach, p=np.inf, output_type="ndarray")
    graph = sparse.coo_array((np.ones(len(pairs)), pairs.T), shape=(len(points),) * 2)
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def fewest_and_most(values: np.ndarray, side: str, min_voxels: int) -> list[tuple[int, int]]:
    """Return per class what is dead if gaps of two voxels hid links, and if thin links broke."""
    index = np.arange(SHAPE[1])[None, :, None]
    is_high = index >= FRAME.first_high(Grid(SHAPE, None).box)[:, None, :]
    electrode = (values == 1) & (is_high if side == PLATING else ~is_high)
    names = (2, 4) if side == PLATING else (5,)
    mask = np.isin(values, names) | electrode
    points = np.argwhere(mask)
    number = groups(points, 3)
    alive = np.isin(number, number[electrode[tuple(points.T)]])
    grown = ~electrode[tuple(points.T)]
    size = np.bincount(number[grown], minlength=number.max() + 1)[number]
    joined = points[~alive & (size >= min_voxels)]
    window = np.lib.stride_tricks.sliding_window_view(mask, (2, 2, 2)).all(axis=(3, 4, 5))
    corners = np.argwhere(window)
    number = groups(corners, 1)
    cubes = corners[:, None] + np.argwhere(np.ones((2, 2, 2)))[None]
    on_electrode = electrode[tuple(cubes.T)].T.any(axis=1)
    covered = np.zeros(SHAPE, bool)
    covered[tuple(cubes[np.isin(number, number[on_electrode])].reshape(-1, 3).T)] = True
    return [
        (
            int((values[tuple(joined.T)] == v).sum()),
            int(((values == v) & ~covered).sum()),
        )
        for v in names
    ]


@pytest.mark.parametrize("chunk", [7, 16, 33, 64])
def test_bounds_of_links_are_those_of_single_voxels(labels: np.ndarray, chunk: int) -> None:
    values = labels.copy()
    values[:14, 14:30, :14] = values[20:, 5:18, 20:] = 0
    values[4:8, 19:23, 4:8], values[25:28, 10:13, 25:28] = 2, 5  # no gap is narrow enough
    labelmap = LabelMap(Volume(values, Grid(SHAPE, (1.0, 1.0, 1.0))), SCHEMA)
    grid, halves = labelmap.grid, [DeadLi(SCHEMA, FRAME, min_voxels=3) for _ in range(2)]
    for i, core in enumerate(grid.box.tiles((chunk,) * 3)):
        read = core.expand((3, 3, 3)).clip(SHAPE)
        halves[i % 2].update(Region(values[read.slices], read, core))
    halves[0].merge(halves[1])
    found = {v.class_name: v for v in halves[0].finish(grid)}
    expected = fewest_and_most(values, PLATING, 3) + fewest_and_most(values, STRIPPING, 3)
    assert expected[0][0] > 0 and expected[2][0] > 0
    for name, (low, high) in zip(("dendrite", "deposited", "redeposited"), expected, strict=True):
        one = found[name]
        assert one.interval is not None
        assert (one.interval.low, one.interval.high) == (min(low, one.value), high)
        assert one.interval.low <= one.value <= one.interval.high


def test_a_link_of_one_voxel_and_a_gap_of_two_are_doubtful() -> None:
    values = np.zeros((5, 24, 5), np.uint8)
    values[:, :3] = values[:, 21:] = 1
    values[1:4, 15:18, 1:4] = 2  # three voxels off the electrode: dead for sure
    lone = LabelMap(Volume(values, Grid(values.shape, (1.0, 1.0, 1.0))), SCHEMA)
    assert ends_of(lone) == (27.0, 27.0, 27.0)
    values[2, 18, 2] = 2  # a gap of two voxels
    assert ends_of(lone) == (0.0, 28.0, 28.0)
    values[2, 18:21, 2] = 2  # a link of one voxel
    assert ends_of(lone) == (0.0, 0.0, 30.0)
    values[1:3, 18:21, 1:3] = 2  # of two by two
    assert ends_of(lone) == (0.0, 0.0, 0.0)


def ends_of(labelmap: LabelMap) -> tuple[float, float, float]:
    """Return the dead dendrites at least, as found, and at most."""
    found = measure(labelmap, MeasureSettings(quantities=["dead_li_volume"]))[0]
    assert found.interval is not None and found.value is not None
    return found.interval.low, float(found.value), found.interval.high


def test_pieces_touch_over_edges_and_corners_of_blocks() -> None:
    values = np.zeros((4, 8, 4), np.uint8)
    values[:, 7] = 1
    for i, y in enumerate((3, 4, 5, 6)):
        values[i % 4, y, i % 4] = 2  # a diagonal up to the electrode
    grid = Grid(values.shape, (1.0, 1.0, 1.0))
    labelmap = LabelMap(Volume(values, grid), SCHEMA)
    chosen = MeasureSettings(quantities=[Component(name="dead_li_volume")])
    for block in ((2, 4, 2), (1, 1, 1), (4, 8, 4)):
        found = measure(labelmap, chosen, block_zyx=block)
        assert [m.value for m in found] == [0.0] * 6


def test_small_pieces_are_summed_apart() -> None:
    values = np.zeros((6, 12, 6), np.uint8)
    values[:, :2] = values[:, 10:] = 1
    values[0, 7, 0], values[2:5, 5:8, 2:5] = 4, 2
    labelmap = LabelMap(Volume(values, Grid(values.shape, (2.0, 1.0, 1.0))), SCHEMA)
    found = measure(labelmap, MeasureSettings(quantities=["dead_li_volume"]), region="s")
    assert {m.region: m.value for m in found if m.value} == {
        "s/dendrite": 54.0,
        "s/all Li": 54.0,
        "s/plating side, pieces too small to tell": 2.0,
    }


def test_a_smallest_size_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="min_voxels is 0"):
        DeadLi(SCHEMA, min_voxels=0)


def test_dead_li_is_as_doubtful_as_its_links_and_its_class() -> None:
    counted = np.array([80.0, 10.0, 20.0, 0.0])
    classes = ("background", "dendrite", "deposited", "redeposited")
    faces = np.zeros((4, 4))
    faces[0, 1:3] = faces[1:3, 0] = 2.0, 4.0
    faces[1, 2] = faces[2, 1] = 1.0
    values = {("voxel_count", n): float(v) for n, v in zip(classes, counted, strict=True)}
    values |= {("dead_li_volume", "dendrite"): 5.0, ("dead_li_volume", "all Li"): 5.0}
    strata, sources = Strata(classes, counted), [Boundary(counted, faces)]
    links = Interval(4.0, 8.0, "links")
    for piece in (1, 27):
        scan = Scan(strata, sources, values, voxel_um3=1.0, smallest_piece=piece)
        # the border of the dendrites: 3 voxels of 10; that of all Li: 6 of 30
        for part, share in (("dendrite", 0.3), ("all Li", 0.2)):
            found = of_dead_li(links, part, scan)
            high = max(8.0 * (1 + share), 5.0 + piece)
            assert (found.low, found.high) == pytest.approx((4.0 * (1 - share), high))
            assert found.method == "links; its class: half-voxel boundary shift"
        absent = of_dead_li(Interval(0.0, 0.0, "links"), "redeposited", scan)
        assert (absent.low, absent.high, absent.method) == (0.0, piece, "links")
        small = of_dead_li(Interval(0.0, 9.0, "links"), f"{PLATING}, {TOO_SMALL}", scan)
        assert (small.low, small.high) == (0.0, 9.0)
