"""Random numbers that depend on where they are, not on the order in which they are drawn.

Every number is a hash of (key, position), so any block of a phantom can be made on its own. Only
operations that IEEE 754 rounds exactly (and integer ones) touch whole blocks: a block then has the
same bytes whatever its neighbours, the CPU or the version of NumPy.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tomolith.core import Box

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
# mean of (1 - s)^2 + s^2 over a cell, s the smoothstep of the position: how much variance is left
_VARIANCE_LEFT = 26 / 35
_PIECE = 2**17  # values that are made together, so that they stay in the cache
_BYTES = 8  # random bytes in a hash
# of a byte between 0 and 255, smoothed with the weights 1, 2, 1 along three axes
_GRAIN_MEAN = np.float32(64 * 255 / 2)
_GRAIN_SCALE = np.float32(1 / math.sqrt(6.0**3 * (256.0**2 - 1) / 12))


def make_key(*parts: int | str) -> int:
    """Return a 64-bit key for a stream of numbers; any change of a part gives another stream.

    Examples
    --------
    >>> make_key(1, "phantom-0", "noise") == make_key(1, "phantom-0", "noise")
    True
    >>> make_key(1, "phantom-0", "noise") == make_key(1, "phantom-1", "noise")
    False
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def hash_lattice(key: int, indices: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.uint64]:
    """Return 64 random bits for every point of a lattice of integer positions.

    Parameters
    ----------
    key
        Names the stream.
    indices
        One 1-D array of integer positions (also negative) per axis.

    Returns
    -------
    array of uint64 with one axis per entry of ``indices``.
    """
    bits: npt.NDArray[np.uint64] | None = None
    n_axes = len(indices)
    for axis, index in enumerate(indices):
        start = np.uint64((key + 0xD1B54A32D192ED03 * (axis + 1)) & (2**64 - 1))
        line = _mix(index.astype(np.int64).view(np.uint64) * _STEP + start)
        line = line.reshape([-1 if a == axis else 1 for a in range(n_axes)])
        bits = line if bits is None else bits ^ line
    assert bits is not None
    return _mix(bits)


def _mix(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = bits ^ (bits >> np.uint64(30))
    bits *= _MIX_1
    bits ^= bits >> np.uint64(27)
    bits *= _MIX_2
    bits ^= bits >> np.uint64(31)
    return bits


def white_noise(key: int, box: Box) -> Floats:
    """Return independent, nearly normal numbers of mean 0 and variance 1, one per voxel.

    The sum of four uniform numbers: no logarithm, so the bits are the same everywhere. It ends at
    3.5 standard deviations.

    Examples
    --------
    >>> whole = white_noise(1, Box((0, 0, 0), (4, 4, 4)))
    >>> part = white_noise(1, Box((1, 2, 3), (4, 4, 4)))
    >>> bool((whole[1:, 2:, 3:] == part).all())
    True
    """
    bits = hash_lattice(key, box_indices(box))
    total = (bits & np.uint64(0xFFFF)).astype(np.int32)
    for shift in (16, 32, 48):
        total += ((bits >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int32)
    scale = np.float32(math.sqrt(3.0) / 65535.0)
    return (total - np.int32(131070)).astype(np.float32) * scale


def grain_noise(key: int, box: Box) -> Floats:
    """Return nearly normal noise of mean 0 and variance 1, smeared over neighbouring voxels.

    One random byte per voxel, smoothed with the weights 1/4, 1/2, 1/4 along each axis, as a
    detector and a filter smear the noise of photons. The sums are of small integers, so they are
    exact.

    Examples
    --------
    >>> whole = grain_noise(1, Box((0, 0, 0), (4, 4, 40)))
    >>> part = grain_noise(1, Box((1, 2, 3), (4, 4, 40)))
    >>> bool((whole[1:, 2:, 3:] == part).all())
    True
    """
    around = box.expand((1, 1, 1))
    z, y, x = box_indices(around)
    first = x[0] // _BYTES
    bits = hash_lattice(key, (z, y, np.arange(first, x[-1] // _BYTES + 1)))
    raw = bits.astype("<u8", copy=False).view(np.uint8)
    total = raw[..., x[0] - first * _BYTES :][..., : len(x)].astype(np.uint16)
    for axis in (0, 1, 2, 0, 1, 2):
        lines = np.moveaxis(total, axis, 0)
        total = np.moveaxis(lines[:-1] + lines[1:], 0, axis)
    grain = total.astype(np.float32)
    grain -= _GRAIN_MEAN
    grain *= _GRAIN_SCALE
    return grain


def lattice_noise(key: int, axes: Sequence[npt.NDArray[np.float64]], spacing: float) -> Floats:
    """Return smooth noise of mean 0 and about unit variance on the product of ``axes``.

    Uniform numbers on a lattice, interpolated with the smoothstep polynomial along one axis after
    the other.

    Parameters
    ----------
    axes
        Positions along each axis, increasing.
    spacing
        Distance of lattice points, in the unit of the positions.

    Examples
    --------
    >>> x = np.arange(10.0)
    >>> lattice_noise(1, (x, x), 4.0).shape
    (10, 10)
    """
    cells = [np.floor(axis / spacing).astype(np.int64) for axis in axes]
    corners = [np.arange(cell.min(), cell.max() + 2) for cell in cells]
    bits = hash_lattice(key, corners)
    values = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    n_axes = len(axes)
    for axis, (position, cell) in enumerate(zip(axes, cells, strict=True)):
        t = position / spacing - cell
        weight = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
        weight = weight.reshape([-1 if a == axis else 1 for a in range(n_axes)])
        low = cell - cell.min()
        before, after = np.take(values, low, axis), np.take(values, low + 1, axis)
        values = before + (after - before) * weight
    return values * np.float32(math.sqrt(3.0 / _VARIANCE_LEFT**n_axes))


def fractal_noise(
    key: int, axes: Sequence[npt.NDArray[np.float64]], spacing: float, *, n_octaves: int = 3
) -> Floats:
    """Return lattice noise of several scales: each octave half as wide and half as strong."""
    weights = [0.5**octave for octave in range(n_octaves)]
    norm = math.sqrt(sum(w * w for w in weights))
    first, *others = axes
    out = np.empty([len(axis) for axis in axes], np.float32)
    step = max(1, _PIECE * len(first) // max(out.size, 1))
    for start in range(0, len(first), step):
        part = (first[start : start + step], *others)
        total = lattice_noise(key, part, spacing) * np.float32(weights[0] / norm)
        for octave in range(1, n_octaves):
            finer = lattice_noise(key + octave, part, spacing * 0.5**octave)
            finer *= np.float32(weights[octave] / norm)
            total += finer
        out[start : start + step] = total
    return out


def box_indices(box: Box) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the voxel indices of a box along each axis."""
    return tuple(
        np.arange(a, b, dtype=np.int64) for a, b in zip(box.start_zyx, box.stop_zyx, strict=True)
    )


def axes_um(
    shape_zyx: tuple[int, int, int], voxel_size_um: float, box: Box, *, step: int = 1
) -> tuple[Doubles, Doubles, Doubles]:
    """Return the positions of a box's voxels along each axis, from the centre of the volume.

    With a ``step`` the box counts cubes of so many voxels a side; the positions are their centres.

    Examples
    --------
    >>> axes_um((4, 4, 4), 1.0, Box((0, 0, 0), (1, 1, 2)), step=2)[2]
    array([-1.,  1.])
    """
    z, y, x = (
        (index * step + (step - n) / 2) * voxel_size_um
        for index, n in zip(box_indices(box), shape_zyx, strict=True)
    )
    return z, y, x
