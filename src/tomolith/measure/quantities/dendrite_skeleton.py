"""Skeletons of dendrites: how long they are and where they branch."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tomolith.core import Box, ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Region
from tomolith.measure.quantities.dendrite_pieces import (
    DENDRITE,
    MIN_VOXELS,
    NO_RULE,
    DendriteQuantity,
    dendrite_block,
)
from tomolith.measure.quantities.frame import Frame

Mask = npt.NDArray[np.bool_]
Step = tuple[int, int, int]
_SOURCE = "thinning of Lee, Kashyap and Chu, CVGIP 56, 462 (1994), by skimage.skeletonize"
_LARGEST_VOXELS = 2**27
_ALL_NEIGHBOURS = np.ones((3, 3, 3), np.bool_)
# one of each two opposite directions
_STEPS: tuple[Step, ...] = tuple(
    (z, y, x) for z, y, x in product((-1, 0, 1), repeat=3) if (z, y, x) > (0, 0, 0)
)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What a skeleton holds.

    Parameters
    ----------
    n_steps
        How often it steps in each direction; of opposite directions one is named.
    n_branchings, n_ends
        Places where three or more arms meet, and ends of arms.
    """

    n_steps: dict[Step, int]
    n_branchings: int
    n_ends: int

    def length_um(self, voxel_size_um: tuple[float, float, float]) -> float:
        """Return the length of all steps."""
        return math.fsum(
            n * math.sqrt(sum((d * size) ** 2 for d, size in zip(step, voxel_size_um, strict=True)))
            for step, n in sorted(self.n_steps.items())
        )


def skeleton_of(mask: Mask) -> Skeleton:
    """Thin a piece to lines and follow them.

    Where two voxels of the skeleton touch over an edge or a corner, and also by way of a third one
    over shorter steps, only the shorter steps count. Places with three or more steps that touch
    are one branching.

    Examples
    --------
    >>> cross = np.zeros((1, 7, 9), bool)
    >>> cross[0, 3, :] = cross[0, :, 4] = True
    >>> found = skeleton_of(cross)
    >>> found.length_um((1.0, 1.0, 1.0)), found.n_branchings, found.n_ends
    (14.0, 1, 4)
    """
    from skimage.morphology import skeletonize  # skimage takes long to import

    lines = np.pad(skeletonize(mask, method="lee") > 0, 1)  # type: ignore[no-untyped-call]
    degree = np.zeros(lines.shape, np.int8)
    n_steps = {}
    for step in _STEPS:
        taken = lines & _moved(lines, step)
        for shorter in _shorter(step):
            taken &= ~_moved(lines, shorter)
        n_steps[step] = int(np.count_nonzero(taken))
        degree += taken
        degree += _moved(taken, (-step[0], -step[1], -step[2]))
    n_branchings = ndimage.label(degree > 2, _ALL_NEIGHBOURS)[1]
    return Skeleton(n_steps, int(n_branchings), int(np.count_nonzero(degree == 1)))


def _moved(mask: Mask, step: Step) -> Mask:
    """Return at each voxel what lies one step away; the rim is empty, so nothing wraps around."""
    return np.roll(mask, (-step[0], -step[1], -step[2]), axis=(0, 1, 2))


def _shorter(step: Step) -> Iterator[Step]:
    """Yield the steps that lead to a third voxel on a way from end to end over shorter steps."""
    dz, dy, dx = step
    for z, y, x in product({0, dz}, {0, dy}, {0, dx}):
        if (z, y, x) not in ((0, 0, 0), step):
            yield z, y, x


