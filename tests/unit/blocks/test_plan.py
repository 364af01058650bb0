import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.blocks import plan_blocks
from tomolith.core import Grid
from tomolith.errors import InputError

sides = st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40))
shards = st.tuples(st.integers(1, 4), st.integers(1, 16), st.integers(1, 16))
times = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@given(sides, shards, times)
def test_every_voxel_is_written_by_one_block(shape, shard, n):
    block = tuple(s * k for s, k in zip(shard, n, strict=True))
    written = np.zeros(shape, int)
    for b in plan_blocks(Grid(shape, None), shard_zyx=shard, block_zyx=block):
        written[b.write.slices] += 1
    assert (written == 1).all()


@given(sides, shards, times)
def test_no_shard_has_two_writers(shape, shard, n):
    block = tuple(s * k for s, k in zip(shard, n, strict=True))
    owners = {}
    for b in plan_blocks(Grid(shape, None), shard_zyx=shard, block_zyx=block):
        for tile in b.write.tiles(shard):
            place = tuple(a // s for a, s in zip(tile.start_zyx, shard, strict=True))
            assert owners.setdefault(place, b.name) == b.name


def test_read_box_is_write_box_and_halo_cut_at_the_edge():
    first, second = plan_blocks(Grid((1, 1, 20), None), shard_zyx=(1, 1, 10), halo_zyx=(0, 0, 3))
    assert first.read.slices[2] == slice(0, 13)
    assert second.read.slices[2] == slice(7, 20)


def test_sections_have_no_halo_along_z():
    halo = (5, 5, 5)
    blocks = plan_blocks(Grid((4, 9, 9), None, sections=True), shard_zyx=(1, 9, 9), halo_zyx=halo)
    assert [b.read.slices[0] for b in blocks] == [slice(z, z + 1) for z in range(4)]


def test_names_do_not_depend_on_the_plan():
    grid = Grid((4, 8, 8), None)
    small = plan_blocks(grid, shard_zyx=(2, 4, 8))
    large = plan_blocks(grid, shard_zyx=(2, 4, 8), block_zyx=(4, 4, 8))
    same = {b.name for b in small if b.write == large[0].write}
    assert not same
    assert len({b.name for b in (*small, *large)}) == len(small) + len(large)
    assert small[0].name == "z0-2_y0-4_x0-8"


def test_blocks_that_cut_a_shard_are_refused():
    with pytest.raises(InputError, match=r"whole shards, multiples of \(4, 8, 8\)"):
        plan_blocks(Grid((8, 32, 32), None), shard_zyx=(4, 8, 8), block_zyx=(4, 12, 8))


def test_a_block_larger_than_the_volume_is_the_whole_volume():
    (block,) = plan_blocks(Grid((3, 5, 7), None), shard_zyx=(4, 8, 8), block_zyx=(5, 9, 9))
    assert block.write.shape_zyx == (3, 5, 7)
