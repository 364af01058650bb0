"""Every kind of bad image gets a clear error, from damaged real files too."""

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from image_files import ramp, write_amira, write_amira_runs, write_zeiss
from tomolith.core import PRESETS, Grid, Volume
from tomolith.errors import TomolithError
from tomolith.label.annotations import read_labels
from tomolith.store.open_image import open_image


def tiff(path):
    tifffile.imwrite(path, ramp(), compression="zlib", photometric="minisblack")
    return path


def slices(folder, numbers):
    folder.mkdir(exist_ok=True)
    for n in numbers:
        tifffile.imwrite(folder / f"img_{n}.tif", ramp()[0])
    return folder


def cut(path, keep_frac=0.7):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep_frac)])
    return path


def wrong_dataset(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["entry/volume"] = ramp()
    return folder / "a.h5"


def whole_h5(folder):
    with h5py.File(folder / "a.h5", "w") as file:
        file["entry/volume"] = np.zeros((20, 50, 50))
    return folder / "a.h5"


def saved(path):
    np.save(path, ramp())
    return path


def text_as_tiff(folder):
    (folder / "a.tif").write_text("This is not an image.\n")
    return folder / "a.tif"


def touched(path):
    path.touch()
    return path


def bare_zarr(folder):
    zarr.create_group(folder / "a.zarr").create_array("x", shape=(3, 4, 5), dtype="u1")
    return folder / "a.zarr"


def mixed_size(folder):
    slices(folder / "s", range(3))
    tifffile.imwrite(folder / "s" / "img_3.tif", ramp()[0, :3])
    return folder / "s"


def mixed_type(folder):
    slices(folder / "s", range(3))
    tifffile.imwrite(folder / "s" / "img_3.tif", ramp()[0].astype("f4"))
    return folder / "s"


def folder_of_text(folder):
    (folder / "s").mkdir()
    (folder / "s" / "notes.txt").write_text("x")
    return folder / "s"


def misspelt(folder):
    tiff(folder / "scan_0001.tif")
    return folder / "scan_001.tif"


def misspelt_folder(folder):
    slices(folder / "scans", range(2))
    return folder / "scan" / "a.tif"


CASES = {
    "missing file": (misspelt, "no such file", "did you mean 'scan_0001.tif'"),
    "missing folder": (misspelt_folder, "no such folder 'scan'", "did you mean 'scans'"),
    "missing and nothing near": (lambda d: d / "q.npy", "no such file", "holds: nothing"),
    "pattern of nothing": (lambda d: d / "*.tif", "no file matches", "check the folder"),
    "zero bytes": (lambda d: touched(d / "a.tif"), "empty (0 bytes)", "copy it again"),
    "text called tif": (text_as_tiff, "named .tif but", "begins with 'This is not an image"),
    "truncated tiff": (lambda d: cut(tiff(d / "a.tif")), "cut off", "copy it again"),
    "truncated npy": (lambda d: cut(saved(d / "a.npy")), "cannot be read", "cut off"),
    "truncated am": (lambda d: cut(write_amira(d / "a.am", ramp())), "cut off", "copy it again"),
    "truncated rle": (
        lambda d: cut(write_amira_runs(d / "a.am", ramp(dtype="u1")), 0.9),
        "cut off",
        "copy it again",
    ),
    "truncated txrm": (
        lambda d: cut(write_zeiss(d / "a.txrm", ramp())),
        "cannot be opened",
        "copy it again",
    ),
    "truncated h5": (lambda d: cut(whole_h5(d)), "truncated", "copy it again"),
    "bare zarr": (bare_zarr, "no OME-Zarr image metadata", "one of x"),
    "folder of text": (folder_of_text, "holds no image: notes.txt", "image file itself"),
    "sequence with a gap": (
        lambda d: slices(d / "s", [1, 2, 3, 5]),
        "1 slices are missing",
        "number 4",
    ),
    "mixed size": (mixed_size, "3 × 9 pixels", "img_3.tif"),
    "mixed type": (mixed_type, "float32", "img_3.tif"),
    "a packed file": (lambda d: gz(d), "named .gz", "unpack it first"),
}


def gz(folder):
    (folder / "a.gz").write_bytes(b"\x1f\x8b" + bytes(30))
    return folder / "a.gz"


@pytest.mark.parametrize("case", CASES)
def test_a_bad_image_gets_a_clear_error(case, tmp_path):
    make, found, more = CASES[case]
    path = make(tmp_path)
    with pytest.raises(TomolithError) as error:
        open_image(path, voxel_size_um=1.0)
    text = str(error.value)
    assert error.value.exit_code == 2
    assert found in text
    assert more in text
    assert str(tmp_path) in error.value.where
    assert error.value.mend


def test_a_wrong_dataset_name_gets_the_right_one(tmp_path):
    with pytest.raises(TomolithError, match="did you mean 'entry/volume'"):
        open_image(wrong_dataset(tmp_path), dataset="entry/volum", voxel_size_um=1)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.zeros((5, 7, 8), np.uint8), "5 × 7 × 8"),
        (np.full((5, 7, 9), 3, np.uint8), r"3 \(315 voxels\)"),
    ],
)
def test_labels_that_do_not_fit(tmp_path, labels, match):
    np.save(tmp_path / "l.npy", labels)
    image = Volume(ramp(), Grid((5, 7, 9), None))
    with pytest.raises(TomolithError, match=match) as error:
        read_labels(tmp_path / "l.npy", PRESETS["li-binary"], image=image)
    assert error.value.where.endswith("l.npy")


REAL = (
    "file-formats/zeiss/test_chip00.xrm",
    "file-formats/zeiss/txrm_test_chip_tomo.txrm",
    "file-formats/amira/test9.am",
    "file-formats/imagej-stack/100_fiberform.tif",
    "raw-projections/tooth.h5",
    "raw-projections/shale_prj.tiff",
    "nmc-cathode-nanoct-3phase/images/1.tif",
)


@pytest.mark.parametrize("keep_frac", [0.001, 0.3, 0.9])
@pytest.mark.parametrize("name", REAL)
def test_a_real_file_cut_off_is_refused(name, keep_frac, data_dir, tmp_path):
    whole = data_dir / name
    path = tmp_path / whole.name
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * keep_frac)])
    with pytest.raises(TomolithError) as error:
        image = open_image(path, voxel_size_um="unknown", kind="images")
        image.read(image.grid.box)
    assert error.value.exit_code == 2
    assert whole.name in str(error.value)
