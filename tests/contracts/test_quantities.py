"""What every registered quantity must do."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.one_pass import Tally, tally
from tomolith.measure.quantities import QUANTITIES, Frame, Quantity, Region

SCHEMA = PRESETS["li-operando"]
GRID = Grid((6, 7, 8), (2.0, 1.0, 0.5))
VALUES = np.random.default_rng(0).choice([0, 1, 2, 3, 4, 5, 255], GRID.shape_zyx).astype(np.uint8)
FRAMES = [
    Frame(1, True, (2.6, 0.4, -0.1)),
    Frame.half_depth(GRID.shape_zyx, axis=0),
    Frame.half_depth(GRID.shape_zyx, axis=2, plating_high=False),
]


@pytest.fixture(params=QUANTITIES.names())
def kind(request: pytest.FixtureRequest) -> type[Quantity]:
    return QUANTITIES.load(request.param)


@pytest.fixture(params=FRAMES, ids=["tilted", "z", "x"])
def frame(request: pytest.FixtureRequest) -> Frame:
    return request.param


def region(quantity: Quantity, core: Box) -> Region:
    read = core.expand(quantity.halo_zyx).clip(GRID.shape_zyx)
    return Region(VALUES[read.slices], read, core)


def test_declares_unit_and_halo(kind: type[Quantity]) -> None:
    assert kind.unit
    assert kind.formula
    assert kind.source
    assert len(kind.halo_zyx) == 3
    assert min(kind.halo_zyx) >= 0


def test_has_a_summary() -> None:
    for name in QUANTITIES.names():
        assert len(QUANTITIES.summary(name)) > 20


@pytest.mark.parametrize("tile", [(2, 3, 5), (6, 7, 3), (1, 7, 8), (3, 2, 2)])
def test_blocks_merged_in_any_order_equal_the_whole(
    kind: type[Quantity], frame: Frame, tile: tuple[int, int, int]
) -> None:
    whole = kind(SCHEMA, frame)
    whole.update(region(whole, GRID.box))
    parts = []
    for core in reversed(list(GRID.box.tiles(tile))):
        parts.append(kind(SCHEMA, frame))
        parts[-1].update(region(parts[-1], core))
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].finish(GRID) == whole.finish(GRID)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same(
    kind: type[Quantity], frame: Frame, workers: int
) -> None:
    whole = kind(SCHEMA, frame)
    whole.update(region(whole, GRID.box))
    labels = LabelMap(Volume(VALUES, GRID), SCHEMA)
    cores = GRID.box.tiles((2, 4, 3))
    found = tally(labels, lambda: Tally((kind(SCHEMA, frame),)), cores, workers=workers)
    found.share()
    assert found.quantities[0].finish(GRID) == whole.finish(GRID)


def test_names_its_maps_before_it_draws_them(kind: type[Quantity], frame: Frame) -> None:
    quantity = kind(SCHEMA, frame)
    quantity.update(region(quantity, GRID.box))
    drawn = quantity.maps(GRID)
    assert tuple(one.name for one in drawn) == kind.map_names
    assert {one.values.shape for one in drawn} <= {frame.plan_shape(GRID.shape_zyx)}


def test_names_each_of_its_parts_once(kind: type[Quantity], frame: Frame) -> None:
    quantity = kind(SCHEMA, frame)
    quantity.update(region(quantity, GRID.box))
    names = [found.class_name for found in quantity.finish(GRID)]
    assert tuple(names) == quantity.parts
    assert len(set(names)) == len(names)
    assert all(needed in SCHEMA.names for needed in kind.needs)


def test_needs_a_voxel_size_only_if_it_says_so(kind: type[Quantity], frame: Frame) -> None:
    quantity = kind(SCHEMA, frame)
    quantity.update(region(quantity, GRID.box))
    unknown = Grid(GRID.shape_zyx, None)
    if kind.is_physical:
        with pytest.raises(Exception, match="voxel size is unknown"):
            quantity.finish(unknown)
    else:
        assert quantity.finish(unknown) == quantity.finish(GRID)


@pytest.mark.parametrize("name", [n for n in QUANTITIES.names() if not QUANTITIES.load(n).needs])
def test_does_without_the_classes_that_it_does_not_need(name: str) -> None:
    quantity = QUANTITIES.load(name)(PRESETS["li-binary"], FRAMES[0])
    quantity.update(Region((VALUES > 2).astype(np.uint8), GRID.box, GRID.box))
    assert tuple(found.class_name for found in quantity.finish(GRID)) == quantity.parts
