"""The loops over all voxels, compiled by Numba; they let other threads run.

What they find is small: labels are layers and lumps, so along a line they change at one voxel in a
hundred. The first calls compile, for some eight seconds in all; the result is kept on disk, beside
this file or, where that folder cannot be written, in the user's cache folder (``NUMBA_CACHE_DIR``).

Nothing but :mod:`~tomolith.measure.quantities.runs` and quantities import this module, and only
when a block is counted: importing Numba takes longer than answering ``--help``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from tomolith.measure.quantities.plane import NOWHERE

Labels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Loop = TypeVar("Loop", bound=Callable[..., Any])

VALUES = 256


def _compiled(loop: Loop) -> Loop:
    try:
        return cast("Loop", njit(nogil=True, cache=True)(loop))
    except RuntimeError:  # there is no folder that Numba may write to
        return cast("Loop", njit(nogil=True)(loop))


@_compiled
def _flag(here: Labels, below: Labels, behind: Labels, flags: Labels) -> None:
    """Flag, by not 0, the labels of a line that differ from one below, behind or to the right."""
    last = len(here) - 1
    for x in range(last):
        flags[x] = (here[x] ^ below[x]) | (here[x] ^ behind[x]) | (here[x] ^ here[x + 1])
    flags[last] = (here[last] ^ below[last]) | (here[last] ^ behind[last])


@_compiled
def _flagged(flags: Labels, eight: npt.NDArray[np.uint64], at: Places) -> int:
    """Write the indices of the flags to ``at``; return how many. ``eight`` views them by eight."""
    n = 0
    for i in range(0, len(eight), 8):
        any_here = np.uint64(0)
        for k in range(i, i + 8):
            any_here |= eight[k]
        if any_here == 0:
            continue
        for k in range(i, i + 8):
            if eight[k] != 0:
                for x in range(8 * k, 8 * k + 8):
                    at[n] = x
                    n += flags[x] != 0
    return n


@_compiled
def _longer(values: Any, n: int) -> Any:
    out = np.empty(n, values.dtype)
    out[: len(values)] = values
    return out


@_compiled
def look(labels: Labels, axis: int, plane: Places) -> tuple[Any, ...]:
    """Look at each voxel of a block once, beside its next neighbours along z, y and x.

    One call does it all: between calls a thread has to wait for those that read.

    Parameters
    ----------
    labels
        A block (z, y, x), contiguous.
    axis
        The axis along which columns run; they are numbered in C order over the other two.
    plane
        Per column, the first index on the high side.

    Returns
    -------
    begin, stop, label
        Run i of column c is run ``begin[c] + i``; where it stops, and its label.
    n_by_side
        The number of voxels with each label on each side, (256, 2).
    pairs
        How often labels a and b ≠ a are neighbours, a first, by the side of a; (2, 256, 256).
    """
    column, position, after, pairs = _changes(labels, axis, plane)
    first, c = np.empty(len(plane), np.uint8), 0
    for z in range(1 if axis == 0 else labels.shape[0]):
        for y in range(1 if axis == 1 else labels.shape[1]):
            for x in range(1 if axis == 2 else labels.shape[2]):
                first[c] = labels[z, y, x]
                c += 1
    begin, stop, label = _sort_runs(column, position, after, first, labels.shape[axis])
    return begin, stop, label, _count_sides(begin, stop, label, plane), pairs


@_compiled
def _changes(labels: Labels, axis: int, plane: Places) -> tuple[Any, ...]:
    """Return where labels change along ``axis``, and the pairs of :func:`look`.

    Of each change: the column, the index of the first voxel with the new label, and that label.
    Within a column, the indices ascend.
    """
    n_z, n_y, n_x = labels.shape
    pairs = np.zeros((2, VALUES, VALUES), np.int64)
    eight = np.zeros((n_x + 63) // 64 * 8, np.uint64)
    flags, at = eight.view(np.uint8), np.empty(n_x + 64, np.int32)
    room, n = labels.size // 32 + n_x, 0
    column, position = np.empty(room, np.int32), np.empty(room, np.int32)
    after = np.empty(room, np.uint8)
    for z in range(n_z):
        for y in range(n_y):
            here = labels[z, y]
            below = labels[z, y + 1] if y + 1 < n_y else here
            behind = labels[z + 1, y] if z + 1 < n_z else here
            _flag(here, below, behind, flags)
            n_here = _flagged(flags, eight, at)
            if n + n_here > room:
                room = 2 * (n + n_here)
                column, position = _longer(column, room), _longer(position, room)
                after = _longer(after, room)
            column_0 = y * n_x if axis == 0 else z * n_x if axis == 1 else z * n_y + y
            position_0 = z if axis == 0 else y if axis == 1 else 0
            for i in range(n_here):  # without a branch: which labels differ cannot be foreseen
                x = at[i]
                one, right = here[x], here[min(x + 1, n_x - 1)]
                new = behind[x] if axis == 0 else below[x] if axis == 1 else right
                c = column_0 + (0 if axis == 2 else x)
                p = position_0 + (x if axis == 2 else 0)
                side = 1 if p >= plane[c] else 0
                column[n], position[n], after[n] = c, p + 1, new
                n += one != new
                pairs[side, one, behind[x]] += 1
                pairs[side, one, below[x]] += 1
                pairs[side, one, right] += 1
    for value in range(VALUES):
        pairs[:, value, value] = 0
    return column[:n], position[:n], after[:n], pairs


@_compiled
def _sort_runs(
    column: Places, position: Places, after: Labels, first: Labels, length: int
) -> tuple[Any, ...]:
    """Sort changes by column, so that each column is a row of runs.

    ``first`` is the label at the beginning of each column, ``length`` the voxels of a column.
    """
    n_columns = len(first)
    begin = np.ones(n_columns + 1, np.int32)
    begin[0] = 0
    for c in column:
        begin[c + 1] += 1
    for c in range(n_columns):
        begin[c + 1] += begin[c]
    stop, label = np.empty(begin[-1], np.int32), np.empty(begin[-1], np.uint8)
    last = begin[:-1].copy()  # the run of each column that has begun
    for c in range(n_columns):
        label[last[c]] = first[c]
    for i in range(len(column)):
        c = column[i]
        stop[last[c]] = position[i]
        last[c] += 1
        label[last[c]] = after[i]
    for c in range(n_columns):
        stop[last[c]] = length
    return begin, stop, label


@_compiled
def _count_sides(begin: Places, stop: Places, label: Labels, plane: Places) -> Any:
    """Return the number of voxels with each label on each side, (256, 2)."""
    n = np.zeros((VALUES, 2), np.int64)
    for c in range(len(plane)):
        start = 0
        for i in range(begin[c], begin[c + 1]):
            n_low = min(stop[i], plane[c]) - min(start, plane[c])
            n[label[i], 0] += n_low
            n[label[i], 1] += stop[i] - start - n_low
            start = stop[i]
    return n


@_compiled
def count_classes(begin: Places, stop: Places, label: Labels, place: Places) -> Places:
    """Return the voxels of each class per column, (n_classes, n_columns).

    ``place`` is the place of each label in the result, (256,); negative where it has none.
    """
    counts = np.zeros((place.max() + 1, len(begin) - 1), np.int32)
    for c in range(len(begin) - 1):
        start = 0
        for i in range(begin[c], begin[c + 1]):
            if place[label[i]] >= 0:
                counts[place[label[i]], c] += stop[i] - start
            start = stop[i]
    return counts


@_compiled
def count_label(begin: Places, stop: Places, label: Labels, plane: Places, value: int) -> Places:
    """Return the voxels of one label per side and column, (2, n_columns)."""
    counts = np.zeros((2, len(plane)), np.int32)
    for c in range(len(plane)):
        start = 0
        for i in range(begin[c], begin[c + 1]):
            if label[i] == value:
                n_low = min(stop[i], plane[c]) - min(start, plane[c])
                counts[0, c] += n_low
                counts[1, c] += stop[i] - start - n_low
            start = stop[i]
    return counts


@_compiled
def find_ends(
    begin: Places, stop: Places, label: Labels, plane: Places, value: int, first: int
) -> Places:
    """Return where a label begins and stops in each column on the low, then on the high side.

    What goes through the plane ends there on the low side, and begins there on the high side.
    Index 0 of the columns is index ``first`` of the volume.

    Returns
    -------
    Places
        Shape (4, n_columns): -start and stop on the low side, -start and stop on the high side, in
        indices of the volume; ``NOWHERE`` where the label does not occur.
    """
    ends = np.full((4, len(plane)), NOWHERE, np.int32)
    for c in range(len(plane)):
        start = 0
        for i in range(begin[c], begin[c + 1]):
            if label[i] == value and start < plane[c]:
                ends[0, c] = max(ends[0, c], -(start + first))
                ends[1, c] = min(stop[i], plane[c]) + first
            if label[i] == value and stop[i] > plane[c]:
                ends[2, c] = max(ends[2, c], -(max(start, plane[c]) + first))
                ends[3, c] = stop[i] + first
            start = stop[i]
    return ends


@_compiled
def find_voids(
    begin: Places, stop: Places, label: Labels, values: tuple[int, int, int], upwards: bool
) -> tuple[Places, Flags]:
    """Look along each column for pits below redeposited Li.

    Parameters
    ----------
    begin, stop, label
        The runs.
    values
        The labels of pits, redeposited Li and electrode.
    upwards
        Whether the column is seen from its beginning; from its end otherwise.

    Returns
    -------
    n
        The voxels of pits, and those of them before the last redeposited Li; (2, n_columns).
    has
        Whether there is redeposited Li, some right after a pit, some right after an electrode;
        (3, n_columns).
    """
    pit, filled, electrode = values
    n_columns = len(begin) - 1
    n, has = np.zeros((2, n_columns), np.int32), np.zeros((3, n_columns), np.bool_)
    for c in range(n_columns):
        before = VALUES  # no label
        for k in range(begin[c + 1] - begin[c]):
            i = begin[c] + k if upwards else begin[c + 1] - 1 - k
            if label[i] == pit:
                n[0, c] += stop[i] - (stop[i - 1] if i > begin[c] else 0)
            elif label[i] == filled:
                n[1, c] = n[0, c]
                has[0, c] = True
                has[1, c] |= before == pit
                has[2, c] |= before == electrode
            before = label[i]
    return n, has


@_compiled
def sum_face(face: Places) -> tuple[Any, ...]:
    """Sum up a map of whole numbers over the plan, (n_u, n_v), where it is not ``NOWHERE``.

    Returns
    -------
    n_of_u, n_of_v
        How many columns are known at each u, and at each v.
    h_of_u, h_of_v
        The sums of their numbers.
    uv, hh
        The sums of u · v and of the squares, over all columns that are known.
    """
    n_u, n_v = face.shape
    n_of_u, h_of_u = np.zeros(n_u, np.int64), np.zeros(n_u, np.int64)
    n_of_v, h_of_v = np.zeros(n_v, np.int64), np.zeros(n_v, np.int64)
    uv = hh = np.int64(0)
    for u in range(n_u):
        for v in range(n_v):
            known = np.int64(face[u, v] != NOWHERE)
            h = known * face[u, v]
            n_of_u[u] += known
            n_of_v[v] += known
            h_of_u[u] += h
            h_of_v[v] += h
            uv += known * u * v
            hh += h * h
    return n_of_u, n_of_v, h_of_u, h_of_v, uv, hh
