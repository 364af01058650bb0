"""How loosely dendrites fill the space that they span."""

from __future__ import annotations

import numpy as np

from tomolith.core import Grid
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.dendrite_pieces import DENDRITE, NO_RULE, DendriteColumnsQuantity


class EnvelopePorosity(DendriteColumnsQuantity):
    """Share of the dendrites' envelope that is no dendrite (0 to 1).

    The envelope reaches in each column from the lowest to the highest voxel of dendrite: space that
    dendrites overhang counts, space beside them does not.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> from tomolith.measure.quantities.frame import Frame
    >>> box = Box((0, 0, 0), (1, 4, 1))
    >>> frame = Frame.half_depth((1, 4, 1))
    >>> porosity = EnvelopePorosity(PRESETS["li-operando"], frame, min_voxels=1)
    >>> porosity.update(Region(np.array([2, 0, 0, 2], np.uint8).reshape(1, 4, 1), box, box))
    >>> porosity.finish(Grid((1, 4, 1), None))
    (ClassValue(class_name='dendrite', value=0.5),)
    """

    unit = "1"
    formula = "1 - N / voxels from the lowest to the highest of each column"
    source = "defined here; columns instead of a hull, so that it adds up block by block"
    no_interval = NO_RULE

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the porosity; ``None`` where there is no dendrite."""
        found = self.columns(grid)
        there = found.is_there
        n_envelope = int((found.stop - found.start)[there].sum(dtype=np.int64))
        n = int(found.n[there].sum(dtype=np.int64))
        return (ClassValue(DENDRITE, 1 - n / n_envelope if n_envelope else None),)
