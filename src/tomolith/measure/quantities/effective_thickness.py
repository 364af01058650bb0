"""Effective thickness: volume over plan area."""

from __future__ import annotations

from typing import Self

from tomolith.core import ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Region
from tomolith.measure.quantities.columns import AnalysedColumns, SidesQuantity
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.sides import GROWN, electrode_part, has_electrodes


class EffectiveThickness(SidesQuantity):
    """Effective thickness in µm: the volume of a class spread evenly over the plan area.

    For each class; where there is a class *electrode*, also for the electrode of each side, and
    for each side with the Li that grew on it.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> from tomolith.measure.quantities.frame import Frame
    >>> box = Box((0, 0, 0), (1, 4, 1))
    >>> thickness = EffectiveThickness(PRESETS["li-binary"], Frame.half_depth((1, 4, 1)))
    >>> thickness.update(Region(np.array([[[1], [1], [0], [1]]], np.uint8), box, box))
    >>> thickness.finish(Grid((1, 4, 1), (0.5, 2.0, 0.5)))[1].value
    6.0
    """

    unit = "um"
    formula = "d = V / A, A the plan area of the columns that hold labels"
    source = "Huang et al., npj Comput. Mater. 9, 93 (2023)"
    is_physical = True

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._plan = AnalysedColumns(schema, self.frame)

    def update(self, region: Region) -> None:
        """Count the classes of the core on each side, and the columns that hold labels."""
        super().update(region)
        self._plan.update(region)

    def merge(self, other: Self) -> None:
        """Add what ``other`` counted."""
        super().merge(other)
        self._plan.merge(other._plan)

    @property
    def parts(self) -> tuple[str, ...]:
        """The classes, and each side with and without deposits."""
        if not has_electrodes(self.schema):
            return self.schema.names
        sides = (STRIPPING, PLATING)
        return (*self.schema.names, *map(electrode_part, sides), *(f"{s}, all Li" for s in sides))

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the thicknesses; ``InputError`` where the voxel size is unknown."""
        if not self._plan.n:
            return tuple(ClassValue(p, None, "no voxel has a class") for p in self.parts)
        counts = [self.count(name) for name in self.schema.names]
        if has_electrodes(self.schema):
            electrodes = [self.count("electrode", side) for side in (STRIPPING, PLATING)]
            grown = [sum(self.count(n) for n in GROWN[side]) for side in (STRIPPING, PLATING)]
            counts += [*electrodes, *(e + g for e, g in zip(electrodes, grown, strict=True))]
        per_voxel = self.frame.column_um(grid, "a thickness") / self._plan.n
        return tuple(ClassValue(p, n * per_voxel) for p, n in zip(self.parts, counts, strict=True))
