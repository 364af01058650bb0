"""Voxels become micrometres in one place, and only where the size is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core import Grid
from tomolith.errors import InputError

sizes = st.floats(1e-3, 1e3)


def test_anisotropic_voxels_have_the_product_as_volume():
    assert Grid((2, 3, 4), (10.0, 1.33, 1.33)).voxel_volume_um3 == pytest.approx(17.689)


@given(st.tuples(*[st.integers(1, 5000)] * 3), st.tuples(sizes, sizes, sizes))
def test_counts_and_volumes(shape, voxel):
    grid = Grid(shape, voxel)
    assert grid.n_voxels == math.prod(shape) == grid.box.n_voxels
    assert grid.is_physical
    assert grid.voxel_volume_um3 > 0


def test_the_shares_of_the_batterynet_paper():
    """Voxel counts and per cent of Huang et al. 2023 for a (3849, 340, 2071) volume."""
    grid = Grid((3849, 340, 2071), None)
    assert f"{82_892_014 / grid.n_voxels:.3%}" == "3.058%"
    assert f"{54_940_997 / grid.n_voxels:.3%}" == "2.027%"


def test_an_unknown_size_gives_counts_and_refuses_volumes():
    grid = Grid((2, 3, 4), None)
    assert grid.n_voxels == 24
    assert not grid.is_physical
    with pytest.raises(InputError, match="a volume in µm³ cannot be given") as caught:
        _ = grid.voxel_volume_um3
    assert "voxel_size_um" in (caught.value.mend or "")
    with pytest.raises(InputError, match="a thickness"):
        grid.require_voxel_size_um("a thickness")


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, -1, 1), (4, 4), (1, 2, 3, 4)])
def test_shapes_that_are_no_volume_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        Grid(shape, None)


@pytest.mark.parametrize(
    "size", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, math.nan), (1.0, math.inf, 1.0), (1.0,)]
)
def test_sizes_that_are_no_length_are_refused(size):
    with pytest.raises(InputError, match="voxel size"):
        Grid((1, 1, 1), size)
