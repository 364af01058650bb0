"""What the benchmarks of prediction start from: simulated scans and a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.core import ClassSchema, Grid, Provenance
from tomolith.core.box import Triple
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.examples import Example
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train
from tomolith.phantom.settings import PhantomSettings
from tomolith.phantom.simulate import make_phantom
from tomolith.store.intensity import sample_stats
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

# Three of the cell's six materials: pits are then background, deposited Li counts as dendrite.
PHANTOM_CLASSES = ClassSchema.from_recipe(["background", "electrode", "dendrite"])
TRAINED_SCAN, OTHER_SCAN = "cell0-t12", "cell1-t12"  # two cells, both after the last charge
_YX = (152, 320)  # the cell lies across y and fills it
_PITS_PER_SLICE = 36 / 96  # as in the preset 'demo'


def train_on_phantom(folder: Path, *, minutes: float, seed: int = 0) -> ModelBundle:
    """Return a U-Net trained on one simulated cell as ``examples/demo`` does, for some minutes."""
    scan = phantom_scan(folder, TRAINED_SCAN, n_slices=48)
    example = Example(scan.id, scan.image, scan.labels("truth"), scan.stats)
    settings = TrainSettings(
        minutes=minutes,
        epochs=500,
        patience=None,
        batch=8,
        balance=0.5,
        augment={"rotate_deg": 10, "zoom": [0.9, 1.1]},
        seed=seed,
    )
    return train([example], settings, folder / "model", schema=PHANTOM_CLASSES).bundle


def phantom_scan(folder: Path, name: str, *, n_slices: int) -> Scan:
    """Return a simulated scan with ``labels/truth``, made now or earlier."""
    path = folder / f"{name}.zarr"
    if path.is_dir():
        return Scan.open(path)
    settings = PhantomSettings(
        shape_zyx=(n_slices, *_YX),
        n_cells=2,
        scans=(12,),
        n_pits=round(_PITS_PER_SLICE * n_slices),
        hand_labelled_slices=1,
    )
    return make_phantom(settings, path, schema=PHANTOM_CLASSES)


def mirrored_scan(folder: Path, name: str, shape_zyx: Triple, shard_zyx: Triple) -> Scan:
    """Return a large scan with ``labels/truth``: a small one, mirrored along y and x.

    A simulated cell of that size would mostly be air, of which the network has seen little.
    """
    small = phantom_scan(folder, OTHER_SCAN, n_slices=shape_zyx[0])
    scan = Scan.create(
        folder / f"{name}.zarr",
        Grid(shape_zyx, small.grid.voxel_size_um),
        np.uint8,
        provenance=Provenance("benchmark"),
        layout=Layout((16, 256, 256), shard_zyx),
    )
    truth = scan.create_labels("truth", PHANTOM_CLASSES, provenance=Provenance("benchmark"))
    for made, given in ((scan.image, small.image), (truth, small.labels("truth"))):
        values = given.read(small.grid.box)
        for tile in scan.grid.box.tiles(scan.layout.shard_zyx):
            z, y, x = tile.slices
            rows, columns = _mirrored(y, values.shape[1]), _mirrored(x, values.shape[2])
            made.array[tile.slices] = values[z][:, rows][:, :, columns]
    truth.finish()
    scan.set_stats(sample_stats(scan.image)[0])
    scan.finish()
    return scan


def _mirrored(where: slice, length: int) -> np.ndarray:
    index = np.arange(where.start, where.stop) % (2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)
