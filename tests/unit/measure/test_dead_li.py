"""Connected pieces across block borders are those of scipy on the whole array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tomolith.config import Component
from tomolith.core import PRESETS, Grid, Interval, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.measure.intervals.propagate import total
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


def test_all_dead_li_has_the_interval_of_its_classes() -> None:
    counts = {"dendrite": 10.0, "deposited": 20.0, "redeposited": 0.0}
    values = {("voxel_count", name): n for name, n in counts.items()}
    values |= {("dead_li_volume", name): n / 2 for name, n in counts.items()}
    classes = {name: Interval(0.9 * n, 1.1 * n, "x") for name, n in counts.items()}
    found = interval_of("dead_li_volume", "all Li", Scan(classes, values))
    parts = [
        interval_of("dead_li_volume", n, Scan(classes, values)) for n in ("dendrite", "deposited")
    ]
    assert found == total([p for p in parts if p])
    assert found is not None
    assert found.low < 15.0 < found.high
    del classes["deposited"]  # its error is not known, so neither is that of the sum
    assert interval_of("dead_li_volume", "all Li", Scan(classes, values)) is None
