"""Simulate blobs in memory with SciPy and scikit-image, in a process of its own.

What a short script would do: random blobs for lithium, the same blur and fringes, rings left out,
normal noise smoothed over its neighbours, saved as NumPy files. Arguments: folder, side in voxels,
and the settings as JSON. Prints what it took, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.data import binary_blobs

from benchmarks.common import peak_bytes
from tomolith.phantom import PhantomSettings


def make(folder: Path, side: int, settings: PhantomSettings) -> None:
    """Make and save an image and its labels."""
    s, rng = settings, np.random.default_rng(settings.seed)
    labels = binary_blobs(side, 0.1, n_dim=3, volume_fraction=0.3, rng=rng)
    sigma = s.blur_um / s.voxel_size_um
    grey = np.float32(s.polymer_grey) - np.float32(s.dendrite_contrast) * labels
    texture = ndimage.gaussian_filter(rng.standard_normal(grey.shape, np.float32), 4.0)
    grey += texture * np.float32(s.texture / texture.std())
    sharp = ndimage.gaussian_filter(grey, sigma, truncate=3.0)
    grey = sharp + s.fringes * (sharp - ndimage.gaussian_filter(sharp, 2 * sigma, truncate=3.0))
    grain = rng.standard_normal(grey.shape, np.float32)
    for axis in range(3):
        grain = ndimage.correlate1d(grain, [0.25, 0.5, 0.25], axis)
    grey += grain * np.float32(s.noise / grain.std())
    np.save(folder / "image.npy", np.rint(255 * np.clip(grey, 0, 1)).astype(np.uint8))
    np.save(folder / "labels.npy", labels)


if __name__ == "__main__":
    start, start_cpu, bare_bytes = time.perf_counter(), time.process_time(), peak_bytes()
    make(Path(sys.argv[1]), int(sys.argv[2]), PhantomSettings.model_validate_json(sys.argv[3]))
    took = {
        "total_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - start_cpu,
        "bare_bytes": bare_bytes,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(took))
