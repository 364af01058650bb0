"""Connected pieces across block borders are those of scipy on the whole array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tomolith.config import Component
from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.measure.intervals.boundary import Boundary
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.rules import Scan, interval_of
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import Frame, Region
from tomolith.measure.quantities.dead_li import DeadLi
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
        halves[i % 2].update(Region(labels[core.slices], core, core))
    halves[0].merge(halves[1])
    found = sorted(tuple(int(n) for n in row) for row in halves[0].dead_voxels(side, SHAPE))
    expected = scipy_dead(labels, side)
    assert len(expected) > 3
    assert found == expected


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


def test_dead_li_has_an_upper_bound_even_where_there_is_none() -> None:
    counted = np.array([80.0, 10.0, 20.0, 0.0])
    classes = ("background", "dendrite", "deposited", "redeposited")
    faces = np.zeros((4, 4))
    faces[0, 1:3] = faces[1:3, 0] = 2.0, 4.0
    faces[1, 2] = faces[2, 1] = 1.0
    values = {("voxel_count", n): float(v) for n, v in zip(classes, counted, strict=True)}
    values |= {("dead_li_volume", "dendrite"): 5.0, ("dead_li_volume", "deposited"): 10.0}
    strata, sources = Strata(classes, counted), [Boundary(counted, faces)]
    for piece, high in ((0.0, 18.0), (27.0, 42.0)):
        found = interval_of("dead_li_volume", "all Li", Scan(strata, sources, values, 1.0, piece))
        assert found is not None
        # half of each class is dead, so the border between them cancels: half of 2 + 4 voxels
        assert (found.low, found.high) == pytest.approx((12.0, high))
        absent = interval_of(
            "dead_li_volume", "redeposited", Scan(strata, sources, values, 1.0, piece)
        )
        assert absent is not None
        assert (absent.low, absent.high) == (0.0, piece)
    assert interval_of("dead_li_volume", "all Li", Scan(strata, [], values)) is None
