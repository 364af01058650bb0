"""One image stored in different element types gives the same labels, voxel for voxel."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from tomolith.config import Component
from tomolith.core import PRESETS, IntensityStats, Normalisation
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.networks import NETWORKS
from tomolith.learn.predict import predict
from tomolith.learn.settings import PredictSettings
from tomolith.prepare.import_scan import ScanSource, import_scan
from tomolith.store.open_image import open_image

UNET = Component(name="unet", options={"channels": 4, "depth": 2})
SETTINGS = PredictSettings(backend="torch", precision="fp32", threads=1)


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    rng = np.random.default_rng(4)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(5, 70, 60)), axis=1), axis=2)
    span = smooth.max() - smooth.min()
    return ((smooth - smooth.min()) / span * 120).astype(np.uint8)


@pytest.fixture(scope="module")
def bundle(grey) -> ModelBundle:
    torch.manual_seed(0)
    network = NETWORKS.build(UNET, 1, 2).eval()
    stats = (IntensityStats.of_sample(grey),)
    patch = torch.from_numpy(Normalisation().apply(grey[:, :32, :32], stats))[:, None]
    with torch.no_grad():  # balance the untrained classes, so that both occur
        logits = network(patch)
        network.head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()
    weights = network.state_dict()
    size = (1.0, 1.0, 1.0)
    return ModelBundle(
        UNET, PRESETS["li-binary"], size, False, Normalisation(), 1, 32, weights=weights
    )


def labels_of(image: np.ndarray, bundle: ModelBundle, folder: Path) -> np.ndarray:
    file = folder / "a.tif"
    byteorder = ">" if image.dtype.byteorder == ">" else "<"
    tifffile.imwrite(file, image, photometric="minisblack", metadata=None, byteorder=byteorder)
    source = ScanSource(id="a", path=str(file), voxel_size_um=1.0)
    opened = open_image(file, voxel_size_um=source.voxel_size_um)
    assert opened.dtype == image.dtype
    scan = import_scan(source, folder / "a.zarr", image=opened)
    found = predict(scan, bundle, SETTINGS)
    return found.read(found.grid.box)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "float32", "float64", ">u2", ">f4", ">i2"])
def test_element_type_and_byte_order_change_no_label(grey, bundle, tmp_path, dtype):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    expected = labels_of(grey, bundle, tmp_path / "one")
    assert set(np.unique(expected)) == {0, 1}
    found = labels_of(grey.astype(dtype), bundle, tmp_path / "two")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("dtype", "gain", "offset"), [("uint16", 257, 31), ("float32", 0.004, -2)])
def test_another_grey_scale_changes_almost_no_label(grey, bundle, tmp_path, dtype, gain, offset):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    expected = labels_of(grey, bundle, tmp_path / "one")
    scaled = (grey.astype(np.float64) * gain + offset).astype(dtype)
    found = labels_of(scaled, bundle, tmp_path / "two")
    assert np.mean(found == expected) > 0.9999
