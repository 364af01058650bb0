"""Surfaces of the two electrodes over the plan, and what follows from where they lie."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, Grid
from tomolith.measure.quantities.base import Quantity, Region
from tomolith.measure.quantities.columns import assemble, column_counts
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame, PlanKey
from tomolith.measure.quantities.runs import look_through

Ends = npt.NDArray[np.int32]
Heights = npt.NDArray[np.float64]
_SOURCE = "electrode positions of Huang et al., npj Comput. Mater. 9, 93 (2023)"
_NOWHERE = np.iinfo(np.int32).min
# rows of the kept maps; starts are kept negative, so that all of them merge by the maximum
_LOW_START, _LOW_STOP, _HIGH_START, _HIGH_STOP = range(4)


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane over the plan, ``height = c + a u + b v``, all in µm.

    Examples
    --------
    >>> round(Plane(0.0, 1.0, 0.0).cos_tilt ** 2, 6)
    0.5
    """

    c: float
    a: float
    b: float

    @property
    def cos_tilt(self) -> float:
        """Cosine of the angle between the plane's normal and the axis across the cell."""
        return 1 / math.sqrt(1 + self.a**2 + self.b**2)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Heights of the electrodes' faces in µm from the volume's centre, NaN where there is none.

    Parameters
    ----------
    frame, grid
        Of the label map.
    inner, outer
        By side: the face towards the other electrode, and the one away from it; each (n_u, n_v).
    n_electrode
        By side: voxels of electrode in each column.
    is_cut
        By side: whether the electrode reaches the face of the volume.
    """

    frame: Frame
    grid: Grid
    inner: dict[str, Heights]
    outer: dict[str, Heights]
    n_electrode: dict[str, npt.NDArray[np.int32]]
    is_cut: dict[str, npt.NDArray[np.bool_]]
    _fits: dict[str, Plane | None] = field(default_factory=dict, init=False, repr=False)

    def fit(self, side: str) -> Plane | None:
        """Return the least-squares plane through an inner face; ``None`` below three columns."""
        if side not in self._fits:
            sizes = self.frame.plan_sizes_um(self.grid, "a surface")
            self._fits[side] = _plane_through(self.inner[side], sizes)
        return self._fits[side]

    def slope_doubt(self, side: str) -> float:
        """Return how much the slope of an inner face's plane may be wrong, at most.

        As if each column's face lay half a voxel elsewhere, and all of them so that the plane tilts
        the most. Only where there is a plane.
        """
        sizes = self.frame.plan_sizes_um(self.grid, "a surface")
        known = np.isfinite(self.inner[side])
        (u, of_u), (v, of_v) = (_about_middle(known, axis, size) for axis, size in enumerate(sizes))
        uv = float(u @ (known @ v))
        squares = [[float(u**2 @ of_u), uv], [uv, float(v**2 @ of_v)]]
        moments = [float(np.abs(u) @ of_u), float(np.abs(v) @ of_v)]
        size = self.frame.column_um(self.grid, "a surface")
        return float(np.linalg.norm(np.abs(np.linalg.pinv(squares)) @ moments)) * size / 2

    def roughness_um(self, side: str) -> float | None:
        """Return the root mean square of an inner face's height about its plane."""
        plane = self.fit(side)
        if plane is None:
            return None
        u_um, v_um = self.frame.plan_sizes_um(self.grid, "a roughness")
        n_u, n_v = self.inner[side].shape
        flat = plane.c + plane.a * np.arange(n_u)[:, None] * u_um + plane.b * np.arange(n_v) * v_um
        rest = (self.inner[side] - flat) * plane.cos_tilt
        return float(np.sqrt(np.nanmean(rest**2)))

    def local_thickness_um(self, side: str) -> Heights:
        """Return an electrode's thickness across its layer, over the plan.

        Columns where it leaves the volume are NaN: what is outside is not known.
        """
        size, plane = self.frame.column_um(self.grid, "a thickness"), self.fit(side)
        known = np.isfinite(self.inner[side]) & ~self.is_cut[side]
        cos_tilt = plane.cos_tilt if plane else 1.0
        return np.where(known, self.n_electrode[side] * size * cos_tilt, np.nan)

    @property
    def gap_um(self) -> Heights:
        """The distance from face to face along the axis, over the plan."""
        return np.asarray(np.abs(self.inner[PLATING] - self.inner[STRIPPING]), np.float64)

    @property
    def cell_um(self) -> Heights:
        """The distance from outer face to outer face; NaN where one leaves the volume."""
        distance = np.abs(self.outer[PLATING] - self.outer[STRIPPING])
        return np.where(self.is_cut[PLATING] | self.is_cut[STRIPPING], np.nan, distance)


