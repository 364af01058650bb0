"""What lies in a box of the cell, without any degradation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.phantom.layers import LAYER_MATERIALS
from tomolith.phantom.noise import Doubles, Floats

MATERIALS = ("background", "electrode", "dendrite", "pit", "deposited", "redeposited")
# Values of pictures that are no label: specks and bubbles in the polymer count as background.
SPECK = "speck"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A box of the cell, axes (z, y, x).

    Parameters
    ----------
    material
        Index into :data:`MATERIALS`: what lies at the centre of each voxel.
    y_um
        Positions of the voxels through the cell.
    voxel_size_um
        Their size.
    boundaries_um
        Heights between the :data:`LAYER_MATERIALS` of ``layers``, each (n_z, n_x).
    dendrite_frac, speck_frac
        Share of each voxel that each fills; ``None``: there are none.
    """

    material: npt.NDArray[np.uint8]
    y_um: Doubles
    voxel_size_um: float
    boundaries_um: tuple[Doubles, ...]
    dendrite_frac: Floats | None
    speck_frac: Floats | None

    def paint(self, values: Mapping[str, float]) -> Floats:
        """Return a picture in which each material has a value; borders share their voxels.

        Parameters
        ----------
        values
            One for each of :data:`MATERIALS` and for ``SPECK``.
        """
        levels = [np.float32(values[name]) for name in LAYER_MATERIALS]
        out = np.full(self.material.shape, levels[0])
        for i, height in enumerate(self.boundaries_um):
            step = levels[i + 1] - levels[i]
            if step == 0:
                continue
            first, last = _rows_around(self.y_um, height, self.voxel_size_um)
            beyond = (self.y_um[None, first:last, None] - height[:, None, :]) / self.voxel_size_um
            out[:, first:last] += step * np.clip(beyond + 0.5, 0.0, 1.0).astype(np.float32)
            out[:, last:] += step
        for frac, name in ((self.speck_frac, SPECK), (self.dendrite_frac, "dendrite")):
            if frac is not None:
                out += (np.float32(values[name]) - out) * frac
        return out


def layer_materials(y_um: Doubles, boundaries_um: tuple[Doubles, ...]) -> npt.NDArray[np.uint8]:
    """Return the material of each voxel (n_z, n_y, n_x) as far as it is made of layers."""
    n_z, n_x = boundaries_um[0].shape
    out = np.zeros((n_z, len(y_um), n_x), np.uint8)
    out[...] = MATERIALS.index(LAYER_MATERIALS[0])
    for name, height in zip(LAYER_MATERIALS[1:], boundaries_um, strict=True):
        first, last = _rows_around(y_um, height, 0.0)
        value = np.uint8(MATERIALS.index(name))
        part = out[:, first:last]
        part[y_um[None, first:last, None] >= height[:, None, :]] = value
        out[:, last:] = value
    return out


def fraction(distance_um: Doubles, voxel_size_um: float) -> Floats:
    """Share of a voxel inside a surface that passes at a signed distance from its centre."""
    return np.clip(0.5 - distance_um / voxel_size_um, 0.0, 1.0).astype(np.float32)


def _rows_around(y_um: Doubles, height: Doubles, voxel_size_um: float) -> tuple[int, int]:
    """Return the rows that a boundary meets: before them all is below it, behind them above."""
    low, high = float(height.min()) - voxel_size_um, float(height.max()) + voxel_size_um
    return int(np.searchsorted(y_um, low)), int(np.searchsorted(y_um, high))
