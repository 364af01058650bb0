"""Effective thickness of layers that lie tilted in the scan."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from tomolith.core import ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Region
from tomolith.measure.quantities.effective_thickness import EffectiveThickness
from tomolith.measure.quantities.electrodes import Gap
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame


class ThicknessAcrossTilt(EffectiveThickness):
    """Effective thickness in µm across the layers: volume over the area of the tilted electrodes.

    Seen along the axis, a layer tilted by θ covers cos θ of its area, and ``effective_thickness``
    is too large by 1 / cos θ. The cosine is the mean of both electrodes'.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> z, y, x = np.mgrid[:2, :26, :16]
    >>> across = 4 * y - 3 * x  # four fifths is the cosine of the tilt
    >>> labels = (across < 0) | ((across >= 25) & (across < 50))
    >>> frame, box = Frame(1, True, (3.125, 0.0, 0.75)), Box((0, 0, 0), (2, 26, 16))
    >>> thickness = ThicknessAcrossTilt(PRESETS["li-operando"], frame)
    >>> thickness.update(Region(labels.astype(np.uint8), box, box))
    >>> found = {v.class_name: v.value for v in thickness.finish(Grid((2, 26, 16), (1.0,) * 3))}
    >>> round(found["electrode, plating side"], 1)  # a quarter of 25 voxels along the axis
    5.0
    """

    formula = "d = V cos θ / A, A as for effective_thickness, θ the tilt of the electrodes"
    source = "Huang et al., npj Comput. Mater. 9, 93 (2023), and geometry"
    needs: ClassVar[tuple[str, ...]] = ("electrode",)

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._electrodes = Gap(schema, frame)

    def update(self, region: Region) -> None:
        """Count the classes of the core, and note the faces of the electrodes."""
        super().update(region)
        self._electrodes.update(region)

    def merge(self, other: Self) -> None:
        """Add what ``other`` found."""
        super().merge(other)
        self._electrodes.merge(other._electrodes)

    def share(self, shared: dict[Any, Any]) -> None:
        """Let the electrodes share too."""
        super().share(shared)
        self._electrodes.share(shared)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the thicknesses; ``None`` where no electrode is seen."""
        surfaces = self._electrodes.surfaces(grid)
        planes = [surfaces.fit(side) for side in (STRIPPING, PLATING)]
        cosines = [plane.cos_tilt for plane in planes if plane]
        along = super().finish(grid)
        if not cosines:
            return tuple(ClassValue(v.class_name, None, "no electrode is seen") for v in along)
        cosine = sum(cosines) / len(cosines)
        return tuple(
            ClassValue(v.class_name, None if v.value is None else v.value * cosine) for v in along
        )
