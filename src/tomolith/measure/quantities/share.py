"""Share of the labelled voxels."""

from __future__ import annotations

from tomolith.core import Grid
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.counting import CountingQuantity


class Share(CountingQuantity):
    """Share of each class in per cent of all voxels that have a class.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> share, box = Share(PRESETS["li-binary"]), Box((0, 0, 0), (1, 1, 5))
    >>> share.update(Region(np.array([[[1, 0, 0, 0, 255]]], np.uint8), box, box))
    >>> [v.value for v in share.finish(Grid((1, 1, 5), None))]
    [75.0, 25.0]
    """

    unit = "percent"
    formula = "100 · N / number of voxels that have a class"
    source = "TransforCNN paper (volume fraction of Li)"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the shares; ``None`` where no voxel has a class."""
        total = self.n_labelled
        return tuple(
            ClassValue(name, 100.0 * self.count(name) / total if total else None)
            for name in self.schema.names
        )
