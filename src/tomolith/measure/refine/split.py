"""The operation ``split``: Li deposits and electrodes by the side of the cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tomolith.core import Box, ClassSchema, Grid
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.one_electrode import (
    ELECTRODES,
    PLATING_ELECTRODE,
    STRIPPING_ELECTRODE,
)
from tomolith.measure.refine.classes import DEPOSITS
from tomolith.measure.refine.faces import Faces, Plan

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]
Squares = npt.NDArray[np.float64]
_AT_A_TIME = 2**18  # pairs of a voxel and a column


class Nearest:
    """Which electrode is nearer to a voxel, in three dimensions and exactly.

    The distance is that from centre to centre to the nearest voxel behind the detected face of an
    electrode, in µm (in voxels where their size is unknown). Every column of the scan may hold that
    nearest voxel: the faces of the whole plan are at hand, so no halo limits the search. Most
    voxels are settled by bounds; the others by a search over all columns that may be near enough.

    Examples
    --------
    In the column of these two voxels the electrode at small indices is nearer to both:

    >>> high = np.array([[9, 9, 5]], np.int32)
    >>> nearest = Nearest(Faces(Frame(), np.array([[1, 1, 1]], np.int32), high, {}, {}), (1.0,) * 3)
    >>> nearest.side(np.array([0, 0]), np.array([3, 4]), np.array([0, 0])).tolist()
    [-1, 1]
    """

    def __init__(self, faces: Faces, sizes: tuple[float, float, float]) -> None:
        u_axis, v_axis = faces.frame.plan_axes
        self._low, self._high = faces.low, faces.high
        self._across, self._u, self._v = sizes[faces.frame.axis], sizes[u_axis], sizes[v_axis]
        widest = max(int((faces.high - faces.low).max()), 0) * self._across
        window = tuple(2 * int(np.ceil(widest / size)) + 1 for size in (self._u, self._v))
        # the face that comes nearest within the widest gap
        self._low_reach = ndimage.maximum_filter(faces.low, window, mode="nearest")
        self._high_reach = ndimage.minimum_filter(faces.high, window, mode="nearest")

    def side(self, u: Places, index: Places, v: Places) -> npt.NDArray[np.int8]:
        """Return -1 where the electrode at small indices is nearer, 1 for the other, else 0."""
        low = self._depth(index - self._low[u, v])
        high = self._depth(self._high[u, v] - index)
        out = np.zeros(len(u), np.int8)
        out[low < self._depth(self._high_reach[u, v] - index)] = -1
        out[high < self._depth(index - self._low_reach[u, v])] = 1
        open_ = np.flatnonzero(out == 0)
        if len(open_):
            places = (u[open_], index[open_], v[open_])
            out[open_] = self._search(places, low[open_], high[open_])
        return out

    def _depth(self, n: Places) -> Squares:
        return np.maximum(n, 0).astype(np.float64) * self._across

    def _search(
        self, places: tuple[Places, Places, Places], low: Squares, high: Squares
    ) -> npt.NDArray[np.int8]:
        """Compare the squared distances over all columns that may hold the nearer voxel."""
        low2, high2 = low**2, high**2
        du, dv, beside2 = self._around(float(np.minimum(low, high).max()))
        near, start = np.arange(len(low2)), 0
        while start < len(du):
            near = near[np.minimum(low2[near], high2[near]) >= beside2[start]]
            if not len(near):
                break
            part = slice(start, start + max(1, _AT_A_TIME // len(near)))
            u, index, v = (p[near, None] for p in places)
            columns = u + du[part], v + dv[part]
            below = self._squared(index, self._low, columns, beside2[part], sign=1)
            above = self._squared(index, self._high, columns, beside2[part], sign=-1)
            low2[near] = np.minimum(low2[near], below)
            high2[near] = np.minimum(high2[near], above)
            start = part.stop
        return np.asarray(np.sign(low2 - high2), np.int8)

    def _squared(
        self,
        index: Places,
        face: Plan,
        columns: tuple[Places, Places],
        beside2: Squares,
        *,
        sign: int,
    ) -> Squares:
        """Return the smallest squared distance to a face over some columns of the scan."""
        u, v = columns
        inside = (u >= 0) & (u < face.shape[0]) & (v >= 0) & (v < face.shape[1])
        height = face[np.where(inside, u, 0), np.where(inside, v, 0)]
        found = self._depth(sign * (index - height)) ** 2 + beside2
        return np.asarray(np.where(inside, found, np.inf).min(axis=1), np.float64)

    def _around(self, radius: float) -> tuple[Places, Places, Squares]:
        """Return the columns around one, with squared distance beside it, the nearest first."""
        n_u, n_v = int(radius / self._u), int(radius / self._v)
        du, dv = (a.ravel() for a in np.mgrid[-n_u : n_u + 1, -n_v : n_v + 1])
        beside2 = (du * self._u) ** 2 + (dv * self._v) ** 2
        order = np.argsort(beside2, kind="stable")
        order = order[(beside2[order] > 0) & (beside2[order] <= radius**2)]
        return du[order], dv[order], beside2[order]


class HalfDepth:
    """Which half of the depth a voxel lies in, as Huang et al. (2023) cut."""

    def __init__(self, frame: Frame, shape_zyx: tuple[int, int, int]) -> None:
        self._middle = (shape_zyx[frame.axis] - 1) / 2

    def side(self, u: Places, index: Places, v: Places) -> npt.NDArray[np.int8]:
        """Return -1 for the half at small indices, 1 for the other, 0 for the middle."""
        return np.asarray(np.sign(index - self._middle), np.int8)


class Split:
    """Gives deposits and electrodes the class of their side; a tie keeps its class."""

    name = "split"

    def __init__(self, schema: ClassSchema, frame: Frame, rule: Nearest | HalfDepth) -> None:
        self._frame, self._rule = frame, rule
        self._pairs = []
        for plated, stripped, mixed in (
            (*DEPOSITS, ()),
            (PLATING_ELECTRODE, STRIPPING_ELECTRODE, ELECTRODES),
        ):
            if {plated, stripped} <= set(schema.names):
                values = [schema[n].value for n in {plated, stripped, *mixed} & set(schema.names)]
                by_side = {PLATING: schema[plated].value, STRIPPING: schema[stripped].value}
                self._pairs.append((values, [by_side[side] for side in frame.sides]))

    @classmethod
    def nearest(cls, schema: ClassSchema, faces: Faces, grid: Grid) -> Split:
        """Return the split by the nearest electrode."""
        return cls(schema, faces.frame, Nearest(faces, grid.voxel_size_um or (1.0, 1.0, 1.0)))

    def apply(self, labels: Bytes, box: Box) -> Bytes:
        """Return the labels of a box of the scan."""
        out = labels.copy()
        across_in, across_out = self._frame.across(labels), self._frame.across(out)
        u0, _, v0, _ = self._frame.plan_key(box)
        first = box.start_zyx[self._frame.axis]
        for values, (low, high) in self._pairs:
            u, index, v = np.nonzero(np.isin(across_in, values))
            if not len(u):
                continue
            side = self._rule.side(u + u0, index + first, v + v0)
            across_out[u, index, v] = np.select(
                [side < 0, side > 0],
                [np.uint8(low), np.uint8(high)],
                across_in[u, index, v],
            )
        return out
