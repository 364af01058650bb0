"""Label maps of any size: a small simulated cell and its mirror images, side by side."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tomolith.core import PRESETS, Box, Grid, Provenance
from tomolith.phantom import PHANTOM_PRESETS, Phantom, PhantomSettings, label_values
from tomolith.store.scan import Scan

CELL_ZX = (96, 512)


def write_mirrored(
    path: Path, shape: tuple[int, int, int], pulse: int, *, name: str, wrong_frac: float = 0.0
) -> None:
    """Write a label map of one time, without an image; a share of its voxels is made wrong."""
    n_z, n_x = CELL_ZX
    paper, schema = PHANTOM_PRESETS["operando-paper"], PRESETS["li-operando"]
    area = n_z * n_x / (paper["shape_zyx"][0] * paper["shape_zyx"][2])
    counts = {k: round(area * paper[k]) for k in ("n_pits", "n_defects", "n_bubbles")}
    small = (n_z, shape[1], n_x)
    settings = PhantomSettings(preset="operando-paper", shape_zyx=small, scans=(pulse,), **counts)
    cell = Phantom.build(settings, path.stem).materials(Box.whole(small))
    cell = label_values(schema)[cell]
    grid, made = Grid(shape, (paper["voxel_size_um"],) * 3), Provenance("benchmark")
    scan = Scan.create(path, grid, np.uint8, provenance=made)
    writer = scan.create_labels(name, schema, provenance=made)
    rng = np.random.default_rng(pulse)
    for box in grid.box.tiles(scan.layout.shard_zyx):
        z, x = (_mirrored(box, axis, n) for axis, n in ((0, n_z), (2, n_x)))
        labels = np.ascontiguousarray(cell[z][:, box.slices[1]][:, :, x])
        places = rng.integers(0, labels.size, math.ceil(wrong_frac * labels.size))
        labels.reshape(-1)[places] = rng.choice(np.array(schema.values, np.uint8), len(places))
        writer.array[box.slices] = labels
    writer.finish()


def _mirrored(box: Box, axis: int, n: int) -> np.ndarray:
    index = np.arange(box.start_zyx[axis], box.stop_zyx[axis]) % (2 * n)
    return np.minimum(index, 2 * n - 1 - index)
