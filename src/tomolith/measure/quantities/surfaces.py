"""Surfaces of the two electrodes over the plan, and what follows from where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, Grid
from tomolith.measure.quantities.base import Quantity, Region
from tomolith.measure.quantities.columns import assemble, column_counts
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame, PlanKey
from tomolith.measure.quantities.plane import NOWHERE, Plane, plane_through
from tomolith.measure.quantities.runs import look_through

Ends = npt.NDArray[np.int32]
_SOURCE = "electrode positions of Huang et al., npj Comput. Mater. 9, 93 (2023)"
# rows of the kept maps; starts are kept negative, so that all of them merge by the maximum
_LOW_START, _LOW_STOP, _HIGH_START, _HIGH_STOP = range(4)


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Where the electrodes' faces lie over the plan, in whole voxels, so that all sums are exact.

    A face at index i lies before voxel i; ``NOWHERE`` where there is none.

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
    inner: dict[str, Ends]
    outer: dict[str, Ends]
    n_electrode: dict[str, Ends]
    is_cut: dict[str, npt.NDArray[np.bool_]]
    _fits: dict[str, Plane | None] = field(default_factory=dict, init=False, repr=False)

    @property
    def middle(self) -> float:
        """The middle of the volume along the axis, in voxels: there the height is 0."""
        return self.grid.shape_zyx[self.frame.axis] / 2

    @property
    def size_um(self) -> float:
        """The voxel size along the axis; ``InputError`` where it is unknown."""
        return self.frame.column_um(self.grid, "a surface")

    def fit(self, side: str) -> Plane | None:
        """Return the least-squares plane through an inner face; ``None`` below three columns."""
        if side not in self._fits:
            self._fits[side] = plane_through(
                self.inner[side],
                middle=self.middle,
                size_um=self.size_um,
                plan_sizes_um=self.frame.plan_sizes_um(self.grid, "a surface"),
            )
        return self._fits[side]

    def thickness(self, side: str) -> Ends:
        """Return an electrode's voxels per column; nowhere where it leaves the volume.

        What is outside is not known.
        """
        known = (self.inner[side] != NOWHERE) & ~self.is_cut[side]
        return np.where(known, self.n_electrode[side], np.int32(NOWHERE))

    def gap(self) -> Ends:
        """Return the voxels from inner face to inner face, along the axis."""
        return self._between(self.inner)

    def cell(self) -> Ends:
        """Return the voxels from outer face to outer face; nowhere where one leaves the volume."""
        found = self._between(self.outer)
        found[self.is_cut[PLATING] | self.is_cut[STRIPPING]] = NOWHERE
        return found

    def _between(self, faces: dict[str, Ends]) -> Ends:
        low, high = (faces[side] for side in self.frame.sides)
        return np.where((low == NOWHERE) | (high == NOWHERE), np.int32(NOWHERE), high - low)


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
            counts = column_counts(region, self.frame, value)
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
        """Return the surfaces."""
        return self.once(("surfaces", self.frame, grid), lambda: self._surfaces(grid))

    def _surfaces(self, grid: Grid) -> Surfaces:
        shape, n = self.frame.plan_shape(grid.shape_zyx), grid.shape_zyx[self.frame.axis]
        ends, counts = assemble(self._ends, shape), assemble(self._counts, shape)
        for row in (_LOW_START, _HIGH_START):
            # int32 has no 2³¹: what is nowhere stays so
            np.negative(ends[row], out=ends[row])
        low, high = self.frame.sides
        return Surfaces(
            self.frame,
            grid,
            inner={low: ends[_LOW_STOP], high: ends[_HIGH_START]},
            outer={low: ends[_LOW_START], high: ends[_HIGH_STOP]},
            n_electrode={low: counts[0], high: counts[1]},
            is_cut={low: ends[_LOW_START] == 0, high: ends[_HIGH_STOP] == n},
        )


def _electrode_ends(region: Region, frame: Frame, value: int) -> Ends:
    """Return -start and stop of the electrode on either side of each column, (4, n_u, n_v)."""
    from tomolith.measure.quantities import compiled

    runs, first = look_through(region, frame).runs, region.core.start_zyx[frame.axis]
    ends = compiled.find_ends(runs.begin, runs.stop, runs.label, runs.plane, value, first)
    return ends.reshape(4, *runs.plan_shape)


def scaled_mean(values: Ends, factor: float, *, middle: float = 0.0) -> float | None:
    """Return the mean of :func:`scaled`, where there is anything.

    Examples
    --------
    >>> scaled_mean(np.array([1, 2, NOWHERE], np.int32), 2.0)
    3.0
    """
    known = values != NOWHERE
    n = int(np.count_nonzero(known))
    total = int(values.sum(where=known, dtype=np.int64))
    return (total / n - middle) * factor if n else None


def scaled(values: Ends, factor: float, *, middle: float = 0.0) -> npt.NDArray[np.float32]:
    """Return ``(values - middle) · factor``, rounded once; NaN where there is nothing.

    Examples
    --------
    >>> scaled(np.array([1, NOWHERE], np.int32), 2.0, middle=0.5).tolist()
    [1.0, nan]
    """
    out = values.astype(np.float32)  # exact, and less the middle too
    out -= np.float32(middle)
    np.multiply(out, np.float64(factor), out=out, casting="same_kind")
    out[values == NOWHERE] = np.nan
    return out
