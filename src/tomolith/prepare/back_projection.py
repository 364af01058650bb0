"""Filtered back-projection of a parallel beam: by algotom, or here with NumPy and SciPy.

A. C. Kak, M. Slaney, *Principles of Computerized Tomographic Imaging* (1988), chapter 3: equation
61 is the ramp filter in real space, equation 70 the sum over angles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import fft, signal, sparse

from tomolith.config import require
from tomolith.errors import InputError
from tomolith.prepare.angles import Angles, angle_weights

Floats = npt.NDArray[np.float32]
Engine = Literal["algotom", "numpy"]
Filter = Literal["ramp", "hann", "hamming", "blackman", "bartlett"]
Padding = Literal["zeros", "edge"]
Rings = Literal["sorting", "filtering", "fitting", "large", "dead", "all"]

ANGLES_AT_ONCE = 8
_RING_REMOVERS = {
    "sorting": "remove_stripe_based_sorting",
    "filtering": "remove_stripe_based_filtering",
    "fitting": "remove_stripe_based_fitting",
    "large": "remove_large_stripe",
    "dead": "remove_dead_stripe",
    "all": "remove_all_stripe",
}


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
        Shape of the slices; the axis goes through their centre.
    engine
        Who does the work. Both give attenuation per voxel.
    filter, padding
        Smoothing window on the ramp filter, and what a projection is continued with.

    Raises
    ------
    InputError
        algotom makes slices as wide as the detector: it cannot cut out an odd number of voxels
        where the number of columns is even, or the other way round.

    Examples
    --------
    >>> theta = np.linspace(0, np.pi, 60, endpoint=False)
    >>> ring = np.zeros((1, 60, 9), np.float32)
    >>> ring[:, :, 2:7] = 1.0
    >>> BackProjector(theta, 9, 4.0, (3, 5), "numpy", "ramp", "zeros").slices(ring).shape
    (1, 3, 5)
    """

    theta_rad: Angles
    n_columns: int
    centre: float
    shape_yx: tuple[int, int]
    engine: Engine
    filter: Filter
    padding: Padding

    def __post_init__(self) -> None:
        if self.engine == "algotom" and any((self.n_columns - n) % 2 for n in self.shape_yx):
            raise InputError(
                f"slices of {self.shape_yx} voxels (y, x) from {self.n_columns} detector columns",
                expected="numbers that are all even or all odd",
                mend="change 'crop_yx' by one voxel, or leave out 'engine'",
            )

    def slices(self, sinograms: Floats) -> Floats:
        """Return the slices (row, y, x) of sinograms (row, angle, column), per voxel."""
        if self.engine == "algotom":
            return self._algotom(sinograms)
        filtered = np.stack([self._filtered(sinogram) for sinogram in sinograms], axis=-1)
        inside = self.inside
        seen = np.zeros((np.count_nonzero(inside), len(sinograms)), np.float32)
        for first, matrix in self._matrices():
            views = filtered[first : first + ANGLES_AT_ONCE]
            seen += matrix @ views.reshape(-1, len(sinograms))
        slices = np.zeros((len(sinograms), *self.shape_yx), np.float32)
        slices[:, inside] = seen.T
        return slices

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Voxels (y, x) that every projection sees."""
        radius = min(self.centre, self.n_columns - 1 - self.centre)
        y, x = self._positions()
        found: npt.NDArray[np.bool_] = np.hypot(y, x) <= radius
        return found

    def _positions(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        y, x = (np.arange(n) - (n - 1) / 2 for n in self.shape_yx)
        return y[:, None], x[None, :]

    def _filtered(self, sinogram: Floats) -> Floats:
        """Return the filtered projections (angle, column), each times its share of the turn."""
        n = 2 ** math.ceil(math.log2(2 * self.n_columns))
        before = (n - self.n_columns) // 2
        pads = (0, 0), (before, n - self.n_columns - before)
        padded = np.pad(sinogram, pads, mode="edge" if self.padding == "edge" else "constant")
        response = self._ramp(n)
        spectrum = fft.rfft(padded, axis=1) * response
        filtered = fft.irfft(spectrum, n, axis=1)[:, before : before + self.n_columns]
        weighted: Floats = filtered * angle_weights(self.theta_rad)[:, None].astype(np.float32)
        return weighted

    def _ramp(self, n: int) -> Floats:
        """Return the ramp of ``n`` frequencies, made in real space so that a mean is kept."""
        distance = np.minimum(np.arange(n), n - np.arange(n))
        odd = distance % 2 == 1
        kernel = np.zeros(n)
        kernel[0] = 0.25
        kernel[odd] = -1 / (math.pi * distance[odd]) ** 2
        response = fft.rfft(kernel).real
        if self.filter != "ramp":
            response = response * signal.get_window(self.filter, n + 1, fftbins=False)[n // 2 :]
        return response.astype(np.float32)

    def _matrices(self) -> Iterator[tuple[int, sparse.csr_array]]:
        """Yield (first angle, matrix) that interpolates a few projections onto the voxels."""
        y, x = self._positions()
        inside = self.inside
        n_voxels = np.count_nonzero(inside)
        for first in range(0, len(self.theta_rad), ANGLES_AT_ONCE):
            angles = self.theta_rad[first : first + ANGLES_AT_ONCE]
            columns = np.empty((n_voxels, len(angles), 2), np.int32)
            weights = np.empty((n_voxels, len(angles), 2), np.float32)
            for i, angle in enumerate(angles):
                at = (x * math.cos(angle) - y * math.sin(angle))[inside] + self.centre
                low = np.clip(np.floor(at), 0, self.n_columns - 2)
                columns[:, i, 0] = low + i * self.n_columns
                columns[:, i, 1] = columns[:, i, 0] + 1
                weights[:, i, 1] = at - low
                weights[:, i, 0] = 1 - weights[:, i, 1]
            ends = np.arange(n_voxels + 1) * 2 * len(angles)
            shape = (n_voxels, len(angles) * self.n_columns)
            yield first, sparse.csr_array((weights.ravel(), columns.ravel(), ends), shape=shape)

    def _algotom(self, sinograms: Floats) -> Floats:
        reconstruction = require("algotom.rec.reconstruction", extra="recon")
        n_angles = len(self.theta_rad)
        # algotom takes every projection for pi / (n - 1), whatever its neighbours
        share = angle_weights(self.theta_rad) * (n_angles - 1) / math.pi
        weighted = sinograms * share[None, :, None].astype(np.float32)
        made = reconstruction.fbp_reconstruction(
            np.ascontiguousarray(np.moveaxis(weighted, 0, 1)),
            self.centre,
            angles=self.theta_rad,
            ratio=None,
            filter_name=None if self.filter == "ramp" else self.filter,
            pad=self.n_columns // 2,
            pad_mode="edge" if self.padding == "edge" else "constant",
            apply_log=False,
            gpu=False,
        )
        (top, left) = ((self.n_columns - n) // 2 for n in self.shape_yx)
        n_y, n_x = self.shape_yx
        cut = np.moveaxis(made, 1, 0)[:, top : top + n_y, left : left + n_x]
        return np.where(self.inside, cut, 0).astype(np.float32)


def find_centre(sinogram: Floats, theta_rad: Angles) -> float:
    """Return the column of the rotation axis of a sinogram (angle, column) over half a turn.

    N. T. Vo et al., "Reliable method for calculating the center of rotation in parallel-beam
    tomography", Opt. Express 22 (2014) 19078, as algotom has it. The axis must lie within a
    sixteenth of the width from the middle.

    Raises
    ------
    MissingExtraError
        algotom is not installed.
    """
    calculation = require("algotom.prep.calculation", extra="recon")
    rising: Any = sinogram[np.argsort(theta_rad, kind="stable")]
    return float(calculation.find_center_vo(rising))


def remove_rings(sinograms: Floats, method: Rings) -> Floats:
    """Return sinograms (row, angle, column) without the stripes that become rings.

    N. T. Vo, R. C. Atwood, M. Drakopoulos, "Superior techniques for eliminating ring artifacts in
    X-ray micro-tomography", Opt. Express 26 (2018) 28396, as algotom has them.

    Raises
    ------
    MissingExtraError
        algotom is not installed.
    """
    removal = require("algotom.prep.removal", extra="recon")
    remove = getattr(removal, _RING_REMOVERS[method])
    return np.stack([remove(sinogram) for sinogram in sinograms]).astype(np.float32)
