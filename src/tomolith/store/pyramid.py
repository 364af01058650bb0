"""Smaller copies of an array, for viewers: built piece by piece from disk to disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, Grid
from tomolith.core.box import Triple
from tomolith.store.array import StoredArray

Reduce = Callable[[npt.NDArray[Any], Triple], npt.NDArray[Any]]

_SMALL_ENOUGH = 256  # voxels along the longest axis of the last level


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a pyramid.

    Parameters
    ----------
    index
        0 is full size; also the name of the level's folder.
    shape_zyx
        Number of voxels.
    factor_zyx
        How many full-size voxels one voxel covers along each axis.
    step_zyx
        The same with respect to the level before.
    """

    index: int
    shape_zyx: Triple
    factor_zyx: Triple = (1, 1, 1)
    step_zyx: Triple = (1, 1, 1)


def plan_levels(grid: Grid) -> tuple[Level, ...]:
    """Return the levels that a pyramid over ``grid`` has.

    Axes are halved only while their voxels are less than twice as long as the
    shortest, so that strongly anisotropic voxels grow towards cubes. Along z,
    sections are never joined.

    Examples
    --------
    >>> [level.shape_zyx for level in plan_levels(Grid((64, 600, 601), None))]
    [(64, 600, 601), (32, 300, 301), (16, 150, 151)]
    >>> [level.factor_zyx for level in plan_levels(Grid((90, 600, 600), (4.0, 1.0, 1.0)))]
    [(1, 1, 1), (1, 2, 2), (1, 4, 4)]
    """
    levels = [Level(0, grid.shape_zyx)]
    size = grid.voxel_size_um or (1.0, 1.0, 1.0)
    axes = (1, 2) if grid.sections else (0, 1, 2)
    while True:
        last = levels[-1]
        open_axes = [axis for axis in axes if last.shape_zyx[axis] > 1]
        if max((last.shape_zyx[axis] for axis in open_axes), default=1) <= _SMALL_ENOUGH:
            return tuple(levels)
        now = [s * f for s, f in zip(size, last.factor_zyx, strict=True)]
        shortest = min(now[axis] for axis in open_axes)
        steps = [2 if axis in open_axes and now[axis] < 2 * shortest else 1 for axis in range(3)]
        step = (steps[0], steps[1], steps[2])
        z, y, x = (-(-n // s) for n, s in zip(last.shape_zyx, step, strict=True))
        a, b, c = (f * s for f, s in zip(last.factor_zyx, step, strict=True))
        levels.append(Level(last.index + 1, (z, y, x), (a, b, c), step))


def reduce_mean(block: npt.NDArray[Any], step_zyx: Triple) -> npt.NDArray[Any]:
    """Return the local mean; integers are rounded to the nearest.

    Examples
    --------
    >>> reduce_mean(np.array([[[1, 2, 7]]], np.uint8), (1, 1, 2))
    array([[[2, 7]]], dtype=uint8)
    """
    is_float = block.dtype.kind == "f"
    total: Any = 0
    parts = _corners(block, step_zyx)
    for part in parts:
        total = total + part.astype(
            np.float32 if is_float else np.int64 if block.dtype.itemsize > 2 else np.int32
        )
    if is_float:
        return np.asarray(total / len(parts), block.dtype)
    return np.asarray((total + len(parts) // 2) // len(parts), block.dtype)


def reduce_mode(
    block: npt.NDArray[Any], step_zyx: Triple, values: Sequence[int]
) -> npt.NDArray[Any]:
    """Return the most frequent of ``values``; of equally frequent ones the first.

    Examples
    --------
    >>> reduce_mode(np.array([[[1, 0], [1, 5]]], np.uint8), (1, 2, 2), (0, 1, 5))
    array([[[1]]], dtype=uint8)
    """
    parts = _corners(block, step_zyx)
    best = np.full(parts[0].shape, values[0], block.dtype)
    most = np.zeros(parts[0].shape, np.uint8)
    for value in values:
        count = np.zeros(parts[0].shape, np.uint8)
        for part in parts:
            count += part == value
        more = count > most
        best[more] = value
        np.maximum(most, count, out=most)
    return best


def build_level(source: StoredArray, target: StoredArray, level: Level, reduce: Reduce) -> None:
    """Fill ``target`` with ``source`` reduced by ``level.step_zyx``, and sync it.

    Whole shards of the target are written at a time; the source is read in pieces of
    two chunks a side, so memory does not grow with the volume.

    Raises
    ------
    IntegrityError
        The source cannot be read back.
    DiskError
        The target cannot be written.
    """
    a, b, c = (2 * n for n in source.layout.chunk_zyx)
    leads = itertools.product(*(range(n) for n in target.shape[:-3]))
    whole = Box.whole(level.shape_zyx)
    source_shape = Box.whole((source.shape[-3], source.shape[-2], source.shape[-1]))
    for lead in leads:
        at = tuple(slice(k, k + 1) for k in lead)
        for shard in whole.tiles(target.layout.shard_zyx):
            out = np.empty(shard.shape_zyx, target.dtype)
            needed = _scaled(shard, level.step_zyx).intersect(source_shape)
            for piece in needed.tiles((a, b, c)):
                block = np.asarray(source[(*at, *piece.slices)]).reshape(piece.shape_zyx)
                small = reduce(block, level.step_zyx)
                start = [p // s for p, s in zip(piece.start_zyx, level.step_zyx, strict=True)]
                stop = [p + n for p, n in zip(start, small.shape, strict=True)]
                place = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
                out[place.relative_to(shard).slices] = small
            target[(*at, *shard.slices)] = out.reshape((1,) * len(at) + shard.shape_zyx)
    target.sync()


def _scaled(box: Box, step_zyx: Triple) -> Box:
    start = [a * s for a, s in zip(box.start_zyx, step_zyx, strict=True)]
    stop = [b * s for b, s in zip(box.stop_zyx, step_zyx, strict=True)]
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _corners(block: npt.NDArray[Any], step_zyx: Triple) -> list[npt.NDArray[Any]]:
    """Return the strided views whose common mean or mode is wanted.

    A block that ends in half a cell is continued by its last plane.
    """
    pads = [(0, -n % s) for n, s in zip(block.shape, step_zyx, strict=True)]
    if any(after for _, after in pads):
        block = np.pad(block, pads, mode="edge")
    return [
        block[tuple(slice(o, None, s) for o, s in zip(offset, step_zyx, strict=True))]
        for offset in itertools.product(*(range(s) for s in step_zyx))
    ]
