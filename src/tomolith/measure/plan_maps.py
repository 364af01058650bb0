"""Plan maps: what lies above each point of an electrode, seen along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, Grid, LabelMap
from tomolith.measure.quantities.base import QuantityMap, Region
from tomolith.measure.quantities.columns import assemble, class_columns
from tomolith.measure.quantities.frame import Frame, PlanKey

_BLOCK_ZYX = (32, 1024, 1024)


@dataclass(frozen=True, slots=True)
class PlanMaps:
    """How many voxels of each class stand in each column.

    Parameters
    ----------
    schema, grid, frame
        Of the label map.
    counts
        Shape (n_classes, n_u, n_v), in the order of the schema; u and v are the axes of the plan.
    others
        Further maps over the same plan, such as the depth of voids.
    """

    schema: ClassSchema
    grid: Grid
    frame: Frame
    counts: npt.NDArray[np.int32]
    others: tuple[QuantityMap, ...] = ()

    def count(self, class_name: str) -> npt.NDArray[np.int32]:
        """Return the voxels of a class per column; ``InputError`` where there is no such class."""
        self.schema[class_name]
        found: npt.NDArray[np.int32] = self.counts[self.schema.names.index(class_name)]
        return found

    def thickness_um(self, class_name: str) -> npt.NDArray[np.float64]:
        """Return the sum along the axis as a thickness; refused without a voxel size."""
        size = self.frame.column_um(self.grid, "a thickness")
        return self.count(class_name).astype(np.float64) * size

    def density(self, class_name: str) -> npt.NDArray[np.float64]:
        """Return the mean along the axis: the share of each column, 0 to 1."""
        return self.count(class_name) / self.grid.shape_zyx[self.frame.axis]

    def covered_frac(self, class_names: Sequence[str]) -> float | None:
        """Return the share of the analysed columns where any of the classes occurs.

        Classes that the schema lacks are left out; ``None`` where no column is labelled.
        """
        here = np.zeros(self.counts.shape[1:], np.bool_)
        for name in class_names:
            if name in self.schema.names:
                here |= self.count(name) > 0
        n = self.n_analysed
        return int(np.count_nonzero(here)) / n if n else None

    @property
    def is_analysed(self) -> npt.NDArray[np.bool_]:
        """Which columns hold at least one voxel that has a class."""
        return np.asarray(self.counts.any(axis=0), np.bool_)

    @property
    def n_analysed(self) -> int:
        """Number of these columns."""
        return int(np.count_nonzero(self.is_analysed))

    @property
    def analysed_key(self) -> PlanKey:
        """The smallest rectangle with all these columns: start and stop along u, then along v."""
        u, v = (np.flatnonzero(self.is_analysed.any(axis=axis)) for axis in (1, 0))
        if not len(u):
            return 0, 0, 0, 0
        return int(u[0]), int(u[-1]) + 1, int(v[0]), int(v[-1]) + 1

    def cut(self, key: PlanKey) -> PlanMaps:
        """Return the maps of a rectangle of the plan; the plane between the sides stays behind.

        Examples
        --------
        >>> from tomolith.core import PRESETS
        >>> counts, frame = np.ones((2, 4, 5), np.int32), Frame.half_depth((4, 9, 5))
        >>> maps = PlanMaps(PRESETS["li-binary"], Grid((4, 9, 5), None), frame, counts)
        >>> maps.cut((1, 3, 0, 4)).grid.shape_zyx
        (2, 9, 4)
        """
        u, v = self.frame.plan_axes
        here = np.s_[key[0] : key[1], key[2] : key[3]]
        shape = list(self.grid.shape_zyx)
        shape[u], shape[v] = key[1] - key[0], key[3] - key[2]
        return PlanMaps(
            self.schema,
            replace(self.grid, shape_zyx=(shape[0], shape[1], shape[2])),
            replace(self.frame, plane_vox=None),
            self.counts[(slice(None), *here)],
            tuple(replace(other, values=other.values[here]) for other in self.others),
        )

    @property
    def analysed_area_um2(self) -> float:
        """Area of these columns; ``InputError`` where the voxel size is unknown."""
        u, v = self.frame.plan_sizes_um(self.grid, "an analysed area")
        return self.n_analysed * u * v


class PlanCounter:
    """Adds up plan maps block by block: update, merge, finish.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> counter = PlanCounter(PRESETS["li-binary"], Frame.half_depth((1, 2, 2)))
    >>> box = Box((0, 0, 0), (1, 2, 2))
    >>> counter.update(Region(np.array([[[1, 0], [1, 1]]], np.uint8), box, box))
    >>> counter.finish(Grid((1, 2, 2), (2.0, 2.0, 2.0))).thickness_um("lithium").tolist()
    [[4.0, 2.0]]
    """

    def __init__(self, schema: ClassSchema, frame: Frame) -> None:
        self.schema, self.frame = schema, frame
        self._counts: dict[PlanKey, npt.NDArray[np.int32]] = {}

    def update(self, region: Region) -> None:
        """Add the core of ``region``."""
        found = class_columns(region, self.frame, self.schema)
        self._add(self.frame.plan_key(region.core), found)

    def merge(self, other: Self) -> None:
        """Add what ``other`` counted."""
        for key, counts in other._counts.items():
            self._add(key, counts)

    def _add(self, key: PlanKey, counts: npt.NDArray[np.int32]) -> None:
        self._counts[key] = self._counts[key] + counts if key in self._counts else counts

    def finish(self, grid: Grid) -> PlanMaps:
        """Return the maps of the whole plan."""
        counts = assemble(self._counts, self.frame.plan_shape(grid.shape_zyx))
        return PlanMaps(self.schema, grid, self.frame, counts)


def plan_maps(
    labelmap: LabelMap, *, axis: int = 1, block_zyx: tuple[int, int, int] = _BLOCK_ZYX
) -> PlanMaps:
    """Project a label map along an axis, out of core.

    Memory: four bytes per class and column, and one block. The sum of a column is a thickness map,
    its mean a density map, as in Huang et al. (npj Comput. Mater. 9, 93, 2023).

    Examples
    --------
    >>> from tomolith.core import PRESETS, Volume
    >>> labels = Volume(np.ones((2, 3, 4), np.uint8), Grid((2, 3, 4), (1.0, 0.5, 1.0)))
    >>> maps = plan_maps(LabelMap(labels, PRESETS["li-binary"]))
    >>> float(maps.thickness_um("lithium").max()), float(maps.density("lithium").min())
    (1.5, 1.0)
    """
    grid = labelmap.grid
    counter = PlanCounter(labelmap.schema, Frame.half_depth(grid.shape_zyx, axis=axis))
    for core in grid.box.tiles(block_zyx):
        counter.update(Region(labelmap.read(core), core, core))
    return counter.finish(grid)
