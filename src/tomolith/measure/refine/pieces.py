"""Rules on whole connected pieces, exact across the borders of blocks, in two passes.

The first pass labels each block by itself and keeps only the pieces that meet its faces: what they
count, and where they touch their neighbours. The second labels each block again, which gives the
same numbers; a piece inside a block is judged by its own counts, one that meets a face by those of
the whole piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tomolith.core import Box, LabelMap
from tomolith.core.box import Triple
from tomolith.measure.quantities.components import (
    Block,
    Connected,
    Pieces,
    faces_of,
    filled_part,
)
from tomolith.measure.refine.effects import Changes

Bytes = npt.NDArray[np.uint8]
KEEP = 256  # no label value: the piece stays as it is


class PieceRule(Protocol):
    """Which voxels form pieces, what is counted of each, and what becomes of it.

    Attributes
    ----------
    diagonal
        26 neighbours, or 6.
    n_columns
        Counts per piece beside its voxels.
    """

    diagonal: bool
    n_columns: int

    def mask(self, labels: Bytes) -> npt.NDArray[np.bool_]:
        """Return which voxels belong to a piece."""

    def count(
        self, labels: Bytes, pieces: npt.NDArray[np.int32], sizes: Pieces, place: Place
    ) -> Pieces:
        """Return further counts (n_pieces + 1, n_columns); row 0 is no piece."""

    def become(self, sizes: Pieces, counts: Pieces) -> Pieces:
        """Return the value that each piece takes; ``KEEP`` where it stays."""


class Place:
    """Where a block lies: its core within what was read, and which of its faces end the scan."""

    def __init__(self, core: Box, read: Box, shape_zyx: Triple) -> None:
        self.core = core.relative_to(read).slices
        self.ends = [
            (axis, index)
            for axis in range(3)
            for index, at_end in (
                (0, core.start_zyx[axis] == 0),
                (-1, core.stop_zyx[axis] == shape_zyx[axis]),
            )
            if at_end
        ]


class PieceWork:
    """Applies rules to one scan; all rules see the same labels, the first that acts wins.

    Parameters
    ----------
    operation
        Name under which changes are counted.
    labelmap
        The labels.
    rules
        The rules.
    blocks
        Write boxes of all blocks.

    Notes
    -----
    Memory beside the blocks: 8 bytes per column for each piece that meets the face of a block, and
    these faces, packed.
    """

    def __init__(
        self, operation: str, labelmap: LabelMap, rules: Sequence[PieceRule], blocks: Sequence[Box]
    ) -> None:
        self._operation, self._labelmap, self._rules = operation, labelmap, rules
        joined = [Connected(rule.n_columns, diagonal=rule.diagonal) for rule in rules]
        numbers: list[dict[Box, tuple[Pieces, int]]] = [{} for _ in rules]
        for core in blocks:
            labels, place = self._read(core)
            for rule, connected, met in zip(rules, joined, numbers, strict=True):
                pieces, counts = _label(rule, labels, place)
                meeting = _meeting_faces(pieces)
                short = np.zeros(len(counts), np.int32)
                short[meeting] = np.arange(1, len(meeting) + 1)
                met[core] = meeting, connected.n_pieces
                faces = faces_of(core, short[pieces])
                connected.add_block(Block(counts[meeting], faces))
        self._fates: list[dict[Box, tuple[Pieces, Pieces]]] = []
        for rule, connected, met in zip(rules, joined, numbers, strict=True):
            self._fates.append(self._judge(rule, connected, met))

    def _judge(
        self, rule: PieceRule, connected: Connected, met: dict[Box, tuple[Pieces, int]]
    ) -> dict[Box, tuple[Pieces, Pieces]]:
        """Return, per block, the numbers of the pieces that meet its faces and what they become."""
        shape = self._labelmap.grid.shape_zyx
        totals, whole = connected.wholes(shape), connected.whole_of(shape)
        fate = np.concatenate([[KEEP], rule.become(totals[:, 0], totals[:, 1:])])[whole]
        return {
            core: (meeting, fate[first + 1 : first + 1 + len(meeting)])
            for core, (meeting, first) in met.items()
        }

    def __call__(self, core: Box) -> tuple[list[Bytes], Changes]:
        """Return the labels of a block, and what changed."""
        labels, place = self._read(core)
        before = labels[place.core]
        out, changes, is_open = before.copy(), Changes(), np.ones(before.shape, np.bool_)
        for rule, fates in zip(self._rules, self._fates, strict=True):
            pieces, counts = _label(rule, labels, place)
            fate = rule.become(counts[:, 0], counts[:, 1:])
            meeting, known = fates[core]
            fate[meeting] = known
            fate[0] = KEEP
            becomes = fate[pieces]
            acts = (becomes != KEEP) & is_open
            out[acts] = becomes[acts]
            is_open &= ~acts
        changes.count(self._operation, 0, before, out)
        return [out], changes

    def _read(self, core: Box) -> tuple[Bytes, Place]:
        shape = self._labelmap.grid.shape_zyx
        read = core.expand((1, 1, 1)).clip(shape)
        return np.asarray(self._labelmap.read(read), np.uint8), Place(core, read, shape)


def _label(rule: PieceRule, labels: Bytes, place: Place) -> tuple[npt.NDArray[np.int32], Pieces]:
    """Label a block's core; return the pieces and their counts, voxels first, row 0 no piece."""
    mask = rule.mask(labels[place.core])
    pieces = np.zeros(mask.shape, np.int32)
    structure = ndimage.generate_binary_structure(3, 3 if rule.diagonal else 1)
    part, n = filled_part(mask), 0
    if part is not None:
        n = ndimage.label(mask[part], structure, output=pieces[part])
    sizes = np.bincount(pieces.ravel(), minlength=n + 1).astype(np.int64)
    counts = rule.count(labels, pieces, sizes, place)
    return pieces, np.concatenate([sizes[:, None], counts], axis=1)


def _meeting_faces(pieces: npt.NDArray[np.int32]) -> Pieces:
    found = [np.unique(pieces.take(i, axis=axis)) for axis in range(3) for i in (0, -1)]
    numbers = np.unique(np.concatenate(found)).astype(np.int64)
    return numbers[numbers > 0]
