"""How each scan of a series lies in the scanner: a rigid motion and a smooth deformation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.noise import Doubles, Floats, box_indices, lattice_noise, make_key
from tomolith.phantom.settings import PhantomSettings

_AXES = "zyx"


@dataclass(frozen=True, slots=True)
class Motion:
    """Where each voxel of a scan came from, in voxels.

    A voxel at ``p`` (index along z, y, x) shows the cell at ``R (p - c) + c + shift + d(p)``: ``c``
    is the centre of the volume, ``R`` turns about z, then y, then x, and ``d`` is smooth noise.

    Parameters
    ----------
    shape_zyx
        Of the scan.
    shift_vox, rotate_deg
        Along and about z, y and x.
    deform_vox
        Standard deviation of ``d``.
    deform_spacing_vox
        How smooth it is: distance of the lattice of the noise.
    key
        Of the noise.

    Examples
    --------
    >>> motion = Motion((8, 8, 8), (1.0, 0.0, 0.0))
    >>> motion.sources(Box((0, 0, 0), (1, 1, 2)))[0].ravel()
    array([1., 1.])
    >>> Motion((8, 8, 8)).is_still
    True
    """

    shape_zyx: tuple[int, int, int]
    shift_vox: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotate_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deform_vox: float = 0.0
    deform_spacing_vox: float = 64.0
    key: int = 0

    @classmethod
    def of_scan(cls, settings: PhantomSettings, scan_id: str, *, first: bool) -> Motion:
        """Return the motion of a scan, as far as the settings allow; the first one lies still."""
        s = settings
        if first:
            return cls(s.shape_zyx)
        rng = np.random.Generator(np.random.PCG64(make_key(s.seed, scan_id, "motion")))
        shift, turn = (
            tuple(most * (2 * rng.random() - 1) for _ in _AXES)
            for most in (s.motion_shift_vox, s.motion_rotate_deg)
        )
        return cls(
            s.shape_zyx,
            (shift[0], shift[1], shift[2]),
            (turn[0], turn[1], turn[2]),
            s.motion_deform_vox,
            deform_spacing_vox=max(s.shape_zyx) / 4,
            key=make_key(s.seed, scan_id, "deformation"),
        )

    @property
    def is_still(self) -> bool:
        """True where nothing moves."""
        return not (any(self.shift_vox) or any(self.rotate_deg) or self.deform_vox)

    @property
    def matrix(self) -> Doubles:
        """The rigid part as a 4 × 4 matrix on (z, y, x, 1) in voxels, from scan to cell."""
        turn = np.eye(3)
        for axis, degrees in enumerate(self.rotate_deg):
            a, b = [k for k in range(3) if k != axis]
            angle = math.radians(degrees)
            one = np.eye(3)
            one[a, a] = one[b, b] = math.cos(angle)
            one[a, b], one[b, a] = -math.sin(angle), math.sin(angle)
            turn = one @ turn
        centre = (np.array(self.shape_zyx) - 1) / 2
        out = np.eye(4)
        out[:3, :3] = turn
        out[:3, 3] = centre + np.array(self.shift_vox) - turn @ centre
        return out

    def sources(self, box: Box, *, step: int = 1) -> tuple[Doubles, Doubles, Doubles]:
        """Return where the voxels of a box come from: three arrays (z, y, x) of indices.

        With a ``step`` the box and the indices count cubes of so many voxels a side.
        """
        middle = (step - 1) / 2
        indices = [index * float(step) + middle for index in box_indices(box)]
        z, y, x = (
            index.reshape([-1 if a == axis else 1 for a in range(3)])
            for axis, index in enumerate(indices)
        )
        m = self.matrix
        # written out: a matrix product may round differently for another block
        out = [m[a, 0] * z + m[a, 1] * y + m[a, 2] * x + m[a, 3] for a in range(3)]
        if self.deform_vox:
            for axis in range(3):
                noise = lattice_noise(self.key + axis, indices, self.deform_spacing_vox)
                out[axis] = out[axis] + self.deform_vox * noise.astype(np.float64)
        if step > 1:
            out = [(at - middle) / step for at in out]
        return out[0], out[1], out[2]

    def to_dict(self) -> dict[str, object]:
        """Return all that describes the motion, for a file."""
        return {
            "shift_vox": list(self.shift_vox),
            "rotate_deg": list(self.rotate_deg),
            "matrix_scan_to_cell": self.matrix.tolist(),
            "deform_vox": self.deform_vox,
            "deform_spacing_vox": self.deform_spacing_vox,
        }


def source_box(sources: tuple[Doubles, Doubles, Doubles]) -> Box:
    """Return the voxels that must be known to interpolate at ``sources``."""
    start = [math.floor(float(at.min())) for at in sources]
    stop = [math.floor(float(at.max())) + 2 for at in sources]
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def move_picture(picture: Floats, box: Box, sources: tuple[Doubles, Doubles, Doubles]) -> Floats:
    """Return a picture of ``box`` interpolated linearly at ``sources``."""
    floors = [np.floor(at) for at in sources]
    z, y, x = (
        (low - start).astype(np.intp) for low, start in zip(floors, box.start_zyx, strict=True)
    )
    wz, wy, wx = ((at - low).astype(np.float32) for at, low in zip(sources, floors, strict=True))

    def along_x(dz: int, dy: int) -> Floats:
        before, after = picture[z + dz, y + dy, x], picture[z + dz, y + dy, x + 1]
        return before + (after - before) * wx

    def along_y(dz: int) -> Floats:
        before, after = along_x(dz, 0), along_x(dz, 1)
        return before + (after - before) * wy

    before, after = along_y(0), along_y(1)
    return before + (after - before) * wz


def move_labels(
    labels: npt.NDArray[np.uint8], box: Box, sources: tuple[Doubles, Doubles, Doubles]
) -> npt.NDArray[np.uint8]:
    """Return the labels of ``box`` nearest to ``sources``."""
    z, y, x = (
        (np.floor(at + 0.5) - start).astype(np.intp)
        for at, start in zip(sources, box.start_zyx, strict=True)
    )
    return labels[z, y, x]
