"""Dendrites as connected pieces: which of them count, and where they stand in each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.errors import InputError
from tomolith.measure.quantities.base import Quantity, Region
from tomolith.measure.quantities.columns import assemble
from tomolith.measure.quantities.components import (
    Block,
    Connected,
    Pieces,
    filled_part,
    label_block,
)
from tomolith.measure.quantities.frame import Frame, PlanKey

DENDRITE = "dendrite"
MIN_VOXELS = 27  # a cube of three voxels
NO_RULE = (
    "single voxels join dendrites or part them, which neither borders nor confusion tell; label "
    "maps of other trainings would ('measure.uncertainty.ensemble')"
)
NOWHERE = np.iinfo(np.int32).min
Ends = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class DendriteBlock:
    """The dendrites of one block.

    Parameters
    ----------
    block
        As :func:`~tomolith.measure.quantities.components.label_block` returns it.
    box, pieces
        The smallest box that holds all dendrites of the block, and for each of its voxels the
        number of its piece.
    fate
        By piece, from number 0: 1 where it is large enough by itself, 0 where it is too small and
        ends within the block, -1 where that depends on what lies beyond the block.
    """

    block: Block
    box: Box
    pieces: npt.NDArray[np.int32]
    fate: npt.NDArray[np.int8]


def dendrite_block(region: Region, schema: ClassSchema, min_voxels: int) -> DendriteBlock:
    """Label the dendrites of a region's core, once for all quantities that ask."""
    value = schema[DENDRITE].value
    key = ("dendrite_block", value, min_voxels)
    if key not in region.cache:
        labelled = ("dendrite_pieces", value)
        if labelled not in region.cache:
            mask = (region.core_labels == value).view(np.uint8)
            region.cache[labelled] = label_block(region.core, None, mask, 1)
        block, pieces = region.cache[labelled]
        region.cache[key] = _with_fate(block, pieces, region.core, min_voxels)
    found: DendriteBlock = region.cache[key]
    return found


def _with_fate(
    block: Block, pieces: npt.NDArray[np.int32], core: Box, min_voxels: int
) -> DendriteBlock:
    fate = np.zeros(len(block.counts) + 1, np.int8)
    part = filled_part(pieces > 0)
    if part is None:
        return DendriteBlock(block, core, np.zeros(core.shape_zyx, np.int32), fate)
    for axis in range(3):
        for index in (0, -1):
            fate[np.unique(pieces.take(index, axis=axis))] = -1
    fate[1:][block.counts.sum(axis=1) >= min_voxels] = 1
    fate[0] = 0
    start, stop = (
        [getattr(p, end) + first for p, first in zip(part, core.start_zyx, strict=True)]
        for end in ("start", "stop")
    )
    box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    return DendriteBlock(block, box, pieces[part], fate)


class DendriteQuantity(Quantity):
    """A quantity of the pieces of dendrite of at least ``min_voxels`` voxels (26 neighbours).

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Raises
    ------
    InputError
        ``min_voxels`` is below 1.
    """

    needs: ClassVar[tuple[str, ...]] = (DENDRITE,)
    source = "connected pieces as of scipy.ndimage.label on the whole array"

    def __init__(
        self, schema: ClassSchema, frame: Frame | None = None, *, min_voxels: int = MIN_VOXELS
    ) -> None:
        super().__init__(schema, frame)
        if min_voxels < 1:
            raise InputError(f"min_voxels is {min_voxels}", expected="1 or more")
        self._min_voxels = min_voxels
        self._connected = Connected(1)

    @property
    def parts(self) -> tuple[str, ...]:
        """Dendrites."""
        return (DENDRITE,)

    def update(self, region: Region) -> None:
        """Label the dendrites of the core."""
        self._connected.add_block(dendrite_block(region, self.schema, self._min_voxels).block)

    def merge(self, other: Self) -> None:
        """Add the pieces of ``other``."""
        self._connected.merge(other._connected)

    def sizes(self, grid: Grid) -> Pieces:
        """Return the voxels of each piece that counts, the largest first."""
        sizes = self._connected.wholes(grid.shape_zyx).sum(axis=1)
        chosen: Pieces = np.sort(sizes[sizes >= self._min_voxels])[::-1]
        return chosen

    def counting(self, grid: Grid) -> tuple[Pieces, npt.NDArray[np.bool_]]:
        """Return the whole of each piece of a block, and whether each whole counts."""
        whole = self._connected.whole_of(grid.shape_zyx)
        sizes = self._connected.wholes(grid.shape_zyx).sum(axis=1)
        return whole, np.concatenate([[False], sizes >= self._min_voxels])