def _plane_through(heights: Heights, sizes_um: tuple[float, float]) -> Plane | None:
    """Solve the normal equations about the middle, where the plane's height is the mean."""
    known = np.isfinite(heights)
    n = int(np.count_nonzero(known))
    if n < 3:
        return None
    (u, of_u), (v, of_v) = (_about_middle(known, axis, size) for axis, size in enumerate(sizes_um))
    rest = np.where(known, heights, 0.0)
    mean_height = float(rest.sum()) / n
    rest[known] -= mean_height
    uv = float(u @ (known @ v))
    squares = [[float(u**2 @ of_u), uv], [uv, float(v**2 @ of_v)]]
    slopes = [float(u @ rest.sum(axis=1)), float(v @ rest.sum(axis=0))]
    a, b = (float(t) for t in np.linalg.lstsq(squares, slopes, rcond=None)[0])
    return Plane(mean_height + a * float(u[0]) + b * float(v[0]), a, b)


def _about_middle(
    known: npt.NDArray[np.bool_], axis: int, size_um: float
) -> tuple[Heights, npt.NDArray[np.int64]]:
    """Return where each row lies from the middle of what is known, and how much it knows."""
    counts: npt.NDArray[np.int64] = np.count_nonzero(known, axis=1 - axis)
    at: Heights = np.arange(known.shape[axis], dtype=np.float64) * size_um
    return at - float(at @ counts) / int(counts.sum()), counts


class SurfaceQuantity(Quantity):
    """Keeps where the electrode of each side begins and ends in each column.

    Memory: 24 bytes per column.
    """

    source = _SOURCE
    is_physical = True
    needs = ("electrode",)

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._ends: dict[PlanKey, Ends] = {}
        self._counts: dict[PlanKey, Ends] = {}

    def update(self, region: Region) -> None:
        """Note the ends of the electrodes in the columns of the core."""
        value = self.schema["electrode"].value
        key = ("electrode_ends", self.frame)
        if key not in region.cache:
            # a copy of the counts, so that those of the other classes are not kept with them
            counts = column_counts(region, self.frame, value).copy()
            region.cache[key] = _electrode_ends(region, self.frame, value), counts
        self._add(self.frame.plan_key(region.core), *region.cache[key])

    def merge(self, other: Self) -> None:
        """Add what ``other`` noted."""
        for key, ends in other._ends.items():
            self._add(key, ends, other._counts[key])

    def _add(self, key: PlanKey, ends: Ends, counts: Ends) -> None:
        known = key in self._ends
        self._ends[key] = np.maximum(self._ends[key], ends) if known else ends
        self._counts[key] = self._counts[key] + counts if known else counts

    def surfaces(self, grid: Grid) -> Surfaces:
        """Return the surfaces; ``InputError`` where the voxel size is unknown."""
        return self.once(("surfaces", self.frame, grid), lambda: self._surfaces(grid))

    def _surfaces(self, grid: Grid) -> Surfaces:
        size, n = self.frame.column_um(grid, "a position"), grid.shape_zyx[self.frame.axis]
        shape = self.frame.plan_shape(grid.shape_zyx)
        ends, counts = assemble(self._ends, shape), assemble(self._counts, shape)
        heights = ends.astype(np.float64)
        for row in (_LOW_START, _HIGH_START):
            heights[row] *= -1
        heights -= n / 2  # the face of a voxel lies half a voxel from its centre
        heights *= size
        heights[ends == _NOWHERE] = np.nan
        low, high = self.frame.sides
        return Surfaces(
            self.frame,
            grid,
            inner={low: heights[_LOW_STOP], high: heights[_HIGH_START]},
            outer={low: heights[_LOW_START], high: heights[_HIGH_STOP]},
            n_electrode={low: counts[0], high: counts[1]},
            is_cut={low: ends[_LOW_START] == 0, high: ends[_HIGH_STOP] == n},
        )


def _electrode_ends(region: Region, frame: Frame, value: int) -> Ends:
    """Return -start and stop of the electrode on either side of each column, (4, n_u, n_v)."""
    from tomolith.measure.quantities import compiled

    runs, first = look_through(region, frame).runs, region.core.start_zyx[frame.axis]
    ends = compiled.find_ends(runs.begin, runs.stop, runs.label, runs.plane, value, first)
    return ends.reshape(4, *runs.plan_shape)


def mean(values: Heights) -> float | None:
    """Return the mean of what is not NaN; ``None`` where nothing is left."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
