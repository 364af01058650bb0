import numpy as np
import pytest

from image_files import ramp
from tomolith.errors import InputError, ReadError
from tomolith.store.readers import open_raw


def save(path, array, **options):
    np.save(path, array, **options)
    return path


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_mapped(tmp_path, order):
    raw = open_raw(save(tmp_path / "a.npy", np.asarray(ramp(), order=order)))
    assert isinstance(raw.array, np.memmap)
    np.testing.assert_array_equal(raw.array, ramp())


@pytest.mark.parametrize("order", ["C", "F"])
def test_two_axes_and_bool(tmp_path, order):
    mask = np.asarray(ramp()[0] > 30, order=order)
    raw = open_raw(save(tmp_path / "a.npy", mask))
    assert raw.array.dtype == np.uint8
    np.testing.assert_array_equal(raw.array, mask[np.newaxis])


@pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 4), (0, 4, 4)])
def test_other_shapes_are_refused(tmp_path, shape):
    with pytest.raises(ReadError, match="has shape"):
        open_raw(save(tmp_path / "a.npy", np.zeros(shape)))


@pytest.mark.parametrize("dtype", ["c8", "S3", "M8[s]", [("a", "i4")], np.longdouble])
def test_other_types_are_refused(tmp_path, dtype):
    with pytest.raises(InputError, match="values of type"):
        open_raw(save(tmp_path / "a.npy", np.zeros((3, 4), dtype)))


def test_objects_are_never_unpickled(tmp_path):
    path = save(tmp_path / "a.npy", np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(ReadError, match="cannot be read"):
        open_raw(path)


def test_a_huge_array_opens_at_once(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (1000, 10_000, 10_000)}
        )
        file.truncate(file.tell() + 10**11)
    assert open_raw(path).array[999:1000, 0:1, 0:1].item() == 0
