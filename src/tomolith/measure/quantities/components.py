"""Connected pieces of a mask, exact across the borders of blocks."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from tomolith.core import Box

Pieces = npt.NDArray[np.int64]
ALL_NEIGHBOURS = np.ones((3, 3, 3), np.bool_)
_BEFORE, _AFTER = 0, 1


@dataclass(frozen=True, slots=True)
class Face:
    """The pieces in an outermost layer of a block, packed; 0 where there is none."""

    box: Box
    packed: bytes
    offset: int

    @classmethod
    def of(cls, box: Box, pieces: npt.NDArray[np.int32], offset: int) -> Face:
        """Pack a layer; ``offset`` is added to its numbers when it is unpacked."""
        return cls(box, zlib.compress(np.ascontiguousarray(pieces).tobytes(), 1), offset)

    def unpack(self) -> Pieces:
        """Return the numbers of the pieces in the whole volume, three axes."""
        flat = np.frombuffer(zlib.decompress(self.packed), np.int32).astype(np.int64)
        flat[flat > 0] += self.offset
        return flat.reshape(self.box.shape_zyx)


@dataclass(frozen=True, slots=True)
class Block:
    """The pieces of one block, labelled by itself (26 neighbours).

    Parameters
    ----------
    counts
        Voxels of each piece (rows, in the order of their numbers): electrode, then per class.
    faces
        The outermost layers, each with the axis, the cut and the side of the cut where it lies.
    """

    counts: Pieces
    faces: tuple[tuple[tuple[int, int, int], Face], ...]


def label_block(
    box: Box, electrode: npt.NDArray[Any] | None, grown: npt.NDArray[np.uint8], n_classes: int
) -> tuple[Block, npt.NDArray[np.int32]]:
    """Label a block; also return the numbers, from 1, of the piece that each voxel belongs to.

    Parameters
    ----------
    box
        Where the block lies.
    electrode
        Mask of the electrode, or ``None``.
    grown
        1, 2, … for each class, else 0.
    n_classes
        How many classes there are.
    """
    mask = grown > 0 if electrode is None else (grown > 0) | electrode
    pieces, part = np.zeros(mask.shape, np.int32), filled_part(mask)
    if part is None:
        return Block(np.zeros((0, n_classes + 1), np.int64), ()), pieces
    n = ndimage.label(mask[part], ALL_NEIGHBOURS, output=pieces[part])
    chosen = pieces[part] > 0
    joint = pieces[part][chosen].astype(np.int64) * (n_classes + 1) + grown[part][chosen]
    counts = np.bincount(joint, minlength=(n + 1) * (n_classes + 1))
    return Block(counts.reshape(-1, n_classes + 1)[1:], faces_of(box, pieces)), pieces


def faces_of(
    box: Box, pieces: npt.NDArray[np.int32]
) -> tuple[tuple[tuple[int, int, int], Face], ...]:
    """Return the outermost layers of a block that hold a piece, as :class:`Block` keeps them."""
    faces = []
    for axis in range(3):
        start, stop = box.start_zyx[axis], box.stop_zyx[axis]
        for side, at, index in ((_AFTER, start, 0), (_BEFORE, stop, stop - start - 1)):
            layer = pieces.take([index], axis=axis)
            if not layer.any():
                continue
            shape = list(box.start_zyx), list(box.stop_zyx)
            shape[0][axis], shape[1][axis] = start + index, start + index + 1
            outer = Box(tuple(shape[0]), tuple(shape[1]))  # type: ignore[arg-type]
            faces.append(((axis, at, side), Face.of(outer, layer, 0)))
    return tuple(faces)


def filled_part(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Return the smallest box that holds all of a mask; ``None`` where nothing is in it."""
    found = ndimage.find_objects(mask.view(np.uint8))
    return found[0] if found else None


