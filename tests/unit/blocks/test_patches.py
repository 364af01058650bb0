import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.blocks import PatchGrid
from tomolith.core import Box
from tomolith.errors import InputError


@st.composite
def grids(draw):
    patch = draw(st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)))
    extra = draw(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(0, 30)))
    shape = tuple(p + e for p, e in zip(patch, extra, strict=True))
    return PatchGrid(shape, patch, draw(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75])))


@st.composite
def grids_and_boxes(draw):
    grid = draw(grids())
    start = tuple(draw(st.integers(0, s - 1)) for s in grid.shape_zyx)
    stop = tuple(draw(st.integers(a + 1, s)) for a, s in zip(start, grid.shape_zyx, strict=True))
    return grid, Box(start, stop)


@given(grids())
def test_patches_cover_the_volume_and_stay_inside(grid):
    counts = np.zeros(grid.shape_zyx, int)
    whole = Box.whole(grid.shape_zyx)
    for patch in grid.patches_meeting(whole):
        assert patch.shape_zyx == grid.patch_zyx
        assert whole.contains(patch)
        counts[patch.slices] += 1
    assert counts.min() >= 1
    by_axis = [grid.axis_counts(axis, 0, grid.shape_zyx[axis]) for axis in range(3)]
    assert np.array_equal(counts, np.einsum("z,y,x->zyx", *by_axis))


@given(grids_and_boxes())
def test_patches_of_a_box_are_those_of_the_volume_that_meet_it_in_the_same_order(case):
    grid, box = case
    every = list(grid.patches_meeting(Box.whole(grid.shape_zyx)))
    assert every == sorted(every)
    expected = [p for p in every if p.intersect(box).n_voxels]
    assert list(grid.patches_meeting(box)) == expected


@given(grids_and_boxes())
def test_read_box_holds_the_patches_and_stays_within_the_halo(case):
    grid, box = case
    read = grid.read_box(box)
    assert all(read.contains(p) for p in grid.patches_meeting(box))
    assert box.expand(grid.halo_zyx).clip(grid.shape_zyx).contains(read)


@given(grids_and_boxes())
def test_counts_of_a_part_are_part_of_the_counts(case):
    grid, box = case
    for axis in range(3):
        whole = grid.axis_counts(axis, 0, grid.shape_zyx[axis])
        a, b = box.start_zyx[axis], box.stop_zyx[axis]
        assert np.array_equal(grid.axis_counts(axis, a, b), whole[a:b])


def test_the_last_patch_ends_at_the_edge():
    assert PatchGrid((1, 128, 300), (1, 128, 128), 0.25).starts[2] == (0, 96, 172)


def test_a_volume_smaller_than_a_patch_is_refused_with_the_largest_that_fits():
    with pytest.raises(InputError, match=r"at most \(1, 100, 128\)"):
        PatchGrid((5, 100, 400), (1, 128, 128), 0.25)


@pytest.mark.parametrize(("patch", "overlap"), [((1, 0, 4), 0.25), ((1, 4, 4), 1.0)])
def test_senseless_patches_are_refused(patch, overlap):
    with pytest.raises(InputError):
        PatchGrid((1, 8, 8), patch, overlap)
