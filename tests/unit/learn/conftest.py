"""Small scans to learn from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tomolith.core import PRESETS, Grid, IntensityStats, LabelMap, Volume
from tomolith.learn.examples import Example


@pytest.fixture(scope="session")
def blob_example():
    """Return a maker of scans: bright blobs on a dark ground, labelled throughout."""

    def make(name="a", *, depth=6, side=96, seed=0, voxel_size_um=(1.0, 1.0, 1.0), dtype=np.uint8):
        rng = np.random.default_rng(seed)
        smooth = ndimage.gaussian_filter(rng.normal(size=(depth, side, side)), (0, 6, 6))
        truth = (smooth > np.quantile(smooth, 0.7)).astype(np.uint8)
        grey = np.clip(100 + 60.0 * truth + rng.normal(0, 12, truth.shape), 0, 255).astype(dtype)
        grid = Grid(truth.shape, voxel_size_um)
        stats = (IntensityStats.of_sample(grey),)
        labels = LabelMap(Volume(truth, grid), PRESETS["li-binary"])
        return Example(name, Volume(grey, grid), labels, stats)

    return make
