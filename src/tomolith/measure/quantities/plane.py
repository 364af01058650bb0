"""The plane through a face of an electrode, and how far the face is from even."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

NOWHERE = -(2**31)
"""Stands in maps of whole numbers over the plan where there is nothing; the least of int32."""
_FEWEST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Plane:
    """The least-squares plane through a face over the plan, ``height = c + a u + b v``, all in µm.

    Parameters
    ----------
    c, a, b
        The coefficients; u and v from the first voxel's centre.
    rms_um
        Root mean square distance of the face from the plane, along the axis across the cell.
    slope_doubt
        How much the slope may be wrong, at most: as if each column's face lay half a voxel
        elsewhere, and all of them so that the plane tilts the most.

    Examples
    --------
    >>> round(Plane(0.0, 1.0, 0.0).cos_tilt ** 2, 6)
    0.5
    """

    c: float
    a: float
    b: float
    rms_um: float = 0.0
    slope_doubt: float = 0.0

    @property
    def cos_tilt(self) -> float:
        """Cosine of the angle between the plane's normal and the axis across the cell."""
        return 1 / math.sqrt(1 + self.a**2 + self.b**2)


def plane_through(
    face: npt.NDArray[np.int32],
    *,
    middle: float,
    size_um: float,
    plan_sizes_um: tuple[float, float],
) -> Plane | None:
    """Lay the least-squares plane through a face; ``None`` where fewer than three columns show it.

    The sums are of whole numbers, and exact; so the order of the columns changes no digit.

    Parameters
    ----------
    face
        Where the face lies in each column, in voxels, (n_u, n_v); ``NOWHERE`` where it is not seen.
    middle
        Where the height is 0, in voxels.
    size_um
        Voxel size across the cell.
    plan_sizes_um
        Voxel sizes along u and v.

    Examples
    --------
    >>> found = plane_through(2 * np.arange(12, dtype=np.int32).reshape(3, 4), middle=0.0,
    ...     size_um=1.0, plan_sizes_um=(2.0, 1.0))
    >>> round(found.a, 9), round(found.b, 9), round(found.rms_um, 9)
    (4.0, 2.0, 0.0)
    """
    from tomolith.measure.quantities import compiled

    n_of_u, n_of_v, h_of_u, h_of_v, uv, hh = compiled.sum_face(face)
    n, (u, v) = int(n_of_u.sum()), map(np.arange, face.shape)
    if n < _FEWEST_COLUMNS:
        return None
    n_u, n_v, n_h = int(u @ n_of_u), int(v @ n_of_v), int(h_of_u.sum())

    def about_mean(xy: int, n_x: int, n_y: int) -> Fraction:
        return Fraction(n * int(xy) - n_x * n_y, n)

    uu, vv = about_mean(u**2 @ n_of_u, n_u, n_u), about_mean(v**2 @ n_of_v, n_v, n_v)
    uh, vh = about_mean(u @ h_of_u, n_u, n_h), about_mean(v @ h_of_v, n_v, n_h)
    uv, hh = about_mean(uv, n_u, n_v), about_mean(hh, n_h, n_h)
    squares = np.array([[uu, uv], [uv, vv]], np.float64)
    slopes = np.linalg.lstsq(squares, np.array([uh, vh], np.float64), rcond=None)[0]
    a, b = map(Fraction, slopes.tolist())
    rest = (hh - 2 * (a * uh + b * vh) + a * a * uu + 2 * a * b * uv + b * b * vv) / n
    levers = [np.abs(u - n_u / n) @ n_of_u, np.abs(v - n_v / n) @ n_of_v]
    doubts = np.abs(np.linalg.pinv(squares)) @ levers / 2
    u_um, v_um = plan_sizes_um
    return Plane(
        ((n_h - float(slopes @ (n_u, n_v))) / n - middle) * size_um,
        float(slopes[0]) * size_um / u_um,
        float(slopes[1]) * size_um / v_um,
        rms_um=math.sqrt(rest) * size_um,
        slope_doubt=math.hypot(float(doubts[0]) / u_um, float(doubts[1]) / v_um) * size_um,
    )
