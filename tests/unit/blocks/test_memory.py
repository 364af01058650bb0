import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.blocks import (
    MemoryBudgetError,
    MemoryModel,
    choose_block,
    format_bytes,
    parse_bytes,
)
from tomolith.blocks.memory import MAX_BLOCK_VOXELS
from tomolith.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("4GiB", 4 * 2**30),
        ("800 MB", 800 * 10**6),
        ("1.5k" + "ib", 1536),
        ("12", 12),
        ("2tb", 2e12),
    ],
)
def test_sizes_are_read(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["", "four GiB", "-1GiB", "0", "4 GX", "4G iB", "nan"])
def test_other_sizes_are_refused(text):
    with pytest.raises(RecipeError, match="4GiB"):
        parse_bytes(text)


def test_sizes_are_shown():
    shown = [format_bytes(n) for n in (5, 2048, 3 * 2**20, 2**40)]
    assert shown == ["5 B", "2.00 KiB", "3.00 MiB", "1.00 TiB"]


def test_projection_counts_halo_slices_and_blocks_in_flight():
    model = MemoryModel(
        fixed_bytes=1000,
        read_voxel_bytes=2,
        write_voxel_bytes=3,
        slice_pixel_bytes=5,
        n_in_flight=2,
        halo_zyx=(0, 1, 1),
    )
    block = 2 * (2 * 6 * 12) + 3 * (2 * 4 * 10) + 5 * (6 * 12)
    assert model.project_bytes((2, 4, 10), shape_zyx=(2, 20, 20)) == 1000 + 2 * block


def test_projection_knows_the_edge_and_that_one_block_is_one_block():
    model = MemoryModel(0, 1, 1, n_in_flight=4, halo_zyx=(0, 9, 9))
    assert model.project_bytes((9, 99, 99), shape_zyx=(2, 10, 10)) == 2 * 200


def test_blocks_prefer_full_slices():
    model = MemoryModel(0, 1, 1)
    block = choose_block((64, 64, 64), (8, 16, 16), model=model, budget_bytes=2 * 8 * 64 * 64)
    assert block == (8, 64, 64)


def test_no_block_is_larger_than_the_limit():
    model = MemoryModel(0, 1, 1)
    z, y, x = choose_block((999, 4096, 4096), (32, 1024, 1024), model=model, budget_bytes=2**50)
    assert (y, x) == (1024, 4096)
    assert z * y * x <= MAX_BLOCK_VOXELS


def test_a_budget_too_small_says_what_is_needed():
    model = MemoryModel(fixed_bytes=2**30, read_voxel_bytes=1, write_voxel_bytes=1)
    with pytest.raises(MemoryBudgetError, match=r"512.00 MiB\n.*at least 1.03 GiB") as caught:
        choose_block((32, 1024, 1024), (16, 1024, 1024), model=model, budget_bytes=2**29)
    assert caught.value.exit_code == 3


small = st.integers(1, 50)


@given(
    st.tuples(small, small, small),
    st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8)),
    st.integers(0, 10**6),
    st.integers(1, 3),
)
def test_a_chosen_block_fits_and_holds_whole_shards(shape, shard, budget, n_in_flight):
    model = MemoryModel(10, 2, 1, 4, n_in_flight=n_in_flight, halo_zyx=(0, 3, 3))
    try:
        block = choose_block(shape, shard, model=model, budget_bytes=budget)
    except MemoryBudgetError:
        assert model.project_bytes(shard, shape_zyx=shape) > budget
        return
    assert model.project_bytes(block, shape_zyx=shape) <= budget
    assert all(b % s == 0 for b, s in zip(block, shard, strict=True))
