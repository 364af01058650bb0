"""The scan of a cathode: greys, point spread, fringes, uneven background, rings and noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.cathode_settings import CathodeSettings
from tomolith.phantom.dendrites import Doubles
from tomolith.phantom.noise import Floats, box_indices, fractal_noise, hash_lattice, white_noise

_GRAIN = (0.2, 0.6, 0.2)  # a detector's and a filter's smear of the photon noise
_FRINGE_WIDTH = 2.0  # the broader blur of the fringes, in widths of the point spread


def axes_um(settings: CathodeSettings, box: Box) -> tuple[Doubles, ...]:
    """Return the positions of a box's voxels along each axis, from the volume's centre."""
    return tuple(
        (index - (n - 1) / 2) * settings.voxel_size_um
        for index, n in zip(box_indices(box), settings.shape_zyx, strict=True)
    )


def reads(settings: CathodeSettings, box: Box) -> Box:
    """Return the box whose ideal greys must be known for the image of ``box``."""
    reach = sum(len(taps) // 2 for taps in _spreads(settings))
    return box.expand((reach, reach, reach))


def scan(
    settings: CathodeSettings, key: int, box: Box, clean: Floats
) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Return the grey values of a box as the scan stores them.

    Parameters
    ----------
    key
        Names the random numbers of this scan.
    box
        Voxels of the image.
    clean
        Greys of an ideal scan over :func:`reads` of the box, between 0 and 1.

    Examples
    --------
    >>> settings, box = CathodeSettings(), Box((0, 0, 0), (2, 3, 4))
    >>> clean = np.full(reads(settings, box).shape_zyx, 0.5, np.float32)
    >>> scan(settings, 1, box, clean).shape
    (2, 3, 4)
    """
    s = settings
    point, fringe = _spreads(s)
    grey = smooth(clean, point)
    if s.fringes:
        reach = len(fringe) // 2
        core = grey[tuple(slice(reach, n - reach) for n in grey.shape)]
        grey = core + np.float32(s.fringes) * (core - smooth(grey, fringe))
    if s.drift:
        grey = grey + np.float32(s.drift) * _drift(s, key, box)
    if s.rings:
        grey = grey + np.float32(s.rings) * _rings(s, key, box)
    if s.noise:
        grain = smooth(white_noise(key + 44, box.expand((1, 1, 1))), _GRAIN)
        grey = grey + np.float32(s.noise * sum(w * w for w in _GRAIN) ** -1.5) * grain
    if s.inverted:
        grey = np.float32(1.0) - grey
    top = np.iinfo(s.dtype).max
    return np.rint(np.clip(grey, 0.0, 1.0) * np.float32(top)).astype(s.dtype)


def _spreads(settings: CathodeSettings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    sigma = settings.blur_um / settings.voxel_size_um
    return gauss_taps(sigma), gauss_taps(_FRINGE_WIDTH * sigma) if settings.fringes else (1.0,)


def _drift(settings: CathodeSettings, key: int, box: Box) -> Floats:
    """Smooth unevenness of the background, and cupping: brighter to the rim."""
    n = max(settings.shape_zyx[1:])
    width = 0.35 * settings.voxel_size_um * n
    waves = fractal_noise(key + 22, axes_um(settings, box), width, n_octaves=2)
    far = _radius_vox(settings, box) / (n / 2)
    return np.float32(0.7) * waves + (1.2 * far * far).astype(np.float32)[None]


def _rings(settings: CathodeSettings, key: int, box: Box) -> Floats:
    """Concentric rings in every cross-section: a few bad detector columns, most faint."""
    radius = _radius_vox(settings, box)
    columns = np.arange(int(radius.max()) + 2, dtype=np.int64)
    rows = box_indices(box)[0] // 6  # gain errors span a few detector rows
    bits = hash_lattice(key + 33, (rows, columns))
    errors = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    errors = errors * errors * errors * np.float32(math.sqrt(7.0))
    inner = radius.astype(np.int64)
    weight = (radius - inner).astype(np.float32)
    before, after = errors[:, inner], errors[:, inner + 1]
    return before + (after - before) * weight[None]


def _radius_vox(settings: CathodeSettings, box: Box) -> Doubles:
    """Distance from the rotation axis (along z, a little off the centre), over (y, x)."""
    _, n_y, n_x = settings.shape_zyx
    _, y, x = box_indices(box)
    dy, dx = y[:, None] - 0.52 * n_y, x[None, :] - 0.47 * n_x
    return np.sqrt(dy * dy + dx * dx)


def gauss_taps(sigma_vox: float) -> tuple[float, ...]:
    """Return the weights of a Gauss filter, or one weight where it would do nothing.

    Examples
    --------
    >>> len(gauss_taps(1.0)), gauss_taps(0.0)
    (7, (1.0,))
    """
    if sigma_vox < 0.05:
        return (1.0,)
    reach = math.ceil(3 * sigma_vox)
    weights = [math.exp(-0.5 * (i / sigma_vox) ** 2) for i in range(-reach, reach + 1)]
    total = sum(weights)
    return tuple(w / total for w in weights)


def smooth(values: Floats, taps: tuple[float, ...]) -> Floats:
    """Filter along all three axes with symmetric weights and cut off the filter's reach.

    Sums of shifted arrays in a fixed order: a library filter may round differently for another
    alignment, and then a voxel would depend on the block it was made in.
    """
    reach = len(taps) // 2
    if reach == 0:
        return values
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        n = len(lines) - 2 * reach
        total = lines[reach : reach + n] * np.float32(taps[reach])
        for i in range(reach):
            pair = lines[i : i + n] + lines[2 * reach - i : 2 * reach - i + n]
            pair *= np.float32(taps[i])
            total += pair
        values = np.moveaxis(total, 0, axis)
    return values
