"""Volume in cubic micrometres."""

from __future__ import annotations

from tomolith.core import Grid
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.counting import CountingQuantity


class ClassVolume(CountingQuantity):
    """Volume of each class in µm³: number of voxels times the volume of one.

    Refused where the voxel size is unknown, and for independent 2-D sections, which have none.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> volume, box = ClassVolume(PRESETS["li-binary"]), Box((0, 0, 0), (1, 1, 3))
    >>> volume.update(Region(np.array([[[1, 1, 255]]], np.uint8), box, box))
    >>> volume.finish(Grid((1, 1, 3), (2.0, 0.5, 0.5)))[1].value
    1.0
    """

    unit = "um3"
    formula = "V = N · voxel volume"
    source = "Huang et al., npj Comput. Mater. 9, 93 (2023)"
    is_physical = True

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        one = grid.voxel_volume_um3
        return tuple(ClassValue(name, self.count(name) * one) for name in self.schema.names)
