"""The ruler of the benchmark ``edge_width``, on edges of known width."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.edge_width import edge_widths
from scipy import ndimage

SIDE_PX = 256


@pytest.mark.parametrize("angle_deg", [0, 30, 90])
@pytest.mark.parametrize("sigma_px", [0.8, 1.3, 2.6, 3.5])
def test_a_known_blur_is_found(sigma_px, angle_deg):
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2
    across = x * np.cos(np.radians(angle_deg)) + y * np.sin(np.radians(angle_deg))
    sharp = np.clip(across + 0.5, 0, 1)  # a voxel at the border is in between
    noise = np.random.default_rng(0).normal(0, 0.02, sharp.shape)
    found = edge_widths([ndimage.gaussian_filter(sharp, sigma_px) + noise])
    assert len(found) >= 5
    # what reading between pixels and the voxel itself add
    most = np.sqrt(sigma_px**2 + 0.41**2 + 1 / 12)
    assert 0.97 * sigma_px < np.median(found) < 1.05 * most


def test_an_object_counts_once_a_tile_and_noise_not_at_all():
    rng = np.random.default_rng(0)
    assert len(edge_widths([rng.normal(0, 1, (128, 128))])) == 0
    disc = np.hypot(*(np.mgrid[:128, :128] - 64)) < 40
    assert len(edge_widths([ndimage.gaussian_filter(disc.astype(float), 2.0)])) <= 16