class Connected:
    """Connected pieces of Li and the electrode it grew on, exact across block borders.

    Each block is labelled by itself (26 neighbours). Of its pieces stay the number of voxels per
    class and whether any is electrode, and where they meet the faces of the block; at the end,
    pieces that touch across a cut between blocks, also over edges and corners, become one.
    Memory: 8 bytes per class and piece, and the packed faces.

    Source: two-pass labelling with union of equivalent labels, Rosenfeld and Pfaltz, J. ACM 13
    (1966), on blocks instead of lines.

    Parameters
    ----------
    n_classes
        Columns of counts beside that of the electrode.
    diagonal
        Whether pieces of two blocks also touch over edges and corners, or over faces only.
    """

    def __init__(self, n_classes: int, *, diagonal: bool = True) -> None:
        self._n_classes = n_classes
        self._reach = (-1, 0, 1) if diagonal else (0,)
        self._n = np.zeros((1, n_classes + 1), np.int64)  # column 0: electrode; row 0: no piece
        self._faces: dict[tuple[int, int, int], list[Face]] = defaultdict(list)

    @property
    def n_pieces(self) -> int:
        """Pieces of blocks added so far: what the numbers of the next block are raised by."""
        return len(self._n) - 1

    def add(self, box: Box, electrode: npt.NDArray[Any], grown: npt.NDArray[np.uint8]) -> None:
        """Add a block; ``grown`` holds 1, 2, … for each class of grown Li, else 0."""
        self.add_block(label_block(box, electrode, grown, self._n_classes)[0])

    def add_block(self, block: Block) -> None:
        """Add what :func:`label_block` found."""
        offset = self.n_pieces
        self._n = np.concatenate([self._n, block.counts])
        for key, face in block.faces:
            self._faces[key].append(Face(face.box, face.packed, face.offset + offset))

    def merge(self, other: Connected) -> None:
        """Add the pieces of ``other``."""
        offset = self.n_pieces
        self._n = np.concatenate([self._n, other._n[1:]])
        for key, faces in other._faces.items():
            self._faces[key] += [Face(f.box, f.packed, f.offset + offset) for f in faces]

    def dead(self, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the voxels per class (columns) of each piece (rows) that holds no electrode."""
        total = self.wholes(shape_zyx)
        dead: Pieces = total[total[:, 0] == 0][:, 1:]
        return dead

    def wholes(self, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the voxels of each whole piece (rows): electrode, then per class (columns)."""
        whole = self.whole_of(shape_zyx)
        total = np.zeros((int(whole.max()) + 1, self._n.shape[1]), np.int64)
        np.add.at(total, whole, self._n)
        some: Pieces = total[1:]
        return some

    def whole_of(self, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the number, from 1, of the whole piece of each piece of a block; 0 stays 0."""
        n = len(self._n)
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._touching(shape_zyx)])
        graph = sparse.coo_array((np.ones(len(pairs), np.bool_), pairs.T), shape=(n, n))
        # number 0 stands first, alone, so its whole is 0
        return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], np.int64)

    def _touching(self, shape_zyx: tuple[int, int, int]) -> Iterator[Pieces]:
        for axis, at, side in sorted(self._faces):
            if side == _BEFORE and 0 < at < shape_zyx[axis]:
                before, after = (self._layer(shape_zyx, axis, at, s) for s in (_BEFORE, _AFTER))
                yield from _neighbours(before, after, self._reach)

    def _layer(self, shape_zyx: tuple[int, int, int], axis: int, at: int, side: int) -> Pieces:
        """Return one layer of the whole volume beside a cut."""
        shape = list(shape_zyx)
        shape[axis] = 1
        out = np.zeros(shape, np.int64)
        for face in self._faces[axis, at, side]:
            place = list(face.box.slices)
            place[axis] = slice(0, 1)
            out[tuple(place)] = face.unpack()
        return out.squeeze(axis)


def _neighbours(before: Pieces, after: Pieces, reach: tuple[int, ...]) -> Iterator[Pieces]:
    """Yield the pairs of pieces that touch from layer to layer, by shifts of ``reach``."""
    for du in reach:
        for dv in reach:
            a = before[max(du, 0) : before.shape[0] + min(du, 0)]
            a = a[:, max(dv, 0) : before.shape[1] + min(dv, 0)]
            b = after[max(-du, 0) : after.shape[0] + min(-du, 0)]
            b = b[:, max(-dv, 0) : after.shape[1] + min(-dv, 0)]
            both = (a > 0) & (b > 0)
            pairs = np.stack([a[both], b[both]], axis=1)
            # along a row the same two pieces touch again and again: most pairs go without a sort
            is_new = np.ones(len(pairs), np.bool_)
            is_new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
            yield np.unique(pairs[is_new], axis=0)
