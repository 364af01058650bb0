"""The scan: what a tomograph makes of a drawing, in the image domain."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.drawing import SPECK
from tomolith.phantom.noise import (
    Doubles,
    Floats,
    axes_um,
    box_indices,
    fractal_noise,
    grain_noise,
    hash_lattice,
)
from tomolith.phantom.optics import REFINING_VARIANCE, gauss_taps, refine, smooth
from tomolith.phantom.scan_settings import ScanSettings
from tomolith.phantom.settings import PhantomSettings

# A box is made in tiles, which bounds the memory: so many samples of the picture, voxels of labels.
_PICTURE_TILE_ZYX = (64, 384, 256)
_LABEL_TILE_ZYX = (32, 384, 512)
_FRINGE_WIDTH = 2.0  # the broader blur of the fringes, in widths of the point spread
_ROW_SLICES = 6  # gain errors span so many detector rows
_COARSE_FROM_VOX = 2.0  # a point spread this wide leaves nothing that two voxels would tell apart

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scanner:
    """Turns a drawing into grey values, box by box.

    Blur and noise grain read a halo; the drawing goes on beyond the volume, so there is no border.
    Where the point spread is wide, all that is blurred is worked out on a coarser grid of
    *samples*, cubes of ``step`` voxels a side, from which the voxels are interpolated. That blurs a
    little too, and the point spread is narrowed by as much.

    Examples
    --------
    >>> from tomolith.phantom import Cell
    >>> s = PhantomSettings(preset="tiny")
    >>> scanner, box = Scanner(s, key=1), Box((0, 0, 0), (2, 3, 4))
    >>> picture = Cell.build(s, 0).draw(scanner.reads(box), 12, step=scanner.step).paint(greys(s))
    >>> scanner.image(box, picture).dtype
    dtype('uint8')
    """

    settings: ScanSettings
    key: int

    def render(
        self, box: Box, paint: Callable[[Box, int], Floats], label: Callable[[Box], Labels]
    ) -> tuple[npt.NDArray[np.unsignedinteger[Any]], Labels]:
        """Return the grey values and the materials of a box, made tile by tile.

        Parameters
        ----------
        paint
            Returns the greys of an ideal scan of any box of samples of the given ``step``.
        label
            Returns the materials of any box of voxels.
        """
        image = np.empty(box.shape_zyx, self.settings.dtype)
        material = np.empty(box.shape_zyx, np.uint8)
        z, y, x = (self.step * n for n in _PICTURE_TILE_ZYX)
        for tile in box.tiles((z, y, x)):
            picture = paint(self.reads(tile), self.step)
            image[tile.relative_to(box).slices] = self.image(tile, picture)
        for tile in box.tiles(_LABEL_TILE_ZYX):
            material[tile.relative_to(box).slices] = label(tile)
        return image, material

    @property
    def step(self) -> int:
        """Side of a sample in voxels: 1, or 2 where the blur is wide."""
        return 1 if self._blur_vox < _COARSE_FROM_VOX else 2

    def reads(self, box: Box) -> Box:
        """Return the samples that must be drawn for the image of ``box``."""
        reach = len(self._point_spread) // 2 + len(self._fringe_spread) // 2
        return self._samples(box).expand((reach, reach, reach))

    def image(self, box: Box, picture: Floats) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the grey values of a box as the scan stores them.

        Parameters
        ----------
        box
            Voxels of the image.
        picture
            Greys of an ideal scan over :meth:`reads` of the box.
        """
        out = np.empty(box.shape_zyx, self.settings.dtype)
        samples, radius = self._samples(box), self._radius_vox(box)
        blurred = self._optics(picture)
        if self.settings.drift:
            blurred += self._drift(samples)
        for rows in _row_parts(box):
            grey = self._voxels(blurred, samples, rows)
            self._degrade(grey, rows, radius)
            out[rows.relative_to(box).slices] = grey
        return out

    def _optics(self, picture: Floats) -> Floats:
        """Return the blurred greys, with edge fringes."""
        sharp = smooth(picture, self._point_spread)
        if not self.settings.fringes:
            return sharp.copy()
        broad = smooth(sharp, self._fringe_spread)
        reach = len(self._fringe_spread) // 2
        core = sharp[tuple(slice(reach, n - reach) for n in sharp.shape)]
        np.subtract(core, broad, out=broad)
        broad *= np.float32(self.settings.fringes)
        broad += core
        return broad

    def _degrade(self, grey: Floats, rows: Box, radius: Doubles) -> None:
        """Add rings and noise, turn blurred greys into those of the stored type, in place."""
        s = self.settings
        if s.rings:
            grey += self._rings(rows.start_zyx[0] // _ROW_SLICES, radius)
        if s.noise:
            grain = grain_noise(self.key + 44, rows)
            grain *= np.float32(s.noise)
            grey += grain
        if s.inverted:
            np.subtract(np.float32(1.0), grey, out=grey)
        np.clip(grey, 0.0, 1.0, out=grey)
        grey *= np.float32(np.iinfo(s.dtype).max)
        np.rint(grey, out=grey)

    def _samples(self, box: Box) -> Box:
        """Return the samples that the voxels of ``box`` are interpolated from."""
        if self.step == 1:
            return box
        start = [a // self.step - 1 for a in box.start_zyx]
        stop = [-(-b // self.step) + 1 for b in box.stop_zyx]
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def _voxels(self, blurred: Floats, samples: Box, box: Box) -> Floats:
        """Return the voxels of ``box`` from samples around them."""
        needed = self._samples(box)
        values = blurred[needed.relative_to(samples).slices]
        if self.step == 1:
            return values.copy()
        z, y, x = (-self.step * (a + 1) for a in needed.start_zyx)
        return refine(values)[box.shift((z, y, x)).slices]

    @property
    def _blur_vox(self) -> float:
        return self.settings.blur_um / self.settings.voxel_size_um

    @property
    def _point_spread(self) -> tuple[float, ...]:
        if self.step == 1:
            return gauss_taps(self._blur_vox)
        # a sample covers more than a voxel (boxes, of variance 1/12), and is interpolated
        more = (1 - self.step**-2) / 12 + REFINING_VARIANCE
        return gauss_taps(math.sqrt((self._blur_vox / self.step) ** 2 - more))

    @property
    def _fringe_spread(self) -> tuple[float, ...]:
        if not self.settings.fringes:
            return (1.0,)
        return gauss_taps(_FRINGE_WIDTH * self._blur_vox / self.step)

    def _drift(self, samples: Box) -> Floats:
        """Smooth unevenness of the background, and cupping."""
        s, largest = self.settings, max(self.settings.shape_zyx[1:])
        axes = axes_um(s.shape_zyx, s.voxel_size_um, samples, step=self.step)
        drift = fractal_noise(self.key + 22, axes, 0.4 * s.voxel_size_um * largest, n_octaves=2)
        drift *= np.float32(0.7)
        rim = self._radius_vox(samples, step=self.step) / (largest / 2)
        drift += (1.5 * rim * rim).astype(np.float32)
        drift *= np.float32(s.drift)
        return drift

    def _rings(self, row: int, radius: Doubles) -> Floats:
        """Concentric rings over (y, x): a few bad detector columns, most faint."""
        columns = np.arange(int(radius.max()) + 2, dtype=np.int64)
        bits = hash_lattice(self.key + 33, (np.array([row]), columns))[0]
        errors = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
        errors *= errors * errors * np.float32(self.settings.rings * math.sqrt(7.0))
        inner = radius.astype(np.intp)
        weight = (radius - inner).astype(np.float32)
        return errors[inner] + np.diff(errors)[inner] * weight

    def _radius_vox(self, box: Box, *, step: int = 1) -> Doubles:
        """Distance from the rotation axis (along z, a little off the centre), over (y, x)."""
        _, n_y, n_x = self.settings.shape_zyx
        _, y, x = (index * step + (step - 1) / 2 for index in box_indices(box))
        dy, dx = y[:, None] - 0.53 * n_y, x[None, :] - 0.48 * n_x
        return np.sqrt(dy * dy + dx * dx)


def _row_parts(box: Box) -> list[Box]:
    """Cut a box into slices that share their gain errors."""
    (first, *low), (last, *high) = box.start_zyx, box.stop_zyx
    inner = range(_ROW_SLICES * (first // _ROW_SLICES + 1), last, _ROW_SLICES)
    return [
        Box((a, low[0], low[1]), (b, high[0], high[1])) for a, b in pairwise([first, *inner, last])
    ]


def greys(settings: PhantomSettings) -> dict[str, float]:
    """Return the grey of each material, and of specks: Li absorbs less than polymer.

    Examples
    --------
    >>> round(greys(PhantomSettings())["electrode"], 2)
    0.39
    """
    s = settings
    contrasts = {
        "background": 0.0,
        "electrode": s.electrode_contrast,
        "dendrite": s.dendrite_contrast,
        "pit": s.pit_contrast,
        # of a porous layer a scan sees Li and what fills its pores, together
        "deposited": s.deposit_contrast,
        "redeposited": s.redeposit_contrast,
        SPECK: s.dendrite_contrast,
    }
    return {name: s.polymer_grey - contrast for name, contrast in contrasts.items()}
