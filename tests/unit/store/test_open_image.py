import numpy as np
import pytest
import tifffile

from image_files import ramp, write_amira, write_zeiss
from tomolith.core import Box
from tomolith.errors import InputError, MismatchError, ReadError
from tomolith.store.open_image import open_image


@pytest.fixture
def bare(tmp_path):
    """A file that cannot hold a voxel size."""
    np.save(tmp_path / "a.npy", ramp())
    return tmp_path / "a.npy"


@pytest.fixture
def sized(tmp_path):
    """A file that states (2, 1, 0.5) µm."""
    return write_amira(tmp_path / "a.am", ramp())


def test_the_file_gives_size_and_origin(sized):
    grid = open_image(sized).grid
    assert grid.voxel_size_um == (2.0, 1.0, 0.5)
    assert grid.origin_um == (10.0, 0.0, 0.0)
    assert not grid.sections


def test_a_missing_size_is_refused_and_says_how_to_give_it(bare):
    with pytest.raises(InputError, match=r"not known: a \.npy file cannot hold") as error:
        open_image(bare)
    assert "voxel_size_um: 0.65" in error.value.mend
    assert "voxel_size_um: unknown" in error.value.mend


@pytest.mark.parametrize(
    ("given", "size"), [(0.65, (0.65,) * 3), ([2, 1, 0.5], (2, 1, 0.5)), ("unknown", None)]
)
def test_the_recipe_gives_the_size(bare, given, size):
    assert open_image(bare, voxel_size_um=given).grid.voxel_size_um == size


def test_unknown_is_explicit_and_wins(sized):
    grid = open_image(sized, voxel_size_um="unknown").grid
    assert grid.voxel_size_um is None
    assert grid.origin_um == (0, 0, 0)


def test_sizes_that_agree_within_one_per_cent_are_those_of_the_recipe(sized):
    image = open_image(sized, voxel_size_um=(2.01, 1.0, 0.5))
    assert image.grid.voxel_size_um == (2.01, 1.0, 0.5)


@pytest.mark.parametrize("given", [(2.05, 1, 0.5), 1.0, (2e-6, 1e-6, 5e-7)])
def test_contradicting_sizes_are_refused(sized, given):
    with pytest.raises(MismatchError, match="along z, the file 2 µm"):
        open_image(sized, voxel_size_um=given)


def test_a_size_known_in_part_contradicts_too(tmp_path):
    path = write_zeiss(tmp_path / "a.txrm", ramp())
    assert open_image(path, voxel_size_um=(3, 0.5, 0.5)).grid.voxel_size_um == (3, 0.5, 0.5)
    with pytest.raises(MismatchError, match="along y"):
        open_image(path, voxel_size_um=0.6)
    with pytest.raises(InputError, match="projections"):
        open_image(path)


@pytest.mark.parametrize("given", [(1, 2), "small", [1, "a", 2], {}])
def test_a_size_of_another_form_is_refused(bare, given):
    with pytest.raises(InputError, match="voxel size is"):
        open_image(bare, voxel_size_um=given)


@pytest.mark.parametrize("given", [0, -1.0, float("nan"), (1, 1, float("inf"))])
def test_a_size_that_is_none_is_refused(bare, given):
    with pytest.raises(InputError, match="voxel size"):
        open_image(bare, voxel_size_um=given)


def test_a_volume_of_one_slice_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", ramp()[0])
    with pytest.raises(InputError, match="single slice of 7 × 9") as error:
        open_image(tmp_path / "a.tif", voxel_size_um=1)
    assert "kind: images" in error.value.mend


def test_images_are_sections_and_need_no_size_along_z(tmp_path):
    path = write_zeiss(tmp_path / "a.txrm", ramp())
    grid = open_image(path, kind="images").grid
    assert grid.sections
    assert grid.voxel_size_um == (0.5, 0.5, 0.5)
    assert open_image(path, kind="images", voxel_size_um=(9, 0.5, 0.5)).grid.sections


def test_numbers_of_images_may_have_gaps(tmp_path):
    for n in (1, 2, 7):
        tifffile.imwrite(tmp_path / f"{n}.tif", ramp()[0])
    image = open_image(tmp_path, kind="images", voxel_size_um="unknown")
    assert image.grid.shape_zyx == (3, 7, 9)
    with pytest.raises(InputError, match="missing"):
        open_image(tmp_path, voxel_size_um="unknown")


def test_values_are_read_by_box(bare):
    image = open_image(bare, voxel_size_um=1)
    box = Box((1, 2, 3), (4, 5, 6))
    np.testing.assert_array_equal(image.read(box), ramp()[box.slices])
    assert image.provenance.inputs == (str(bare),)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReadError, match="no such file"):
        open_image(tmp_path / "a.tif")
