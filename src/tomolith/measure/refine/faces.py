"""Inner faces of the two electrodes over the plan, robust against stray voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tomolith.core import Box, Grid, LabelMap
from tomolith.core.box import Triple
from tomolith.errors import InputError
from tomolith.measure.quantities.base import ClassValue, Region
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame, find_frame
from tomolith.measure.quantities.plane import NOWHERE
from tomolith.measure.quantities.surfaces import SurfaceQuantity
from tomolith.measure.refine.classes import electrodes_alone

Heights = npt.NDArray[np.float64]
Plan = npt.NDArray[np.int32]

FACE_BYTES = 180
"""Held for each column while faces are found; a test measures it."""

_SMOOTH_COLUMNS = 5
_FEWEST_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Faces:
    """Where the electrodes end, as indices along the axis of ``frame``.

    Parameters
    ----------
    frame
        How the cell lies; its plane parts the two electrodes.
    low, high
        Per column (n_u, n_v): the last voxel of the electrode at small indices, and the first
        voxel of the one at large indices. Columns without electrode get the fitted plane; all are
        the median of 5 × 5 columns.
    planes
        By side: (c, a, b) of the least-squares plane ``c + a u + b v`` through its face.
    outer
        By side: the median index of the face away from the other electrode; ``None`` where more
        than half of the columns leave the volume.
    """

    frame: Frame
    low: Plan
    high: Plan
    planes: dict[str, tuple[float, float, float]]
    outer: dict[str, float | None]

    def part(self, box: Box) -> tuple[Plan, Plan]:
        """Return ``low`` and ``high`` of the columns of a box."""
        u0, u1, v0, v1 = self.frame.plan_key(box)
        return self.low[u0:u1, v0:v1], self.high[u0:u1, v0:v1]

    def of_side(self, side: str) -> Plan:
        """Return the map of one side."""
        return self.low if side == self.frame.sides[0] else self.high


class _Ends(SurfaceQuantity):
    """The surfaces alone."""

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return nothing: only the maps are asked for."""
        return ()


def find_faces(
    labelmap: LabelMap, *, axis: int, plating_high: bool, block_zyx: Triple, scan: str | None = None
) -> Faces:
    """Find the inner faces of both electrodes, block by block.

    Runs of fewer than three electrode voxels along the axis are taken to be strays. ``scan`` is the
    name by which an error speaks of it.

    Raises
    ------
    InputError
        An electrode is seen in fewer than three columns.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Volume
    >>> values = np.zeros((4, 20, 4), np.uint8)
    >>> values[:, :3] = values[:, 13:] = 1
    >>> labels = LabelMap(Volume(values, Grid(values.shape, None)), PRESETS["li-operando"])
    >>> faces = find_faces(labels, axis=1, plating_high=True, block_zyx=(2, 20, 4))
    >>> faces.low[0, 0], faces.high[0, 0]
    (np.int32(2), np.int32(13))
    """
    alone = electrodes_alone(labelmap, axis)
    frame = find_frame(alone, axis=axis, plating_high=plating_high)
    ends = _Ends(alone.schema, frame)
    for core in labelmap.grid.box.tiles(block_zyx):
        ends.update(Region(alone.read(core), core, core))
    surfaces = ends.surfaces(labelmap.grid)
    planes, maps, outer = {}, {}, {}
    for side in (STRIPPING, PLATING):
        inner = np.where(surfaces.inner[side] != NOWHERE, surfaces.inner[side], np.nan)
        planes[side] = _plane(inner, side, scan)
        maps[side] = _smooth(inner, planes[side])
        cut = surfaces.is_cut[side] | (surfaces.outer[side] == NOWHERE)
        seen = surfaces.outer[side][~cut]
        outer[side] = None if cut.mean() > 0.5 else float(np.median(seen))
    low, high = frame.sides
    return Faces(frame, maps[low] - 1, maps[high], planes, outer)


def _plane(inner: Heights, side: str, scan: str | None) -> tuple[float, float, float]:
    u, v = np.nonzero(np.isfinite(inner))
    if len(u) < _FEWEST_COLUMNS:
        raise InputError(
            f"no electrode is seen on the {side}",
            expected="two electrodes, one at each end of 'refine.plan_axis'",
            where=scan and f"scan {scan}",
            mend="correct the labels or 'refine.plan_axis', or switch off what needs electrodes "
            "('refine': 'allowed: false', 'split: false', no 'time')",
        )
    terms = np.stack([np.ones(len(u)), u, v], axis=1)
    c, a, b = np.linalg.lstsq(terms, inner[u, v], rcond=None)[0]
    return float(c), float(a), float(b)


def _smooth(inner: Heights, plane: tuple[float, float, float]) -> Plan:
    filled = np.where(np.isfinite(inner), inner, np.rint(height_of(plane, inner.shape)))
    return np.asarray(ndimage.median_filter(filled, _SMOOTH_COLUMNS, mode="nearest"), np.int32)


def height_of(
    plane: tuple[float, float, float],
    plan_shape: tuple[int, ...],
    *,
    start: tuple[int, int] = (0, 0),
) -> Heights:
    """Return the height of a plane over some columns, of shape ``plan_shape``."""
    c, a, b = plane
    u = np.arange(start[0], start[0] + plan_shape[0])
    v = np.arange(start[1], start[1] + plan_shape[1])
    return np.asarray(c + a * u[:, None] + b * v[None, :], np.float64)
