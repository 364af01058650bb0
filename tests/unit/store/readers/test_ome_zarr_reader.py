import json

import numpy as np
import pytest
import zarr

from image_files import ramp
from tomolith.errors import InputError, ReadError
from tomolith.store.readers import open_raw

IMAGE = ramp((4, 6, 8))
UM = "micrometer"


def write(path, data=IMAGE, *, names="zyx", unit=UM, version="0.5", changes=None, whole=()):
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    put(group, data, names=names, unit=unit, version=version, changes=changes, whole=whole)
    return path


def put(group, data, *, names="zyx", unit=UM, version="0.5", changes=None, whole=()):
    group.create_array("0", shape=data.shape, chunks=data.shape, dtype=data.dtype)[...] = data
    axes = [{"name": n, "type": "space"} | ({"unit": unit} if unit else {}) for n in names]
    changes = changes or [{"type": "scale", "scale": [2.0, 1.0, 0.5][-len(names) :]}]
    scale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": changes}]}
    if whole:
        scale["coordinateTransformations"] = list(whole)
    if version == "0.4":
        group.attrs["multiscales"] = [scale | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [scale]}


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_both_versions(tmp_path, version):
    raw = open_raw(write(tmp_path / "a.zarr", version=version))
    np.testing.assert_array_equal(raw.array[0:4], IMAGE)
    assert raw.voxel_size_um == (2.0, 1.0, 0.5)
    assert f"OME-Zarr {version}" in raw.description[0]


def test_units_are_converted_and_transformations_combined(tmp_path):
    changes = [
        {"type": "scale", "scale": [200.0, 100.0, 50.0]},
        {"type": "translation", "translation": [1000.0, 0.0, 500.0]},
    ]
    whole = [{"type": "scale", "scale": [10.0, 10.0, 10.0]}]
    raw = open_raw(write(tmp_path / "a", unit="nanometer", changes=changes, whole=whole))
    assert raw.voxel_size_um == (2.0, 1.0, 0.5)
    assert raw.origin_um == pytest.approx((10.0, 0.0, 5.0))


def test_a_scale_without_unit_is_unknown_and_says_so(tmp_path):
    raw = open_raw(write(tmp_path / "a", unit=None))
    assert raw.voxel_size_um is None
    assert "no unit" in raw.size_note


def test_a_2d_image(tmp_path):
    raw = open_raw(write(tmp_path / "a", IMAGE[0], names="yx"))
    assert raw.array.shape == (1, 6, 8)


def test_one_channel_and_time_point_are_hidden_and_more_refused(tmp_path):
    scale = [{"type": "scale", "scale": [1.0] * 5}]
    one = write(tmp_path / "one", IMAGE[np.newaxis, np.newaxis], names="tczyx", changes=scale)
    np.testing.assert_array_equal(open_raw(one).array[0:4], IMAGE)
    two = np.stack([IMAGE, IMAGE])[np.newaxis]
    with pytest.raises(InputError, match="2 along c"):
        open_raw(write(tmp_path / "two", two, names="tczyx", changes=scale))


def test_odd_axes_are_refused(tmp_path):
    with pytest.raises(ReadError, match=r"axes \(x, y, z\)"):
        open_raw(write(tmp_path / "a", names="xyz"))


def test_labels_and_arrays_inside_can_be_named(tmp_path):
    path = write(tmp_path / "a")
    group = zarr.open_group(path, mode="a")
    put(group.create_group("labels/truth"), IMAGE.astype("u1"))
    assert open_raw(path, dataset="labels/truth").array.dtype == np.uint8
    assert open_raw(path, dataset="0").voxel_size_um is None
    with pytest.raises(ReadError, match="nothing called 'labels/t'"):
        open_raw(path, dataset="labels/t")


def test_a_group_without_metadata_lists_its_arrays(tmp_path):
    group = zarr.create_group(tmp_path / "a")
    group.create_array("raw/x", shape=(4, 6, 8), dtype="u1")
    with pytest.raises(ReadError, match="no OME-Zarr image metadata") as error:
        open_raw(tmp_path / "a")
    assert "raw/x" in error.value.mend
    zarr.create_group(tmp_path / "b")
    with pytest.raises(ReadError, match="holds no array"):
        open_raw(tmp_path / "b")


def test_the_layout_of_bioformats2raw(tmp_path):
    group = zarr.create_group(tmp_path / "a")
    group.attrs["ome"] = {"bioformats2raw.layout": 3}
    put(group.create_group("0"), IMAGE)
    assert open_raw(tmp_path / "a").array.shape == IMAGE.shape


def test_metadata_that_does_not_fit_the_array(tmp_path):
    changes = [{"type": "scale", "scale": [1.0] * 3}]
    with pytest.raises(ReadError, match="2 axes, the array has 3"):
        open_raw(write(tmp_path / "a", names="yx", changes=changes))


def test_broken_metadata(tmp_path):
    path = write(tmp_path / "a")
    meta = json.loads((path / "zarr.json").read_text())
    meta["attributes"]["ome"]["multiscales"][0]["datasets"] = []
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(ReadError, match="metadata cannot be read"):
        open_raw(path)


def test_a_huge_array_opens_at_once(tmp_path):
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(50_000, 2048, 1024), chunks=(64, 256, 256), dtype="u1"
    )
    assert array.nchunks_initialized == 0
    assert open_raw(tmp_path / "a.zarr").array.shape[0] == 50_000
