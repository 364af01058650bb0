"""Dead Li: what no longer connects in three dimensions to the electrode it grew on."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

from tomolith.core import Box, ClassSchema, Grid
from tomolith.errors import InputError
from tomolith.measure.quantities.base import ClassValue, Quantity, Region
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.sides import GROWN

Pieces = npt.NDArray[np.int64]
_ALL_NEIGHBOURS = np.ones((3, 3, 3), np.bool_)
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


class Connected:
    """Connected pieces of Li and the electrode it grew on, exact across block borders.

    Each block is labelled by itself (26 neighbours). Of its pieces stay the number of voxels per
    class and whether any is electrode, and where they meet the faces of the block; at the end,
    pieces that touch across a cut between blocks, also over edges and corners, become one.
    Memory: 8 bytes per class and piece, and the packed faces.

    Source: two-pass labelling with union of equivalent labels, Rosenfeld and Pfaltz, J. ACM 13
    (1966), on blocks instead of lines.
    """

    def __init__(self, n_classes: int) -> None:
        self._n = np.zeros((1, n_classes + 1), np.int64)  # column 0: electrode; row 0: no piece
        self._faces: dict[tuple[int, int, int], list[Face]] = defaultdict(list)

    def add(self, box: Box, electrode: npt.NDArray[Any], grown: npt.NDArray[np.uint8]) -> None:
        """Add a block; ``grown`` holds 1, 2, … for each class of grown Li, else 0."""
        pieces, n = ndimage.label((grown > 0) | electrode, _ALL_NEIGHBOURS, output=np.int32)
        offset = len(self._n) - 1
        chosen = pieces > 0
        joint = pieces[chosen].astype(np.int64) * self._n.shape[1] + grown[chosen]
        counts = np.bincount(joint, minlength=(n + 1) * self._n.shape[1])
        self._n = np.concatenate([self._n, counts.reshape(-1, self._n.shape[1])[1:]])
        for axis in range(3):
            start, stop = box.start_zyx[axis], box.stop_zyx[axis]
            for side, at, index in ((_AFTER, start, 0), (_BEFORE, stop, stop - start - 1)):
                layer = pieces.take([index], axis=axis)
                shape = list(box.start_zyx), list(box.stop_zyx)
                shape[0][axis], shape[1][axis] = start + index, start + index + 1
                outer = Box(tuple(shape[0]), tuple(shape[1]))  # type: ignore[arg-type]
                self._faces[axis, at, side].append(Face.of(outer, layer, offset))

    def merge(self, other: Connected) -> None:
        """Add the pieces of ``other``."""
        offset = len(self._n) - 1
        self._n = np.concatenate([self._n, other._n[1:]])
        for key, faces in other._faces.items():
            self._faces[key] += [Face(f.box, f.packed, f.offset + offset) for f in faces]

    def dead(self, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the voxels per class (columns) of each piece (rows) that holds no electrode."""
        n = len(self._n)
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._touching(shape_zyx)])
        graph = sparse.coo_array((np.ones(len(pairs), np.bool_), pairs.T), shape=(n, n))
        n_wholes, whole = sparse.csgraph.connected_components(graph, directed=False)
        total = np.zeros((n_wholes, self._n.shape[1]), np.int64)
        np.add.at(total, whole, self._n)
        dead: Pieces = total[(total[:, 0] == 0) & (total.sum(axis=1) > 0)][:, 1:]
        return dead

    def _touching(self, shape_zyx: tuple[int, int, int]) -> Iterator[Pieces]:
        for axis, at, side in sorted(self._faces):
            if side == _BEFORE and 0 < at < shape_zyx[axis]:
                before, after = (self._layer(shape_zyx, axis, at, s) for s in (_BEFORE, _AFTER))
                yield from _neighbours(before, after)

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


def _neighbours(before: Pieces, after: Pieces) -> Iterator[Pieces]:
    """Yield the pairs of pieces that touch from layer to layer, by nine shifts."""
    for du in (-1, 0, 1):
        for dv in (-1, 0, 1):
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


class DeadLi(Quantity):
    """Volume in µm³ of Li that no longer connects in 3-D to its electrode.

    Dendrites and deposit belong to the electrode of the plating side, redeposited Li to that of
    the stripping side; voxels connect to all 26 neighbours. Pieces of fewer than ``min_voxels``
    voxels are summed apart: resolution cannot tell whether a thinner link is missing.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts as dead Li.

    Raises
    ------
    InputError
        ``min_voxels`` is below 1.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> box = Box((0, 0, 0), (1, 6, 1))
    >>> dead = DeadLi(PRESETS["li-operando"], Frame.half_depth((1, 6, 1)), min_voxels=1)
    >>> dead.update(Region(np.array([[[1], [0], [2], [0], [2], [1]]], np.uint8), box, box))
    >>> dead.finish(Grid((1, 6, 1), (1.0, 1.0, 1.0)))[0]
    ClassValue(class_name='dendrite', value=1.0)
    """

    unit = "um3"
    formula = "V of the pieces (26 neighbours) of Li without a voxel of the electrode of their side"
    source = "scipy.ndimage.label on the whole array gives the same pieces"
    is_physical = True
    needs = ("electrode", "dendrite", "deposited", "redeposited")

    def __init__(
        self, schema: ClassSchema, frame: Frame | None = None, *, min_voxels: int = 27
    ) -> None:
        super().__init__(schema, frame)
        if min_voxels < 1:
            raise InputError(f"min_voxels is {min_voxels}", expected="1 or more")
        self._min_voxels = min_voxels
        self._sides = {side: Connected(len(names)) for side, names in GROWN.items()}

    @property
    def parts(self) -> tuple[str, ...]:
        """Each class of grown Li, and all of it on each side below the smallest size."""
        names = [name for side in (PLATING, STRIPPING) for name in GROWN[side]]
        return (*names, *(f"{s}, pieces too small to tell" for s in (PLATING, STRIPPING)))

    def update(self, region: Region) -> None:
        """Label the core by itself."""
        labels = region.core_labels
        across = self.frame.across(labels)
        index = np.arange(across.shape[1]) + region.core.start_zyx[self.frame.axis]
        is_high = index[None, :, None] >= self.frame.first_high(region.core)[:, None, :]
        is_high = np.moveaxis(is_high, 1, self.frame.axis)
        electrode = labels == self.schema["electrode"].value
        for side, connected in self._sides.items():
            grown = np.zeros(labels.shape, np.uint8)
            for i, name in enumerate(GROWN[side], start=1):
                grown[labels == self.schema[name].value] = i
            of_side = is_high if side == self.frame.sides[1] else ~is_high
            connected.add(region.core, electrode & of_side, grown)

    def merge(self, other: Self) -> None:
        """Add the pieces of ``other``."""
        for side, connected in self._sides.items():
            connected.merge(other._sides[side])

    def dead_voxels(self, side: str, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the voxels per class (columns) of each dead piece (rows) of a side, any size."""
        return self._sides[side].dead(shape_zyx)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        one = grid.voxel_volume_um3
        large: list[int] = []
        small: list[int] = []
        for side in (PLATING, STRIPPING):
            pieces = self.dead_voxels(side, grid.shape_zyx)
            counts = pieces.sum(axis=1) >= self._min_voxels
            large += [int(n) for n in pieces[counts].sum(axis=0)]
            small.append(int(pieces[~counts].sum()))
        return tuple(
            ClassValue(part, n * one) for part, n in zip(self.parts, large + small, strict=True)
        )
