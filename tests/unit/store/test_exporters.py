from __future__ import annotations

import numpy as np
import pytest
import tifffile

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.store.exporters import EXPORTERS, tiff
from tomolith.store.exporters.tiff import export_tiff


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_an_image_comes_back_with_its_voxel_size(tmp_path, dtype):
    grid = Grid((5, 12, 10), (2.5, 0.65, 0.325))
    grey = np.random.default_rng(0).integers(0, 200, grid.shape_zyx).astype(dtype)
    EXPORTERS.load("tiff")(Volume(grey, grid), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert np.array_equal(file.asarray(), grey)
        assert file.series[0].shape == (5, 12, 10)
        assert file.is_imagej
        described = file.imagej_metadata
        assert described["images"] == described["slices"] == 5
        assert described["unit"] == "um"
        assert described["spacing"] == 2.5
        tags = file.pages[0].tags
        x, y = tags["XResolution"].value, tags["YResolution"].value
        assert x[1] / x[0] == pytest.approx(0.325)
        assert y[1] / y[0] == pytest.approx(0.65)
        assert tags["ResolutionUnit"].value == 1  # ImageJ: per unit of the description
        assert len(file.pages) == 5
        assert file.pages[3].asarray().shape == (12, 10)


def test_an_unknown_voxel_size_is_not_made_up(tmp_path):
    grey = np.zeros((2, 4, 4), np.uint8)
    export_tiff(Volume(grey, Grid((2, 4, 4), None)), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert "unit" not in file.imagej_metadata
        assert "spacing" not in file.imagej_metadata


def test_sections_have_no_distance(tmp_path):
    grid = Grid((2, 4, 4), (1.0, 0.5, 0.5), sections=True)
    export_tiff(Volume(np.zeros((2, 4, 4), np.uint8), grid), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.imagej_metadata["unit"] == "um"
        assert "spacing" not in file.imagej_metadata


def test_labels_keep_values_and_name_classes(tmp_path, make_scan):
    labels = make_scan().labels("truth")
    export_tiff(labels, tmp_path / "labels.tiff")
    with tifffile.TiffFile(tmp_path / "labels.tiff") as file:
        assert np.array_equal(file.asarray(), labels.volume.array[:])
        assert file.imagej_metadata["class_2"] == "dendrite"
        assert file.imagej_metadata["class_255"] == "unlabelled"


def test_signed_values_become_float_exactly(tmp_path):
    grey = np.array([[[-5, 7]]], np.int16)
    export_tiff(Volume(grey, Grid((1, 1, 2), None)), tmp_path / "a.tif")
    back = tifffile.imread(tmp_path / "a.tif")
    assert back.dtype == np.float32
    assert back.ravel().tolist() == [-5, 7]


def test_large_stacks_are_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "_CLASSIC_BYTES", 100)
    grey = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    export_tiff(Volume(grey, Grid((2, 8, 8), (1.0, 1.0, 1.0))), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        assert np.array_equal(file.asarray(), grey)
        assert file.pages[0].description.startswith("ImageJ=")


def test_a_failure_leaves_the_old_file(tmp_path):
    class Broken:
        shape = (20, 4, 4)
        dtype = np.dtype(np.uint8)

        def __getitem__(self, index):
            if index[0].stop > 16:
                raise RuntimeError("cable pulled")
            return np.zeros((16, 4, 4), np.uint8)

    path = tmp_path / "a.tif"
    export_tiff(Volume(np.ones((1, 4, 4), np.uint8), Grid((1, 4, 4), None)), path)
    with pytest.raises(RuntimeError):
        export_tiff(Volume(Broken(), Grid((20, 4, 4), None)), path)
    assert tifffile.imread(path).min() == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


def test_another_ending_is_refused(tmp_path):
    volume = Volume(np.ones((1, 4, 4), np.uint8), Grid((1, 4, 4), None))
    with pytest.raises(InputError, match=r"ending with \.tif"):
        export_tiff(volume, tmp_path / "a.png")


def test_a_label_map_of_numpy(tmp_path):
    labels = LabelMap(
        Volume(np.ones((1, 4, 4), np.uint8), Grid((1, 4, 4), None)), PRESETS["li-binary"]
    )
    export_tiff(labels, tmp_path / "a.tif")
    assert tifffile.imread(tmp_path / "a.tif").max() == 1
