"""Plan coverage: how much of the area a class occupies, seen across the cell."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Quantity, Region
from tomolith.measure.quantities.columns import class_seen
from tomolith.measure.quantities.frame import Frame, PlanKey


class PlanCoverage(Quantity):
    """Share of the plan area under or over which a class occurs at all (0 to 1).

    What is left to 1 is the share that is not occupied. Columns without any label are no part of
    the area. Memory: one byte per class and column.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> box = Box((0, 0, 0), (1, 2, 2))
    >>> coverage = PlanCoverage(PRESETS["li-binary"], Frame.half_depth((1, 2, 2)))
    >>> coverage.update(Region(np.array([[[1, 0], [1, 0]]], np.uint8), box, box))
    >>> [v.value for v in coverage.finish(Grid((1, 2, 2), None))]
    [0.5, 0.5]
    """

    unit = "1"
    formula = "columns with at least one voxel of the class / columns that hold labels"
    source = "Huang et al., npj Comput. Mater. 9, 93 (2023)"

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._seen: dict[PlanKey, npt.NDArray[np.bool_]] = {}

    def update(self, region: Region) -> None:
        """Note in which columns of the core each class occurs."""
        seen = class_seen(region, self.frame, self.schema)
        self._add(self.frame.plan_key(region.core), seen)

    def merge(self, other: Self) -> None:
        """Add what ``other`` saw."""
        for key, seen in other._seen.items():
            self._add(key, seen)

    def _add(self, key: PlanKey, seen: npt.NDArray[np.bool_]) -> None:
        self._seen[key] = self._seen[key] | seen if key in self._seen else seen

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the shares."""
        n, n_columns = np.zeros(len(self.schema), np.int64), 0
        for seen in self._seen.values():
            n += np.count_nonzero(seen, axis=(1, 2))
            n_columns += int(np.count_nonzero(seen.any(axis=0)))
        if not n_columns:
            return tuple(ClassValue(p, None, "no voxel has a class") for p in self.parts)
        return tuple(
            ClassValue(name, int(k) / n_columns)
            for name, k in zip(self.schema.names, n, strict=True)
        )
