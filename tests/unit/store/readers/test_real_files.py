"""Files that other programs wrote: shape, type, voxel size, and a known value or two."""

import numpy as np
import pytest

from tomolith.core import Box
from tomolith.store.readers import open_raw

NONE = (None, None, None)
CHIP_UM, TILT_UM = 0.07789474, 0.1557895
NMC = "nmc-cathode-nanoct-3phase"
CASES = {
    "file-formats/zeiss/test_chip00.xrm": ("zeiss", (1, 512, 512), "<u2", (CHIP_UM,) * 3),
    "file-formats/zeiss/txrm_test_chip_tomo.txrm": (
        "zeiss", (7, 256, 256), "<u2", (None, TILT_UM, TILT_UM)),
    "file-formats/amira/test9.am": ("amira", (284, 284, 284), "u1", NONE),
    "file-formats/ome-zarr/image-03.zarr": ("ome-zarr", (2, 100, 100), "<f8", (1.0, 1.0, 1.0)),
    "file-formats/imagej-stack/100_fiberform.tif": ("tiff", (100, 100, 100), "u1", NONE),
    "raw-projections/tooth.h5": ("hdf5", (181, 2, 640), "<f4", NONE),
    "raw-projections/shale_prj.tiff": ("tiff", (1, 181, 366), "<f4", NONE),
    "nanoxct-pore-segmentation/images_00-11.tif": ("tiff", (12, 768, 768), "<f4", NONE),
    "nanoxct-pore-segmentation/labels_00-11.tif": ("tiff", (12, 768, 768), "u1", NONE),
    f"{NMC}/images/1.tif": ("tiff", (1, 499, 601), ">f4", NONE),
    f"{NMC}/images/103.tif": ("tiff", (1, 500, 572), ">f4", NONE),
    f"{NMC}/images/394.tif": ("tiff", (1, 500, 500), ">f4", NONE),
    f"{NMC}/labels/100_label.tif": ("tiff", (1, 499, 601), "u1", NONE),
    "nmc-ct-3phase-volume/nmc-1-cal_generatedCBD_bridge.tif": (
        "tiff", (251, 301, 301), "u1", NONE),
    "battery-cylindrical-cell-xct/cell_vol_im031-im100.tif": ("tiff", (70, 728, 728), "u1", NONE),
    "battery-cylindrical-cell-xct/im_1.tif": ("tiff", (1, 576, 576), "<u2", NONE),
    "battery-cylindrical-cell-xct/ellipse_dent.tif": ("tiff", (1, 576, 576), "u1", NONE),
    "battery-21700-xct-slice/Battery_21700.tif": ("tiff", (1, 1568, 1568), "u1", NONE),
    "registration-pairs/bone_longitudinal": ("tiff", (2, 350, 210), "<u2", NONE),
    "registration-pairs/shell_bimodal/shellX.npy": ("numpy", (1, 600, 650), "<u2", NONE),
    "sandstone-xct-4class/images": ("tiff", (6, 1024, 996), "u1", (None, 2.2314505, 2.2314505)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_shape_type_and_voxel_size(name, data_dir):
    reader, shape, dtype, sizes = CASES[name]
    raw = open_raw(data_dir / name)
    assert raw.reader == reader
    assert tuple(raw.array.shape) == shape
    assert raw.array.dtype == np.dtype(dtype)
    for found, expected in zip(raw.known_size_um, sizes, strict=True):
        assert found == (None if expected is None else pytest.approx(expected, rel=1e-6))
    assert raw.voxel_size_um is not None or raw.size_note
    corner = raw.array[Box((shape[0] - 1, 0, 0), (shape[0], 5, 6)).slices]
    assert np.isfinite(corner).all()
    raw.close()


def test_zeiss_fields_as_a_plain_ole_reader_gives_them(data_dir):
    lines = open_raw(data_dir / "file-formats/zeiss/txrm_test_chip_tomo.txrm").description
    assert "energy 9.20 keV" in lines
    assert any(line.startswith("angles -45.0") for line in lines)


def test_the_amira_lattice_is_all_exterior(data_dir):
    raw = open_raw(data_dir / "file-formats/amira/test9.am")
    assert "1.36 × 1.36 × 1.36" in raw.size_note
    # 360 731 encoded bytes can only be runs of 127 voxels each: one value throughout
    assert np.count_nonzero(raw.array[0:284]) == 0


def test_phases_of_the_nmc_volume(data_dir):
    path = data_dir / "nmc-ct-3phase-volume" / "nmc-1-cal_generatedCBD_bridge.tif"
    labels = np.asarray(open_raw(path).array[0:251])
    found = np.bincount(labels.ravel(), minlength=3) / labels.size
    assert found == pytest.approx([0.4005, 0.4995, 0.1000], abs=5e-5)


def test_pores_of_the_nanoxct_labels(data_dir):
    path = data_dir / "nanoxct-pore-segmentation" / "labels_00-11.tif"
    labels = np.asarray(open_raw(path).array[0:12])
    found = np.bincount(labels.ravel(), minlength=4) / labels.size
    assert found == pytest.approx([0.893, 0.104, 0.0037, 0.0002], abs=6e-4)
