"""The full route of a scan: X-ray projections of an attenuation volume, as DXchange HDF5.

Geometry: a parallel beam; the axis of rotation is z, through the centre of (y, x), or half a voxel
beyond it along y where one of the two sides is even and the other odd. At the angle ``theta`` the
voxel at (x, y), counted from the axis, falls on the detector column ``x cos(theta) -
y sin(theta)``, counted from the middle column. This is what scikit-image and algotom take too.

Line integrals: P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images",
IEEE Trans. Med. Imaging 1 (1982) 192-196. Fringes: the transport-of-intensity term for an object
whose phase follows its attenuation (D. Paganin et al., J. Microsc. 206 (2002) 33, eq. 10).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field
from scipy import ndimage, sparse

from tomolith.config import Settings, progress
from tomolith.core.box import Triple
from tomolith.core.provenance import code_version
from tomolith.errors import InputError
from tomolith.store.atomic import replacing

Floats = npt.NDArray[np.float32]
Attenuation = Callable[[int, int], Floats]

SIMULATED = "simulated: no X-rays, no object"

_SLAB_BYTES = 128 * 2**20  # of one copy of the rows at work; the result does not depend on it
_MAX_ANGLES = 1500  # what the imitated scans took at 2071 columns
_DATASETS = ("data", "data_white", "data_dark")
_HEADER_BYTES = 2**20  # more than all but the counts takes
_TOP = np.iinfo(np.uint16).max


class ProjectionSettings(Settings):
    """How the projections are taken."""

    model_config = ConfigDict(allow_inf_nan=False)

    n_angles: int | None = Field(
        None,
        ge=2,
        description="Projections over 180 degrees; left out: pi/2 times the widest side of a "
        f"slice in voxels, {_MAX_ANGLES} at most.",
    )
    photons: float = Field(
        2e4,
        gt=0,
        le=5e4,
        description="Photons per detector pixel in the open beam, one count each.",
    )
    n_flat: int = Field(20, ge=1, description="Images of the open beam.")
    n_dark: int = Field(20, ge=1, description="Images without beam.")
    dark_level: float = Field(100.0, ge=0, le=1e4, description="Counts without beam.")
    detector_blur_px: float = Field(
        0.5, ge=0, le=20, description="Point spread of the detector (standard deviation)."
    )
    gain_error: float = Field(
        0.002,
        ge=0,
        le=0.2,
        description="Change of each pixel's gain since the flat fields (rms); makes rings.",
    )
    fringes: float = Field(
        0.0, ge=0, le=10, description="Propagation fringes along edges, in square pixels; 0 is off."
    )
    noise: bool = Field(True, description="Photon noise; without it counts are rounded means.")

    def angles_deg(self, shape_zyx: Triple) -> npt.NDArray[np.float64]:
        """Return the angles of the projections in degrees: 0 to just below 180, evenly.

        Examples
        --------
        >>> len(ProjectionSettings().angles_deg((8, 64, 100)))
        158
        >>> len(ProjectionSettings().angles_deg((3849, 340, 2071)))
        1500
        """
        n = self.n_angles
        if n is None:
            n = min(_MAX_ANGLES, math.ceil(math.pi / 2 * max(shape_zyx[1:])))
        return np.arange(n) * (180.0 / n)


def n_detector_columns(shape_zyx: Triple) -> int:
    """Return how many columns see the whole object at all angles; even or odd as the x axis is.

    Examples
    --------
    >>> n_detector_columns((8, 30, 40)), n_detector_columns((1, 1, 1))
    (54, 5)
    """
    n_y, n_x = shape_zyx[1:]
    n = math.ceil(math.hypot(n_y, n_x)) + 2
    return n + 1 + (n + 1 - n_x) % 2


def simulate_projections(
    attenuation: Attenuation,
    shape_zyx: Triple,
    voxel_size_um: float,
    path: Path,
    settings: ProjectionSettings,
    *,
    key: int,
) -> Path:
    """Take projections of an attenuation volume and save them as DXchange HDF5.

    Parameters
    ----------
    attenuation
        ``attenuation(z0, z1)`` returns slices (z, y, x) of linear attenuation in 1/cm.
    shape_zyx
        Shape of the whole volume; one detector row per slice.
    voxel_size_um
        Edge of a voxel, and of a detector pixel, in µm.
    path
        The file to write; it is whole or absent.
    settings
        How the projections are taken.
    key
        Names the stream of random numbers. Counts of a detector row depend on the key, the row and
        the volume, not on how many rows are computed at once.

    Returns
    -------
    ``path``. ``exchange/data`` has axes (angle, row, column), uint16.

    Raises
    ------
    InputError
        ``attenuation`` returns slices of another shape, or negative or not finite values, or the
        voxel size is not positive.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rod.h5"
    >>> rod = lambda z0, z1: np.ones((z1 - z0, 4, 6), np.float32)
    >>> made = simulate_projections(rod, (2, 4, 6), 1.0, path, ProjectionSettings(), key=1)
    >>> with h5py.File(made) as file:
    ...     file["exchange/data"].shape, file["exchange/theta"].attrs["units"]
    ((10, 2, 12), 'degrees')
    """
    if not (math.isfinite(voxel_size_um) and voxel_size_um > 0):
        raise InputError(f"the voxel size is {voxel_size_um} µm", expected="a positive number")
    scan = _Scan(attenuation, shape_zyx, voxel_size_um, settings, key)
    n_rows, n_slab = shape_zyx[0], scan.n_slab_rows
    with replacing(path) as temporary, progress("projections", n_rows) as bar:
        _create(temporary, scan)
        with h5py.File(temporary, "r+") as file:
            images = [file["exchange"][name] for name in _DATASETS]
            for start in range(0, n_rows, n_slab):
                stop = min(start + n_slab, n_rows)
                light = scan.intensity(start, stop)
                rows = [scan.counts(row, light[:, row - start]) for row in range(start, stop)]
                for dataset, found in zip(images, zip(*rows, strict=True), strict=True):
                    dataset[:, start:stop] = np.stack(found, axis=1)
                bar.advance(stop - start, note=f"row {stop}")
    return path


@dataclass(frozen=True)
class _Scan:
    """The beam, the object and the detector."""

    attenuation: Attenuation
    shape_zyx: Triple
    voxel_size_um: float
    settings: ProjectionSettings
    key: int

    @property
    def angles_deg(self) -> npt.NDArray[np.float64]:
        return self.settings.angles_deg(self.shape_zyx)

    @property
    def n_columns(self) -> int:
        return n_detector_columns(self.shape_zyx)

    @property
    def n_slab_rows(self) -> int:
        """Detector rows computed at once."""
        row_bytes = 4 * len(self.angles_deg) * self.n_columns
        return max(1, _SLAB_BYTES // row_bytes)

    def intensity(self, start: int, stop: int) -> Floats:
        """Return the intensity on the detector, open beam 1, axes (angle, row, column)."""
        s = self.settings
        radius = math.ceil(4 * s.detector_blur_px)
        reach = radius + bool(s.fringes)
        first, last = max(0, start - reach), min(self.shape_zyx[0], stop + reach)
        depth = self._depth(first, last)
        # beyond the volume the outermost rows go on
        beyond = (reach - (start - first), reach - (last - stop))
        depth = np.pad(depth, ((0, 0), beyond, (0, 0)), mode="edge")
        light = np.exp(-depth)
        if s.fringes:
            light *= 1 + np.float32(s.fringes) * _laplacian(depth)
            np.maximum(light, 0, out=light)
        if radius:
            blur = {"sigma": s.detector_blur_px, "mode": "nearest", "radius": radius}
            light = ndimage.gaussian_filter(light, axes=(1, 2), **blur)
        return light[:, reach : reach + stop - start]

    def counts(self, row: int, intensity: Floats) -> tuple[npt.NDArray[np.uint16], ...]:
        """Return what the detector counts in a row: projections, flat fields, dark fields."""
        s = self.settings
        shape = (s.n_flat, self.n_columns), (s.n_dark, self.n_columns)
        gain = 1 + s.gain_error * self._random(row, 0).standard_normal(self.n_columns)
        means = (
            s.photons * intensity * np.maximum(gain, 0) + s.dark_level,
            np.full(shape[0], s.photons + s.dark_level),
            np.full(shape[1], s.dark_level),
        )
        return tuple(self._count(mean, row, i + 1) for i, mean in enumerate(means))

    def _count(self, mean: npt.NDArray[Any], row: int, stream: int) -> npt.NDArray[np.uint16]:
        counted = self._random(row, stream).poisson(mean) if self.settings.noise else np.rint(mean)
        return np.minimum(counted, _TOP).astype(np.uint16)

    def _random(self, row: int, stream: int) -> np.random.Generator:
        return np.random.default_rng((self.key, row, stream))

    def _depth(self, first: int, last: int) -> Floats:
        """Return minus the logarithm of the transmission, axes (angle, row, column)."""
        n_y, n_x = self.shape_zyx[1:]
        slices = np.asarray(self.attenuation(first, last), np.float32)
        if slices.shape != (last - first, n_y, n_x):
            raise InputError(
                f"'attenuation({first}, {last})' has shape {slices.shape} (z, y, x)",
                expected=f"{(last - first, n_y, n_x)}",
            )
        if not (slices >= 0).all() or np.isinf(slices).any():
            raise InputError(
                f"the attenuation of slices {first} to {last - 1} is negative or not finite",
                expected="linear attenuation in 1/cm, at least 0",
            )
        pixels = np.ascontiguousarray(slices.reshape(last - first, -1).T)
        depth = np.empty((len(self.angles_deg), last - first, self.n_columns), np.float32)
        for i, rays in enumerate(self._rays()):
            depth[i] = (rays @ pixels).T
        return depth

    def _rays(self) -> Iterator[sparse.csr_array]:
        """Yield for each angle the matrix (columns, pixels) of path lengths in cm."""
        for angle_deg in self.angles_deg:
            yield _ray_matrix(
                self.shape_zyx[1:], self.n_columns, math.radians(angle_deg)
            ) * np.float32(self.voxel_size_um * 1e-4)


def _ray_matrix(shape_yx: tuple[int, int], n_columns: int, theta: float) -> sparse.csr_array:
    """Return the path lengths, in voxels, of the rays of one angle through a slice.

    A ray steps along the axis that it is nearer to, from pixel centre to pixel centre, and shares
    each step between the two pixels beside it.
    """
    n_y, n_x = shape_yx
    cos, sin = math.cos(theta), math.sin(theta)
    column = np.arange(n_columns) - (n_columns - 1) / 2
    # an axis in the middle of the detector and on its lattice, as reconstructions have it
    y_axis, x_axis = ((n_columns - 1) / 2 - (n_columns - n) // 2 for n in shape_yx)
    along_y = abs(cos) >= abs(sin)
    n_steps, n_across = (n_y, n_x) if along_y else (n_x, n_y)
    along_axis, across_axis = (y_axis, x_axis) if along_y else (x_axis, y_axis)
    step = np.arange(n_steps) - along_axis
    if along_y:  # column = x cos - y sin
        across = (column[:, None] + step[None, :] * sin) / cos
    else:
        across = (step[None, :] * cos - column[:, None]) / sin
    across += across_axis
    before = np.floor(across).astype(np.int64)
    share = across - before
    near = np.stack([before, before + 1], axis=-1)
    weight = np.stack([1 - share, share], axis=-1) / max(abs(cos), abs(sin))
    steps = np.arange(n_steps)[None, :, None]
    pixel = steps * n_x + near if along_y else near * n_x + steps
    inside = (near >= 0) & (near < n_across)
    ends = np.concatenate([[0], np.cumsum(inside.sum(axis=(1, 2)))])
    shape = (n_columns, n_y * n_x)
    return sparse.csr_array((weight[inside].astype(np.float32), pixel[inside], ends), shape=shape)


def _laplacian(depth: Floats) -> Floats:
    """Return the sum of the second differences along rows and columns; the rim goes on."""
    kernel = np.array([1, -2, 1], np.float32)
    rows = ndimage.correlate1d(depth, kernel, axis=1, mode="nearest")
    return rows + ndimage.correlate1d(depth, kernel, axis=2, mode="nearest")


def _create(path: Path, scan: _Scan) -> None:
    """Write a file that has everything but the counts, and its full size on the disk.

    HDF5 crashes where a disk fills up while it writes, so the space is reserved beforehand.
    """
    s, n_rows, n_columns = scan.settings, scan.shape_zyx[0], scan.n_columns
    n_images = dict(zip(_DATASETS, (len(scan.angles_deg), s.n_flat, s.n_dark), strict=True))
    n_bytes = 2 * sum(n_images.values()) * n_rows * n_columns + _HEADER_BYTES
    _reserve(path, n_bytes)
    with h5py.File(path, "w") as file:
        file.attrs["simulated"] = SIMULATED
        file.attrs["creator"] = f"tomolith {code_version()}"
        file.attrs["settings"] = s.model_dump_json()
        file["implements"] = "exchange:measurement"
        file["exchange/title"] = SIMULATED
        at_once = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        at_once.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        at_once.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        for name, n in n_images.items():
            shape = (n, n_rows, n_columns)
            images = file["exchange"].create_dataset(name, shape, np.uint16, dcpl=at_once)
            axes = name.replace("data", "theta") + ":y:x"
            images.attrs.update({"units": "counts", "axes": axes})
        file["exchange/theta"] = scan.angles_deg
        file["exchange/theta"].attrs["units"] = "degrees"
        for name in ("actual_pixel_size_x", "actual_pixel_size_y"):
            size = file.create_dataset(f"measurement/instrument/detector/{name}", (), np.float64)
            size[()] = scan.voxel_size_um
            size.attrs["units"] = "um"
    _reserve(path, path.stat().st_size)


def _reserve(path: Path, n_bytes: int) -> None:
    with path.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, n_bytes)
