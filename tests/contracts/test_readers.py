"""What every registered reader must do. A new one needs a line in ``SAMPLES``."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_files import ramp, write_amira, write_zeiss
from tomolith.core import ArrayLike, Box
from tomolith.errors import InputError, TomolithError
from tomolith.store.readers import READERS, RawImage, open_raw

TRUTH = ramp()


def _tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", TRUTH, compression="zlib", photometric="minisblack")
    return folder / "a.tif"


def _hdf5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("exchange/data", data=TRUTH, chunks=(2, 4, 4), compression="gzip")
    return folder / "a.h5"


def _npy(folder: Path) -> Path:
    np.save(folder / "a.npy", TRUTH)
    return folder / "a.npy"


def _zarr(folder: Path) -> Path:
    group = zarr.create_group(folder / "a.zarr", zarr_format=3)
    array = group.create_array("0", shape=TRUTH.shape, chunks=(2, 4, 4), dtype=TRUTH.dtype)
    array[:] = TRUTH
    axes = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [2.0, 1.0, 0.5]}],
    }
    scale = {"axes": axes, "datasets": [level]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [scale]}
    return folder / "a.zarr"


SAMPLES = {
    "amira": lambda folder: write_amira(folder / "a.am", TRUTH),
    "hdf5": _hdf5,
    "numpy": _npy,
    "ome-zarr": _zarr,
    "tiff": _tiff,
    "zeiss": lambda folder: write_zeiss(folder / "a.txrm", TRUTH),
}
NAMES = READERS.names()


@pytest.fixture(scope="module", params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def sample(name, tmp_path_factory) -> Path:
    assert name in SAMPLES, f"add a sample for the reader '{name}' to SAMPLES"
    return SAMPLES[name](tmp_path_factory.mktemp(name))


def test_it_recognises_its_own_files_and_no_others(name, tmp_path):
    reader = READERS.load(name)()
    for other, make in SAMPLES.items():
        folder = tmp_path / other
        folder.mkdir()
        assert reader.sniff(make(folder)) is (other == name)


def test_sniffing_odd_paths_is_false_and_never_raises(name, tmp_path):
    reader = READERS.load(name)()
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.h5").write_text("hello")
    (tmp_path / "a.zarr").mkdir()
    for odd in ("empty.tif", "text.h5", "a.zarr", "missing"):
        assert reader.sniff(tmp_path / odd) is False


def test_it_delivers_the_values_lazily_with_three_axes(name, sample):
    raw = open_raw(sample)
    assert isinstance(raw, RawImage)
    assert isinstance(raw.array, ArrayLike)
    assert raw.reader == name
    assert raw.description
    assert tuple(raw.array.shape) == TRUTH.shape
    assert raw.array.dtype == TRUTH.dtype
    np.testing.assert_array_equal(raw.array[Box.whole(TRUTH.shape).slices], TRUTH)
    raw.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_box_equals_the_same_box_of_the_whole(sample, data):
    bounds = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in TRUTH.shape]
    index = tuple(slice(a, b) for a, b in bounds)
    raw = open_raw(sample)
    np.testing.assert_array_equal(raw.array[index], TRUTH[index])
    raw.close()


def test_threads_may_read_at_the_same_time(sample):
    raw = open_raw(sample)
    index = [(slice(z, z + 1), slice(0, 7), slice(0, 9)) for z in range(5)] * 8
    with ThreadPoolExecutor(4) as pool:
        for where, found in zip(index, pool.map(lambda i: raw.array[i], index), strict=True):
            np.testing.assert_array_equal(found, TRUTH[where])
    raw.close()


def test_a_dataset_that_is_not_there_is_refused(sample):
    with pytest.raises(InputError, match="nowhere"):
        open_raw(sample, dataset="nowhere")


@pytest.mark.parametrize("keep_frac", [0.02, 0.2, 0.5, 0.8, 0.99])
def test_a_cut_off_file_is_refused_and_never_read_as_a_whole_one(name, sample, tmp_path, keep_frac):
    cut = tmp_path / sample.name
    if sample.is_dir():
        shutil.copytree(sample, cut)
        metadata = cut / "0" / "zarr.json"
        text = metadata.read_bytes()
        metadata.write_bytes(text[: int(len(text) * keep_frac)])
    else:
        data = sample.read_bytes()
        cut.write_bytes(data[: int(len(data) * keep_frac)])
    with pytest.raises(TomolithError) as error:
        raw = open_raw(cut)
        np.asarray(raw.array[Box.whole(tuple(raw.array.shape)).slices])
    assert error.value.exit_code == 2
    assert cut.name in str(error.value)


def test_the_list_of_readers_shows_what_each_is_for(name):
    assert len(READERS.summary(name)) > 10
