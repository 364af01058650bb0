import h5py
import numpy as np
import pytest

from image_files import ramp
from tomolith.errors import InputError, ReadError
from tomolith.store.readers import open_raw

IMAGE = ramp((4, 6, 8))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def write(path, **datasets):
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name.replace("__", "/")] = data
    return path


def test_the_only_volume_is_taken_over_images_and_tables(path):
    write(path, deep__volume=IMAGE, flat=IMAGE[0], curve=np.arange(9.0), table=np.ones((5, 1)))
    raw = open_raw(path)
    np.testing.assert_array_equal(raw.array[0:4], IMAGE)
    assert "deep/volume" in raw.description[0]


def test_several_volumes_are_listed_and_the_user_asked(path):
    write(path, a=IMAGE, group__b=IMAGE.astype("f4"))
    with pytest.raises(ReadError) as error:
        open_raw(path)
    text = str(error.value)
    assert "a (4 × 6 × 8 uint16), group/b (4 × 6 × 8 float32)" in text
    assert "dataset: a" in text
    assert open_raw(path, dataset="group/b").array.dtype == np.float32
    assert open_raw(path, dataset="/group/b").array.dtype == np.float32


def test_a_wrong_name_gets_the_near_one(path):
    with pytest.raises(ReadError, match="did you mean 'entry/volume'"):
        open_raw(write(path, entry__volume=IMAGE), dataset="entry/volumes")


@pytest.mark.parametrize(("name", "match"), [("entry", "a group"), ("curve", r"of shape \(9,\)")])
def test_a_name_of_something_else(path, name, match):
    with pytest.raises(ReadError, match=match):
        open_raw(write(path, entry__volume=IMAGE, curve=np.arange(9.0)), dataset=name)


def test_a_link_to_nowhere_is_a_wrong_name(path):
    write(path, a=IMAGE)
    with h5py.File(path, "a") as file:
        file["lost"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(ReadError, match="no dataset 'lost'"):
        open_raw(path, dataset="lost")


def test_nothing_to_read(path):
    with pytest.raises(ReadError, match="no numeric dataset") as error:
        open_raw(write(path, curve=np.arange(9.0)))
    assert "curve (9 float64)" in error.value.mend


def test_dxchange_takes_the_data_not_the_flats(path):
    write(path, exchange__data=IMAGE, exchange__data_white=IMAGE[:2], exchange__data_dark=IMAGE[:2])
    assert open_raw(path).array.shape == IMAGE.shape
    assert open_raw(path, dataset="exchange/data_white").array.shape[0] == 2


def nexus(path, **units):
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/scan")
        file.attrs["default"] = "entry"
        file["entry"].attrs["default"] = b"scan"
        data.attrs["signal"] = "grey"
        data.attrs["axes"] = ["z", "y", "x"]
        data["grey"], data["other"] = IMAGE, IMAGE
        for axis, n, step in zip("zyx", IMAGE.shape, (2.0, 1.0, 0.5), strict=True):
            data[axis] = np.arange(n) * step
            data[axis].attrs["units"] = units.get(axis, "um")
    return path


def test_nexus_names_its_signal_and_its_axes(path):
    raw = open_raw(nexus(path))
    assert "entry/scan/grey" in raw.description[0]
    assert raw.voxel_size_um == (2.0, 1.0, 0.5)


def test_nexus_axes_without_a_length(path):
    assert open_raw(nexus(path, z="degrees")).known_size_um == (None, 1.0, 0.5)


@pytest.mark.parametrize("key", ["element_size_um", "voxel_size_um"])
def test_attributes_give_the_voxel_size(path, key):
    write(path, a=IMAGE)
    with h5py.File(path, "a") as file:
        file["a"].attrs[key] = [2.0, 1.0, 0.5]
    assert open_raw(path).voxel_size_um == (2.0, 1.0, 0.5)


def test_leading_axes_of_one_are_hidden_and_bool_is_uint8(path):
    raw = open_raw(write(path, a=(IMAGE > 30)[np.newaxis, np.newaxis]))
    assert raw.array.dtype == np.uint8
    np.testing.assert_array_equal(raw.array[1:3, 0:6, 2:4], (IMAGE > 30)[1:3, :, 2:4])


def test_a_2d_dataset_gets_one_slice(path):
    raw = open_raw(write(path, a=IMAGE[0]))
    np.testing.assert_array_equal(raw.array[0:1, 2:3, 0:8], IMAGE[:1, 2:3])
    assert raw.array[0:0, 0:2, 0:2].shape == (0, 2, 2)


def test_complex_is_refused(path):
    with pytest.raises(InputError, match="complex"):
        open_raw(write(path, a=IMAGE.astype("c8")))


def test_a_huge_dataset_opens_at_once(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (50_000, 2048, 1024), "u1", chunks=(1, 2048, 1024))
    raw = open_raw(path)
    assert raw.array.shape[0] == 50_000
    assert raw.array[49_999:50_000, 0:2, 0:2].sum() == 0


def test_a_file_that_is_closed_can_be_opened_again(path):
    write(path, a=IMAGE)
    open_raw(path).close()
    write(path, b=IMAGE)
    assert "b" in open_raw(path).description[0]
