"""Number of voxels."""

from __future__ import annotations

from tomolith.core import Grid
from tomolith.measure.quantities.base import UNLABELLED, ClassValue
from tomolith.measure.quantities.counting import CountingQuantity


class VoxelCount(CountingQuantity):
    """Number of voxels of each class, and of those without a class.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> count, box = VoxelCount(PRESETS["li-binary"]), Box((0, 0, 0), (1, 1, 3))
    >>> count.update(Region(np.array([[[1, 1, 255]]], np.uint8), box, box))
    >>> [(v.class_name, v.value) for v in count.finish(Grid((1, 1, 3), None))]
    [('background', 0), ('lithium', 2), ('unlabelled', 1)]
    """

    unit = "voxels"
    formula = "N = number of voxels with the label of the class"
    source = "counting"

    @property
    def parts(self) -> tuple[str, ...]:
        """The classes, and ``unlabelled``."""
        return (*self.schema.names, UNLABELLED)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the counts; a class that does not occur has a count of 0."""
        return tuple(ClassValue(name, self.count(name)) for name in self.parts)
