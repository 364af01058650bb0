"""Filters that give every voxel the same bytes, whatever block it is made in.

They are sums of shifted arrays in a fixed order: a library filter may round differently for another
alignment, and then a voxel would depend on the block around it.
"""

from __future__ import annotations

import math

import numpy as np

from tomolith.phantom.noise import Floats

_PIECE = 2**16  # values that are filtered together, so that they stay in the cache
_NEAR, _FAR = np.float32(0.75), np.float32(0.25)
REFINING_VARIANCE = 3 / 16  # of the blur of `refine`, in squared samples


def gauss_taps(sigma: float) -> tuple[float, ...]:
    """Return the weights of a Gauss filter, or one weight where it would do nothing.

    Parameters
    ----------
    sigma
        Standard deviation in samples; the filter reaches three of them.

    Examples
    --------
    >>> len(gauss_taps(1.0)), gauss_taps(0.0)
    (7, (1.0,))
    """
    if sigma < 0.05:
        return (1.0,)
    reach = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(-reach, reach + 1)]
    total = sum(weights)
    return tuple(w / total for w in weights)


def smooth(values: Floats, taps: tuple[float, ...]) -> Floats:
    """Filter along all three axes with symmetric weights and cut off the filter's reach.

    Examples
    --------
    >>> smooth(np.ones((5, 4, 3), np.float32), (0.25, 0.5, 0.25)).shape
    (3, 2, 1)
    """
    if len(taps) == 1:
        return values
    cut = 2 * (len(taps) // 2)
    n_z, n_y, n_x = (n - cut for n in values.shape)
    along_z = np.empty((n_z, *values.shape[1:]), np.float32)
    for rows in _pieces(values.shape[1], values.shape[0] * values.shape[2]):
        along_z[:, rows] = _along(values[:, rows], taps, 0)
    out = np.empty((n_z, n_y, n_x), np.float32)
    for slices in _pieces(n_z, values.shape[1] * values.shape[2]):
        out[slices] = _along(_along(along_z[slices], taps, 1), taps, 2)
    return out


def refine(values: Floats) -> Floats:
    """Return twice as many samples along each axis, without those at the margin.

    Sample ``i`` covers the new samples ``2 i`` and ``2 i + 1``, each three quarters of it and one
    quarter of the neighbour on its side (Chaikin's corner cutting). That blurs both alike, by a
    variance of ``REFINING_VARIANCE``.

    Examples
    --------
    >>> refine(np.full((3, 3, 3), [0.0, 4.0, 8.0], np.float32))[0, 0]
    array([3., 5.], dtype=float32)
    """
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        shape = list(values.shape)
        shape[axis] = 2 * (len(lines) - 2)
        finer = np.empty(shape, np.float32)
        target = np.moveaxis(finer, axis, 0)
        near, far = lines[1:-1] * _NEAR, lines * _FAR
        np.add(near, far[:-2], out=target[::2])
        np.add(near, far[2:], out=target[1::2])
        values = finer
    return values


def _pieces(n: int, size: int) -> list[slice]:
    step = max(1, _PIECE // size)
    return [slice(start, start + step) for start in range(0, n, step)]


def _along(values: Floats, taps: tuple[float, ...], axis: int) -> Floats:
    reach = len(taps) // 2
    n = values.shape[axis] - 2 * reach
    cut = [slice(None)] * 3
    cut[axis] = slice(reach, reach + n)
    total = values[tuple(cut)] * np.float32(taps[reach])
    pair = np.empty_like(total)
    for i in range(reach):
        cut[axis] = slice(i, i + n)
        first = values[tuple(cut)]
        cut[axis] = slice(2 * reach - i, 2 * reach - i + n)
        np.add(first, values[tuple(cut)], out=pair)
        pair *= np.float32(taps[i])
        total += pair
    return total
