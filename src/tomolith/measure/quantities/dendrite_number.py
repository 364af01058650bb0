"""How many dendrites there are, and how large they are."""

from __future__ import annotations

import numpy as np

from tomolith.core import Grid
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.dendrite_pieces import DENDRITE, NO_RULE, DendriteQuantity


class DendriteNumber(DendriteQuantity):
    """Number of dendrites: connected pieces of at least ``min_voxels`` voxels.

    Dendrites that touch are one; one that broke is several.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> box = Box((0, 0, 0), (1, 2, 5))
    >>> number = DendriteNumber(PRESETS["li-operando"], min_voxels=2)
    >>> labels = np.array([[[2, 0, 0, 0, 2], [0, 2, 0, 0, 0]]], np.uint8)
    >>> number.update(Region(labels, box, box))
    >>> number.finish(Grid((1, 2, 5), None))
    (ClassValue(class_name='dendrite', value=1),)
    """

    unit = "1"
    formula = "pieces of dendrite (26 neighbours) of at least min_voxels voxels"
    no_interval = NO_RULE

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the number."""
        return (ClassValue(DENDRITE, len(self.sizes(grid))),)


class DendriteVolume(DendriteQuantity):
    """Volume of a dendrite in µm³: mean, median and largest of all pieces that count.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> box = Box((0, 0, 0), (1, 2, 5))
    >>> volume = DendriteVolume(PRESETS["li-operando"], min_voxels=1)
    >>> labels = np.array([[[2, 0, 0, 0, 2], [0, 2, 2, 0, 0]]], np.uint8)
    >>> volume.update(Region(labels, box, box))
    >>> [v.value for v in volume.finish(Grid((1, 2, 5), (1.0, 1.0, 2.0)))]
    [4.0, 4.0, 6.0]
    """

    unit = "um3"
    formula = "N of each piece · voxel volume"
    no_interval = NO_RULE
    is_physical = True

    @property
    def parts(self) -> tuple[str, ...]:
        """What of all dendrites."""
        return f"{DENDRITE}, mean", f"{DENDRITE}, median", f"{DENDRITE}, largest"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``None`` where there is no dendrite."""
        one, sizes = grid.voxel_volume_um3, self.sizes(grid)
        if not len(sizes):
            return tuple(ClassValue(part, None) for part in self.parts)
        found = (int(sizes.sum()) / len(sizes), float(np.median(sizes)), int(sizes[0]))
        return tuple(ClassValue(p, n * one) for p, n in zip(self.parts, found, strict=True))
