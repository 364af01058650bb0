"""The scan: what a tomograph makes of a drawing of the cell, in the image domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.drawing import SPECK
from tomolith.phantom.noise import (
    Floats,
    axes_um,
    box_indices,
    fractal_noise,
    hash_lattice,
    white_noise,
)
from tomolith.phantom.settings import PhantomSettings

_GRAIN = (0.25, 0.5, 0.25)  # a detector's and a filter's smear of the photon noise
_FRINGE_WIDTH = 2.0  # the broader blur of the fringes, in widths of the point spread


@dataclass(frozen=True, slots=True)
class Scanner:
    """Turns a cell into grey values, box by box.

    Blur and noise grain read a halo; the cell goes on beyond the volume, so there is no border.

    Examples
    --------
    >>> from tomolith.phantom import Cell
    >>> s = PhantomSettings(preset="tiny")
    >>> scanner, box = Scanner(s, key=1), Box((0, 0, 0), (2, 3, 4))
    >>> picture = Cell.build(s, 0).draw(scanner.reads(box), 12).paint(greys(s))
    >>> scanner.image(box, picture).dtype
    dtype('uint8')
    """

    settings: PhantomSettings
    key: int

    def reads(self, box: Box) -> Box:
        """Return the box of the cell that must be drawn for the image of ``box``."""
        reach = len(self._point_spread) // 2 + len(self._fringe_spread) // 2
        return box.expand((reach, reach, reach))

    def image(self, box: Box, picture: Floats) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return the grey values of a box as the scan stores them.

        Parameters
        ----------
        box
            Voxels of the image.
        picture
            Greys of an ideal scan over :meth:`reads` of the box.
        """
        grey = self.grey(box, picture)
        if self.settings.inverted:
            grey = np.float32(1.0) - grey
        top = np.iinfo(self.settings.dtype).max
        return np.rint(np.clip(grey, 0.0, 1.0) * np.float32(top)).astype(self.settings.dtype)

    def grey(self, box: Box, picture: Floats) -> Floats:
        """Return the degraded grey values of a box, mostly between 0 and 1."""
        s = self.settings
        grey = self.optics(box, picture)
        if s.drift:
            grey = grey + self._drift(box)
        if s.rings:
            grey = grey + self._rings(box)
        if s.noise:
            grey = grey + np.float32(s.noise) * self._noise(box)
        return grey

    def optics(self, box: Box, picture: Floats) -> Floats:
        """Return the blurred greys, with edge fringes, before drift, rings and noise."""
        s = self.settings
        reach = len(self._fringe_spread) // 2
        outer = box.expand((reach, reach, reach))
        sharp = _smooth(picture, self._point_spread)
        if not s.fringes:
            return sharp
        core = sharp[box.relative_to(outer).slices]
        return core + np.float32(s.fringes) * (core - _smooth(sharp, self._fringe_spread))

    @property
    def _point_spread(self) -> tuple[float, ...]:
        return _gauss_taps(self.settings.blur_um / self.settings.voxel_size_um)

    @property
    def _fringe_spread(self) -> tuple[float, ...]:
        s = self.settings
        return _gauss_taps(_FRINGE_WIDTH * s.blur_um / s.voxel_size_um) if s.fringes else (1.0,)

    def _drift(self, box: Box) -> Floats:
        """Smooth unevenness of the background, and cupping."""
        s = self.settings
        axes = axes_um(s.shape_zyx, s.voxel_size_um, box)
        width = 0.4 * s.voxel_size_um * max(s.shape_zyx[1:])
        smooth = fractal_noise(self.key + 22, axes, width, n_octaves=2)
        rim = np.float32(1.5) * (self._radius_vox(box) / np.float32(max(s.shape_zyx[1:]) / 2)) ** 2
        return np.float32(s.drift) * (np.float32(0.7) * smooth + rim[None])

    def _rings(self, box: Box) -> Floats:
        """Concentric rings in every cross-section: a few bad detector columns, most faint."""
        radius = self._radius_vox(box)
        columns = np.arange(int(radius.max()) + 2, dtype=np.int64)
        rows = box_indices(box)[0] // 6  # gain errors span a few detector rows
        bits = hash_lattice(self.key + 33, (rows, columns))
        errors = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
        errors = errors * errors * errors * np.float32(math.sqrt(7.0))
        inner = radius.astype(np.int64)
        weight = (radius - inner).astype(np.float32)
        before, after = errors[:, inner], errors[:, inner + 1]
        return np.float32(self.settings.rings) * (before + (after - before) * weight[None])

    def _radius_vox(self, box: Box) -> npt.NDArray[np.float64]:
        """Distance from the rotation axis (along z, a little off the centre), over (y, x)."""
        _, n_y, n_x = self.settings.shape_zyx
        _, y, x = box_indices(box)
        dy, dx = y[:, None] - 0.53 * n_y, x[None, :] - 0.48 * n_x
        return np.sqrt(dy * dy + dx * dx)

    def _noise(self, box: Box) -> Floats:
        grain = _smooth(white_noise(self.key + 44, box.expand((1, 1, 1))), _GRAIN)
        return grain * np.float32(sum(w * w for w in _GRAIN) ** -1.5)


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


def _gauss_taps(sigma_vox: float) -> tuple[float, ...]:
    if sigma_vox < 0.05:
        return (1.0,)
    reach = math.ceil(3 * sigma_vox)
    weights = [math.exp(-0.5 * (i / sigma_vox) ** 2) for i in range(-reach, reach + 1)]
    total = sum(weights)
    return tuple(w / total for w in weights)


def _smooth(values: Floats, taps: tuple[float, ...]) -> Floats:
    """Filter along all three axes and cut off the reach of the filter.

    Written as sums of shifted arrays in a fixed order: a library filter may round differently for
    another alignment, and then a voxel would depend on the block it was made in.
    """
    if len(taps) == 1:
        return values
    reach = len(taps) // 2
    for axis in range(3):
        n = values.shape[axis] - 2 * reach
        cut = [slice(None)] * 3
        total: Floats | None = None
        for i in range(reach + 1):
            cut[axis] = slice(i, i + n)
            term = values[tuple(cut)]
            if i < reach:
                cut[axis] = slice(2 * reach - i, 2 * reach - i + n)
                term = term + values[tuple(cut)]
            term = term * np.float32(taps[i])
            total = term if total is None else np.add(total, term, out=total)
        assert total is not None
        values = total
    return values