class _SkeletonQuantity(DendriteQuantity):
    """Keeps the voxels of dendrites, packed, to thin them whole, one after the other.

    Memory: below one bit per voxel of the boxes around the pieces; at the end about three bytes per
    voxel of the box around the largest.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.
    max_box_voxels
        A dendrite whose box holds more voxels cannot be thinned within memory; there is then no
        number.
    """

    source = _SOURCE
    no_interval = NO_RULE

    def __init__(
        self,
        schema: ClassSchema,
        frame: Frame | None = None,
        *,
        min_voxels: int = MIN_VOXELS,
        max_box_voxels: int = _LARGEST_VOXELS,
    ) -> None:
        super().__init__(schema, frame, min_voxels=min_voxels)
        self._max_box_voxels = max_box_voxels
        self._masks: list[tuple[int, Box, bytes]] = []

    def update(self, region: Region) -> None:
        """Pack the dendrites of the core."""
        found = dendrite_block(region, self.schema, self._min_voxels)
        key = ("packed_dendrites", self._min_voxels)
        if key not in region.cache:
            region.cache[key] = list(_packed(found.pieces, found.fate, found.box))
        offset = self._connected.n_pieces
        self._masks += [(i + offset, box, packed) for i, box, packed in region.cache[key]]
        super().update(region)

    def merge(self, other: Self) -> None:
        """Add what ``other`` packed."""
        offset = self._connected.n_pieces
        self._masks += [(i + offset, box, packed) for i, box, packed in other._masks]
        super().merge(other)

    @property
    def why_not(self) -> str:
        """Why there is no number where :meth:`skeletons` gives none."""
        return f"the box around a dendrite holds more than {self._max_box_voxels} voxels"

    def skeletons(self, grid: Grid) -> list[Skeleton] | None:
        """Return the skeleton of each dendrite; ``None`` where one is too large."""
        whole, counts = self.counting(grid)
        pieces: dict[int, list[tuple[Box, bytes]]] = defaultdict(list)
        for i, box, packed in self._masks:
            if counts[whole[i]]:
                pieces[int(whole[i])].append((box, packed))
        boxes = {key: _around([box for box, _ in found]) for key, found in pieces.items()}
        if any(box.n_voxels > self._max_box_voxels for box in boxes.values()):
            return None
        return [skeleton_of(_unpacked(boxes[key], found)) for key, found in pieces.items()]


def _packed(
    pieces: npt.NDArray[np.int32], fate: npt.NDArray[np.int8], around: Box
) -> Iterator[tuple[int, Box, bytes]]:
    """Yield number, box and packed voxels of the pieces of a block that may count."""
    z, y, x = around.start_zyx
    for i, part in enumerate(ndimage.find_objects(pieces), start=1):
        if fate[i]:
            a, b, c = part
            box = Box((a.start + z, b.start + y, c.start + x), (a.stop + z, b.stop + y, c.stop + x))
            yield i, box, zlib.compress(np.packbits(pieces[part] == i).tobytes(), 1)


def _around(boxes: list[Box]) -> Box:
    """Return the box around all boxes."""
    start = np.min([box.start_zyx for box in boxes], axis=0).tolist()
    stop = np.max([box.stop_zyx for box in boxes], axis=0).tolist()
    return Box(tuple(start), tuple(stop))


def _unpacked(around: Box, pieces: list[tuple[Box, bytes]]) -> Mask:
    """Return a whole dendrite, put together from its pieces."""
    out = np.zeros(around.shape_zyx, np.bool_)
    for box, packed in pieces:
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
        mask = np.unpackbits(bits, count=box.n_voxels).view(np.bool_).reshape(box.shape_zyx)
        out[box.relative_to(around).slices] |= mask
    return out


class SkeletonLength(_SkeletonQuantity):
    """Length in µm of the skeletons of all dendrites; ``None`` where one is too large to thin.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.
    max_box_voxels
        A dendrite whose box holds more voxels cannot be thinned within memory; there is then no
        number.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> box = Box((0, 0, 0), (1, 8, 1))
    >>> length = SkeletonLength(PRESETS["li-operando"], min_voxels=1)
    >>> length.update(Region(np.full((1, 8, 1), 2, np.uint8), box, box))
    >>> length.finish(Grid((1, 8, 1), (1.0, 2.0, 1.0)))
    (ClassValue(class_name='dendrite', value=14.0),)
    """

    unit = "um"
    formula = "steps from voxel to voxel along the thinned dendrites, corners not cut"
    is_physical = True

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the length; ``InputError`` where the voxel size is unknown."""
        sizes, found = grid.require_voxel_size_um("a length"), self.skeletons(grid)
        if found is None:
            return (ClassValue(DENDRITE, None, self.why_not),)
        return (ClassValue(DENDRITE, math.fsum(s.length_um(sizes) for s in found)),)


class BranchingPoints(_SkeletonQuantity):
    """Number of places where skeletons of dendrites branch, and of their ends.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.
    max_box_voxels
        A dendrite whose box holds more voxels cannot be thinned within memory; there is then no
        number.
    """

    unit = "1"
    formula = "groups of voxels of the thinned dendrites with three or more steps; those with one"

    @property
    def parts(self) -> tuple[str, ...]:
        """Branchings, and ends."""
        return DENDRITE, f"{DENDRITE}, ends"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the numbers; ``None`` where a dendrite is too large to thin."""
        found = self.skeletons(grid)
        if found is None:
            return tuple(ClassValue(part, None, self.why_not) for part in self.parts)
        numbers = sum(s.n_branchings for s in found), sum(s.n_ends for s in found)
        return tuple(ClassValue(p, n) for p, n in zip(self.parts, numbers, strict=True))
