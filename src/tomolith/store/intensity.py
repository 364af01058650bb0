"""Intensity statistics of a scan from a strided sample: the same for every layout and type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import IntensityStats, Volume
from tomolith.core.box import Box
from tomolith.errors import InputError

_N_SAMPLE = 2_000_000  # voxels of a volume
_N_SAMPLE_SECTION = 250_000  # voxels of one section
_N_SLICES = 32
_SLAB_BYTES = 256 * 2**20


def sample_stats(volume: Volume) -> tuple[tuple[IntensityStats, ...], int]:
    """Sample the grey values of ``volume`` and return their statistics.

    Whole slices are read at even distances and thinned in the plane, so a compressed
    stack of any size costs at most 32 slices. The positions depend on the shape alone:
    neither element type nor layout changes the result.

    Returns
    -------
    stats
        One entry; for sections one per section.
    n_not_finite
        Number of NaN and Inf in the sample.

    Raises
    ------
    InputError
        A sample without contrast.

    Examples
    --------
    >>> from tomolith.core import Grid
    >>> ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    >>> stats, n_not_finite = sample_stats(Volume(ramp, Grid((1, 16, 16), None)))
    >>> stats[0].mean, n_not_finite
    (127.5, 0)
    """
    nz, ny, nx = volume.grid.shape_zyx
    if volume.grid.sections:
        step = _stride(ny * nx, _N_SAMPLE_SECTION)
        found = [_section(volume, z, step) for z in range(nz)]
        return tuple(stats for stats, _ in found), sum(n for _, n in found)
    slices = sample_slices(nz)
    step = _stride(len(slices) * ny * nx, _N_SAMPLE)
    sample = np.concatenate([_slice_sample(volume, z, step) for z in slices])
    return (IntensityStats.of_sample(sample),), _n_not_finite(sample)


def sample_slices(n_slices: int) -> range:
    """Return the slices that are sampled: even distances, in the middle of each.

    Examples
    --------
    >>> list(sample_slices(3)), len(sample_slices(2000))
    ([0, 1, 2], 32)
    """
    step = -(-n_slices // _N_SLICES)
    return range((step - 1) // 2, n_slices, step)


def _stride(n_voxels: int, n_wanted: int) -> int:
    return max(1, math.ceil(math.sqrt(n_voxels / n_wanted)))


def _section(volume: Volume, z: int, step: int) -> tuple[IntensityStats, int]:
    sample = _slice_sample(volume, z, step)
    try:
        return IntensityStats.of_sample(sample), _n_not_finite(sample)
    except InputError as error:
        raise InputError(
            f"section {z}: {error.found}",
            expected=error.expected,
            mend="leave this section out",
        ) from error


def _slice_sample(volume: Volume, z: int, step: int) -> npt.NDArray[Any]:
    """Return every ``step``-th voxel of slice ``z`` along y and x, read in bands of rows."""
    _, ny, nx = volume.grid.shape_zyx
    n_rows = max(1, _SLAB_BYTES // (nx * volume.dtype.itemsize) // step) * step
    bands = [
        volume.read(Box((z, y, 0), (z + 1, min(y + n_rows, ny), nx)))[:, ::step, ::step].ravel()
        for y in range(0, ny, n_rows)
    ]
    return np.concatenate(bands)


def _n_not_finite(sample: npt.NDArray[Any]) -> int:
    if sample.dtype.kind != "f":
        return 0
    return int(sample.size - np.count_nonzero(np.isfinite(sample)))