@dataclass(frozen=True, slots=True)
class DendriteColumns:
    """Where dendrites stand in each column of the plan; all of shape (n_u, n_v).

    Parameters
    ----------
    start, stop
        First voxel of dendrite across the cell, and the one after the last; meaningless where
        ``n`` is 0.
    n
        Voxels of dendrite.
    """

    start: Ends
    stop: Ends
    n: Ends

    @property
    def is_there(self) -> npt.NDArray[np.bool_]:
        """Columns that hold dendrite."""
        return np.asarray(self.n > 0)


class DendriteColumnsQuantity(DendriteQuantity):
    """Keeps where the dendrites of each column begin and end.

    Memory: 12 bytes per column, the packed faces of blocks, and 32 bytes for each voxel of a small
    piece at the face of a block.
    """

    def __init__(
        self, schema: ClassSchema, frame: Frame | None = None, *, min_voxels: int = MIN_VOXELS
    ) -> None:
        super().__init__(schema, frame, min_voxels=min_voxels)
        self._columns: dict[PlanKey, Ends] = {}
        self._pending: list[Pieces] = []

    def update(self, region: Region) -> None:
        """Note the ends of dendrites in the columns of the core."""
        found = dendrite_block(region, self.schema, self._min_voxels)
        if (found.fate < 0).any():
            zyx = np.nonzero(found.fate[found.pieces] < 0)
            number = found.pieces[zyx] + self._connected.n_pieces
            place = [i + start for i, start in zip(zyx, found.box.start_zyx, strict=True)]
            self._pending.append(np.stack([number, *place], axis=1).astype(np.int64))
        key = ("dendrite_columns", self.frame, self._min_voxels)
        if key not in region.cache:
            region.cache[key] = _columns(found, region.core, self.frame)
        self._connected.add_block(found.block)
        self._add(self.frame.plan_key(region.core), region.cache[key])

    def merge(self, other: Self) -> None:
        """Add what ``other`` noted."""
        offset = np.array([self._connected.n_pieces, 0, 0, 0])
        self._pending += [pending + offset for pending in other._pending]
        super().merge(other)
        for key, columns in other._columns.items():
            self._add(key, columns)

    def _add(self, key: PlanKey, columns: Ends) -> None:
        if key in self._columns:
            old = self._columns[key]
            ends, n = np.maximum(old[:2], columns[:2]), old[2:] + columns[2:]
            columns = np.concatenate([ends, n])
        self._columns[key] = columns

    def columns(self, grid: Grid) -> DendriteColumns:
        """Return where the dendrites that count stand."""
        out = assemble(self._columns, self.frame.plan_shape(grid.shape_zyx))
        if self._pending:
            whole, counts = self.counting(grid)
            pending = np.concatenate(self._pending)
            zyx = pending[counts[whole[pending[:, 0]]], 1:]
            u, v = (zyx[:, axis] for axis in self.frame.plan_axes)
            index = zyx[:, self.frame.axis].astype(np.int32)
            for row, values in ((0, -index), (1, index + 1)):
                np.maximum.at(out[row], (u, v), values)
            np.add.at(out[2], (u, v), 1)
        return DendriteColumns(-out[0], out[1], out[2])


def _columns(found: DendriteBlock, core: Box, frame: Frame) -> Ends:
    """Return -start, stop and number of the voxels of pieces sure to count, (3, n_u, n_v)."""
    u0, u1, v0, v1 = frame.plan_key(core)
    out = np.full((3, u1 - u0, v1 - v0), NOWHERE, np.int32)
    out[2] = 0
    if (found.fate > 0).any():
        a0, a1, b0, b1 = frame.plan_key(found.box)
        here, first = frame.across(found.fate[found.pieces] > 0), found.box.start_zyx[frame.axis]
        inner, there = out[:, a0 - u0 : a1 - u0, b0 - v0 : b1 - v0], here.any(axis=1)
        start, last = here.argmax(axis=1), here.shape[1] - 1 - here[:, ::-1].argmax(axis=1)
        inner[0] = np.where(there, -(start + first), NOWHERE)
        inner[1] = np.where(there, last + first + 1, NOWHERE)
        inner[2] = here.sum(axis=1)
    return out
