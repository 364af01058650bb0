"""Small scans with label maps to refine, of made-up labels or of a simulated series."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from tomolith.core import PRESETS, Box, ClassSchema, Grid, Provenance
from tomolith.phantom import Cell, PhantomSettings
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

OPERANDO = PRESETS["li-operando"]
PULSES = (0, 3, 6, 9, 12, 15, 18, 21, 24)
STEPS = ("charge",) * 4 + ("discharge",) * 4
CHUNK = Layout((8, 16, 16), (8, 16, 32))


def make_scan(
    folder: Path,
    name: str,
    labels: np.ndarray,
    *,
    schema: ClassSchema = OPERANDO,
    size_um: float | None = 1.0,
    layout: Layout = CHUNK,
    sections: bool = False,
    made: str = "doc",
) -> Scan:
    """Write a scan of zeros with the label map ``prediction``."""
    sizes = None if size_um is None else (size_um,) * 3
    grid = Grid(labels.shape, sizes, sections=sections)
    scan = Scan.create(
        folder / f"{name}.zarr", grid, np.uint8, provenance=Provenance("doc"), layout=layout
    )
    scan.image.array[:] = np.zeros(labels.shape, np.uint8)
    scan.finish()
    writer = scan.create_labels("prediction", schema, provenance=Provenance(made))
    writer.array[:] = labels
    writer.finish()
    return scan


def read(scan: Scan, name: str = "refined") -> np.ndarray:
    """Return a whole label map."""
    return scan.labels(name).read(scan.grid.box)


@cache
def true_series(pulses: tuple[int, ...] = PULSES) -> tuple[np.ndarray, ...]:
    """Return the true labels of a small cell after so many pulses; it swells by 7 voxels."""
    settings = PhantomSettings(preset="tiny", scans=pulses)
    cell, box = Cell.build(settings, 0), Box.whole(settings.shape_zyx)
    return tuple(cell.draw(box, pulse).material for pulse in pulses)


def with_flips(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return labels of which a share was replaced by any class."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(labels.shape) < share
    return np.where(wrong, rng.integers(0, 6, labels.shape), labels).astype(np.uint8)


def iou(found: np.ndarray, true: np.ndarray, value: int) -> float:
    """Return intersection over union of one class."""
    both = (found == value) & (true == value)
    either = (found == value) | (true == value)
    return float(both.sum() / max(either.sum(), 1))
