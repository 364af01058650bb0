"""Box arithmetic, against sets of voxels."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core import Box

small = st.integers(-4, 6)
side = st.integers(0, 4)


@st.composite
def boxes(draw, min_side=0):
    start = tuple(draw(small) for _ in range(3))
    stop = tuple(a + draw(st.integers(min_side, 4)) for a in start)
    return Box(start, stop)


def voxels(box: Box) -> set[tuple[int, ...]]:
    ranges = (range(a, b) for a, b in zip(box.start_zyx, box.stop_zyx, strict=True))
    return set(product(*ranges))


offsets = st.tuples(small, small, small)
tile_sides = st.tuples(*[st.integers(1, 5)] * 3)


@given(boxes())
def test_the_number_of_voxels_is_what_one_counts(box):
    assert box.n_voxels == len(voxels(box))
    assert box.shape_zyx == tuple(b - a for a, b in zip(box.start_zyx, box.stop_zyx, strict=True))


@given(boxes(), boxes())
def test_intersection_holds_exactly_the_common_voxels(a, b):
    assert voxels(a.intersect(b)) == voxels(a) & voxels(b)
    assert a.intersect(b).n_voxels == b.intersect(a).n_voxels


@given(boxes(min_side=1), boxes(min_side=1))
def test_contains_is_the_subset_relation(a, b):
    assert a.contains(b) == (voxels(b) <= voxels(a))
    assert a.contains(a.intersect(b)) or not a.intersect(b).n_voxels


@given(boxes(), offsets)
def test_shifting_there_and_back_changes_nothing(box, offset):
    back = tuple(-o for o in offset)
    assert box.shift(offset).shift(back) == box
    assert box.shift(offset).shape_zyx == box.shape_zyx


@given(boxes(), boxes())
def test_relative_coordinates_select_the_same_voxels(inner, outer):
    local = inner.relative_to(outer)
    assert local.shift(outer.start_zyx) == inner
    assert outer.relative_to(outer).start_zyx == (0, 0, 0)


@given(boxes(), st.tuples(side, side, side))
def test_a_halo_grows_both_sides_and_clipping_stays_inside(box, halo):
    grown = box.expand(halo)
    assert grown.contains(box)
    assert all(g == s + 2 * h for g, s, h in zip(grown.shape_zyx, box.shape_zyx, halo, strict=True))
    assert all(0 <= v < 6 for voxel in voxels(grown.clip((6, 6, 6))) for v in voxel)


@given(boxes(), tile_sides)
def test_tiles_cover_a_box_once_and_lie_on_the_grid_of_the_origin(box, tile):
    tiles = list(box.tiles(tile))
    covered = [voxel for t in tiles for voxel in voxels(t)]
    if box.n_voxels:
        assert len(covered) == len(set(covered)) == box.n_voxels
        assert set(covered) == voxels(box)
    for t in tiles:
        for start, step, box_start in zip(t.start_zyx, tile, box.start_zyx, strict=True):
            assert start % step == 0 or start == box_start


@given(boxes(min_side=1), tile_sides)
def test_tiles_of_a_part_are_tiles_of_the_whole_cut(box, tile):
    """What makes results independent of how work is divided."""
    whole = Box((-8, -8, -8), (12, 12, 12))
    cut = {t.intersect(box) for t in whole.tiles(tile) if t.intersect(box).n_voxels}
    assert set(box.tiles(tile)) == cut


def test_slices_select_the_box_from_an_array():
    array = np.arange(60).reshape(3, 4, 5)
    box = Box((1, 0, 2), (3, 4, 4))
    assert array[box.slices].shape == box.shape_zyx
    assert array[box.slices][0, 0, 0] == array[1, 0, 2]


def test_a_box_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="ends before it starts"):
        Box((0, 2, 0), (1, 1, 1))


def test_boxes_are_values_with_an_order():
    assert {Box.whole((1, 2, 3)), Box((0, 0, 0), (1, 2, 3))} == {Box.whole((1, 2, 3))}
    assert sorted([Box((1, 0, 0), (2, 1, 1)), Box((0, 5, 0), (1, 6, 1))])[0].start_zyx[0] == 0
