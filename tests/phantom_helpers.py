"""What several tests of the phantom need: whole drawings, and metal counted voxel by voxel."""

from __future__ import annotations

import numpy as np

from tomolith.core import Box
from tomolith.phantom import MATERIALS, Cell

BACKGROUND, ELECTRODE, DENDRITE, PIT, DEPOSITED, REDEPOSITED = range(len(MATERIALS))
ALL_PULSES = tuple(range(25))


def draw(cell: Cell, pulse: int) -> np.ndarray:
    """Return the materials of the whole field of view."""
    return cell.draw(Box.whole(cell.settings.shape_zyx), pulse).material


def electrode_counts(material: np.ndarray) -> tuple[int, int]:
    """Count electrode on the stripping side and on the plating side.

    The middle of y lies in the polymer, however the cell swells.
    """
    half = material.shape[1] // 2
    is_electrode = material == ELECTRODE
    return int(is_electrode[:, :half].sum()), int(is_electrode[:, half:].sum())


def swelling_vox(cell: Cell, pulse: int) -> int:
    """Return by how many voxels the plating side has moved."""
    return round(cell.levels[pulse].amounts.swelling / cell.settings.voxel_size_um)
