"""Half a voxel on every border: how much volume a misplaced border is worth."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Quantity, Region
from tomolith.measure.quantities.changes import Pairs, changes, differing
from tomolith.measure.quantities.frame import Frame

Labels = npt.NDArray[np.uint8]


class BoundaryVolume(Quantity):
    """Volume in µm³ that each class gains or loses when all its borders shift by half a voxel.

    Each face that a voxel of the class shares with another class moves by half a voxel along its
    normal. Faces of the scan and faces to unlabelled voxels are no borders. A staircase of faces is
    larger than the smooth surface it stands for: for a plane along the axes it is exact, for a
    sphere 1.5 times, at most 1.73 times as large, so the shift is never taken too small.

    Where blocks meet, the outermost layer of the first is kept until the second one is there.
    Memory: one byte per voxel of the scan's surface, where the blocks come in volume order.

    Examples
    --------
    A slab of 1 × 2 voxels between others: two borders of 2 faces, half a voxel each.

    >>> from tomolith.core import PRESETS
    >>> box = Box((0, 0, 0), (1, 2, 4))
    >>> shift = BoundaryVolume(PRESETS["li-binary"])
    >>> shift.update(Region(np.array([[[0, 1, 0, 0]] * 2], np.uint8).reshape(1, 2, 4), box, box))
    >>> shift.finish(Grid((1, 2, 4), (1.0, 1.0, 1.0)))[1].value
    2.0
    """

    unit = "um3"
    formula = "faces to other classes · voxel volume / 2"
    source = "face count as in Cauchy's projection formula: S ≤ Σ faces · area ≤ √3 S"
    is_physical = True

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._pairs = Pairs()
        self._layers: dict[tuple[int, Box], Labels] = {}

    def update(self, region: Region) -> None:
        """Count the faces within the core, and those to the blocks beside it."""
        labels = np.ascontiguousarray(region.core_labels)
        along_y = changes(region, 1)
        self._pairs.add(along_y.before, along_y.after)
        _add_along_z_and_x(labels, self._pairs)
        for axis in range(3):
            start, stop = region.core.start_zyx[axis], region.core.stop_zyx[axis]
            for at, index in ((start, 0), (stop, stop - start - 1)):
                if at:  # the face of the scan is no border
                    self._meet(axis, _cut(region.core, axis, at), labels.take(index, axis=axis))

    def merge(self, other: Self) -> None:
        """Add the faces of ``other``, and those between its blocks and these."""
        self._pairs.merge(other._pairs)
        for (axis, cut), layer in other._layers.items():
            self._meet(axis, cut, layer)

    def _meet(self, axis: int, cut: Box, layer: Labels) -> None:
        """Compare a layer beside a cut with the one across it, once both are there."""
        if (axis, cut) in self._layers:
            other = self._layers.pop((axis, cut))
            differ = other != layer
            self._pairs.add(other[differ], layer[differ])
        else:
            self._layers[axis, cut] = layer

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        half = grid.voxel_volume_um3 / 2
        pairs = self._pairs.counts()
        faces = pairs + pairs.T
        faces[:, self.schema.unlabelled] = 0
        n = faces.sum(axis=1)
        return tuple(ClassValue(c.name, int(n[c.value]) * half) for c in self.schema.classes)


def _cut(core: Box, axis: int, at: int) -> Box:
    """Return the face of a block as a flat box, the same for the blocks on both sides."""
    start, stop = list(core.start_zyx), list(core.stop_zyx)
    start[axis] = stop[axis] = at
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _add_along_z_and_x(labels: Labels, pairs: Pairs) -> None:
    """Add the pairs of different neighbours along z and x, slice by slice."""
    n_x = labels.shape[2]
    buffer = np.empty(labels[0].size, np.bool_)
    for z in range(len(labels)):
        here = labels[z].ravel()
        at = differing(here[:-1], here[1:], buffer)
        at = at[at % n_x != n_x - 1]  # from the end of a line to the next one
        pairs.add(here[at], here[at + 1])
        if z:
            below = labels[z - 1].ravel()
            at = differing(below, here, buffer)
            pairs.add(below[at], here[at])
