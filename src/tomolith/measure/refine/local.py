"""Operations that look at one voxel at a time, done one after the other in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, LabelMap
from tomolith.measure.refine.effects import Changes

Bytes = npt.NDArray[np.uint8]
SLAB_SLICES = 4


class VoxelOperation(Protocol):
    """Maps the labels of any box of a scan to other labels, without a halo."""

    name: str

    def apply(self, labels: Bytes, box: Box) -> Bytes:
        """Return the labels of ``box``, as a new array."""


class VoxelWork:
    """Applies operations to one scan; a few slices of a block are worked on at a time.

    Parameters
    ----------
    labelmap
        The labels.
    operations
        In their order.
    """

    def __init__(self, labelmap: LabelMap, operations: Sequence[VoxelOperation]) -> None:
        self._labelmap, self._operations = labelmap, operations

    def __call__(self, core: Box) -> tuple[list[Bytes], Changes]:
        """Return the labels of a block, and what changed."""
        out = np.asarray(self._labelmap.read(core), np.uint8).copy()
        changes = Changes()
        for slab in core.tiles((SLAB_SLICES, *core.shape_zyx[1:])):
            part = slab.relative_to(core).slices
            labels = out[part]
            for operation in self._operations:
                found = operation.apply(labels, slab)
                changes.count(operation.name, 0, labels, found)
                labels = found
            out[part] = labels
        return [out], changes
