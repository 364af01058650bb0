"""What the benchmarks of prediction start from: simulated scans and a trained network."""

from __future__ import annotations

from pathlib import Path

from tomolith.core import ClassSchema
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.examples import Example
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train
from tomolith.phantom.settings import PhantomSettings
from tomolith.phantom.simulate import make_phantom
from tomolith.store.scan import Scan

PHANTOM_CLASSES = ClassSchema.from_recipe(["background", "electrode", "dendrite"])


def train_on_phantom(folder: Path, *, minutes: float, seed: int = 0) -> ModelBundle:
    """Return a U-Net trained for some minutes on one simulated cell."""
    scan = phantom_scan(folder, "phantom-0", shape_zyx=(48, 144, 320))
    example = Example(scan.id, scan.image, scan.labels("truth"), scan.stats)
    settings = TrainSettings(minutes=minutes, epochs=500, patience=None, seed=seed)
    return train([example], settings, folder / "model", schema=PHANTOM_CLASSES).bundle


def phantom_scan(folder: Path, name: str, *, shape_zyx: tuple[int, int, int]) -> Scan:
    """Return a simulated scan with ``labels/truth``, made now or earlier."""
    path = folder / f"{name}.zarr"
    if path.is_dir():
        return Scan.open(path)
    settings = PhantomSettings(shape_zyx=shape_zyx, hand_labelled_slices=1)
    return make_phantom(settings, path, schema=PHANTOM_CLASSES)
