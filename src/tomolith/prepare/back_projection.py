"""Filtered back-projection of a parallel beam, by algotom.

A. C. Kak, M. Slaney, *Principles of Computerized Tomographic Imaging* (1988), chapter 3: equation
61 is the ramp filter in real space, equation 70 the sum over angles. algotom: N. T. Vo et al.,
"Data processing methods and data acquisition for samples larger than the field of view in
parallel-beam tomography", Opt. Express 29 (2021) 17849.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tomolith.config import require
from tomolith.prepare.angles import Angles, angle_weights

Floats = npt.NDArray[np.float32]
Filter = Literal["ramp", "hann", "hamming", "blackman", "bartlett"]
Padding = Literal["zeros", "edge"]


@dataclass(frozen=True)
class BackProjector:
    """Turns sinograms into slices.

    At the angle ``theta`` the voxel at (x, y), counted from the axis, is seen by the column
    ``centre + x cos(theta) - y sin(theta)``. Voxels that some projection does not see are 0.

    Parameters
    ----------
    theta_rad
        Angle of each projection.
    n_columns
        Width of the sinograms.
    centre
        Column of the rotation axis.
    shape_yx
        Shape of the slices, at most ``n_columns`` a side. The axis goes through their middle, or
        half a voxel beyond it where one of a side and ``n_columns`` is even and the other odd.
    filter, padding
        Smoothing window on the ramp filter, and what a projection is continued with.

    Examples
    --------
    >>> theta = np.linspace(0, np.pi, 60, endpoint=False)
    >>> ring = np.zeros((1, 60, 9), np.float32)
    >>> ring[:, :, 2:7] = 1.0
    >>> BackProjector(theta, 9, 4.0, (3, 5), "ramp", "zeros").slices(ring).shape
    (1, 3, 5)
    """

    theta_rad: Angles
    n_columns: int
    centre: float
    shape_yx: tuple[int, int]
    filter: Filter
    padding: Padding

    def slices(self, sinograms: Floats) -> Floats:
        """Return the slices (row, y, x) of sinograms (row, angle, column), per voxel.

        Raises
        ------
        MissingExtraError
            algotom is not installed.
        """
        reconstruction = require("algotom.rec.reconstruction", extra="recon")
        slices = np.zeros((len(sinograms), *self.shape_yx), np.float32)
        (top, left), (n_y, n_x) = self._corner, self.shape_yx
        with _one_thread():
            for found, sinogram in zip(slices, sinograms, strict=True):
                made = reconstruction.fbp_reconstruction(
                    sinogram * self._share[:, None],
                    self.centre,
                    angles=self.theta_rad,
                    ratio=None,
                    ramp_win=self._window,
                    pad=self._pad,
                    pad_mode="edge" if self.padding == "edge" else "constant",
                    apply_log=False,
                    gpu=False,
                )
                cut = made[top : top + n_y, left : left + n_x]
                np.copyto(found, cut, where=self.inside)
        return slices

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Voxels (y, x) that every projection sees."""
        middle = (self.n_columns - 1) / 2
        y, x = (
            np.arange(n) + first - middle
            for n, first in zip(self.shape_yx, self._corner, strict=True)
        )
        radius = min(self.centre, self.n_columns - 1 - self.centre)
        found: npt.NDArray[np.bool_] = y[:, None] ** 2 + x[None, :] ** 2 <= radius**2
        return found

    @property
    def _corner(self) -> tuple[int, int]:
        """First voxel (y, x) of the slices in algotom's, which are as wide as the detector."""
        n_y, n_x = self.shape_yx
        return (self.n_columns - n_y) // 2, (self.n_columns - n_x) // 2

    @property
    def _pad(self) -> int:
        """Columns added to either side, so that the filter does not wrap around."""
        return math.ceil(self.n_columns / 2)

    @cached_property
    def _share(self) -> Floats:
        """What algotom's equal weight, pi / (n - 1), is to be multiplied by for each projection."""
        n_angles = len(self.theta_rad)
        return (angle_weights(self.theta_rad) * (n_angles - 1) / math.pi).astype(np.float32)

    @cached_property
    def _window(self) -> Any:
        reconstruction = require("algotom.rec.reconstruction", extra="recon")
        name = None if self.filter == "ramp" else self.filter
        n_padded = self.n_columns + 2 * self._pad
        return reconstruction.make_2d_ramp_window(len(self.theta_rad), n_padded, name)


def projected_bytes(n_angles: int, n_columns: int) -> int:
    """Return the memory in bytes that one sinogram takes while it becomes a slice.

    Examples
    --------
    >>> projected_bytes(1500, 2074) / 2**30 < 0.7
    True
    """
    n_padded = 2 * n_columns + 2
    # the ramp, a spectrum and its copies in double precision; slices as wide as the detector
    return 96 * n_angles * n_padded + 24 * n_columns**2


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep algotom to one thread.

    Threads of its back-projection add to the same voxels without a lock and lose some of the sums;
    see the decision 0005.
    """
    import numba  # here, not above: it takes longer than answering --help

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
