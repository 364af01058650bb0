"""Where labels change from voxel to voxel: the few places from which all counts follow.

Labels are layers and lumps: along a line they change at one voxel in a hundred. Counts per column,
ends of layers and faces between classes are worked out from these places alone, so a block is
looked through once along each axis and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.measure.quantities.base import Counts, Region

Places = npt.NDArray[np.int32]
Ends = tuple[Places, Places]
Labels = npt.NDArray[np.uint8]
_AT_ONCE = 2**20  # changes: what is made of them for a moment takes some ten bytes each
_VALUES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """The changes along one axis of a block.

    Columns run along the axis; they are numbered in C order over the other two axes.

    Parameters
    ----------
    plan_shape
        Number of columns along the other two axes, in the order of the volume's axes.
    length
        Voxels of a column.
    column, position
        Of each change: its column, and the index in the block of the first voxel with the new
        label, 1 to ``length`` - 1. They are not sorted.
    before, after
        The labels on either side.
    first, last
        Labels at the ends of each column, shape ``plan_shape``.
    """

    plan_shape: tuple[int, int]
    length: int
    column: Places
    position: Places
    before: Labels
    after: Labels
    first: Labels
    last: Labels

    def reversed(self) -> Changes:
        """Return the same, seen from the other end."""
        return replace(
            self,
            position=self.length - self.position,
            before=self.after,
            after=self.before,
            first=self.last,
            last=self.first,
        )

    def parts(self) -> Iterator[Changes]:
        """Yield the changes some at a time, so that what is made of them takes little memory."""
        for start in range(0, len(self.column), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            yield replace(
                self,
                column=self.column[some],
                position=self.position[some],
                before=self.before[some],
                after=self.after[some],
            )

    def ends_of(self, value: int) -> tuple[Ends, Ends]:
        """Return column and position where stretches of ``value`` begin, and where they end.

        Stretches also begin and end with their column, at 0 and at ``length``.
        """
        ends, n = [], self.length
        for labels, outermost, at in ((self.after, self.first, 0), (self.before, self.last, n)):
            which, columns = labels == value, np.flatnonzero(outermost == value).astype(np.int32)
            column = np.concatenate([self.column[which], columns])
            ends.append((column, np.concatenate([self.position[which], np.full_like(columns, at)])))
        return ends[0], ends[1]

    def present(self) -> npt.NDArray[np.intp]:
        """Return the label values that occur, in order."""
        n = np.bincount(self.first.ravel(), minlength=_VALUES)
        for part in self.parts():
            n += np.bincount(part.after, minlength=_VALUES)
        return np.flatnonzero(n)

    def count(self) -> Counts:
        """Return the number of voxels with each label value, shape (256,).

        A stretch adds where it ends and takes away where it begins.
        """
        n = self.length * np.bincount(self.last.ravel(), minlength=_VALUES).astype(np.int64)
        for part in self.parts():
            by_pair = _rows(np.bincount(_codes(part.before, part.after), part.position))
            n[: len(by_pair)] += by_pair.sum(axis=1).astype(np.int64)
            n -= by_pair.sum(axis=0).astype(np.int64)
        return n

    def pairs(self) -> Counts:
        """Return how often label a is followed by label b, shape (256, 256), along the axis."""
        pairs = Pairs()
        for part in self.parts():
            pairs.add(part.before, part.after)
        return pairs.counts()


def summed(keys: npt.NDArray[Any], values: npt.NDArray[Any], n: int) -> Counts:
    """Return the sum of ``values`` by key, shape (n,); exact below 2⁵³."""
    return np.bincount(keys, values, n).astype(np.int64)


def _codes(before: Labels, after: Labels) -> npt.NDArray[np.intp]:
    return before.astype(np.intp) * _VALUES + after


def _rows(by_code: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return counts by code as rows of 256, as many as there are."""
    n_rows = -(-len(by_code) // _VALUES)
    return np.pad(by_code, (0, n_rows * _VALUES - len(by_code))).reshape(n_rows, _VALUES)


class Pairs:
    """Counts pairs of labels as they come: how often label a is followed by label b.

    Examples
    --------
    >>> pairs = Pairs()
    >>> pairs.add(np.array([1, 1], np.uint8), np.array([2, 2], np.uint8))
    >>> pairs.counts()[1, 2]
    np.int64(2)
    """

    def __init__(self) -> None:
        self._counts: Counts = np.zeros((_VALUES, _VALUES), np.int64)
        self._waiting: list[tuple[Labels, Labels]] = []
        self._n_waiting = 0
        self._has_counted = False

    @classmethod
    def of(cls, before: Labels, after: Labels) -> Counts:
        """Return the counts of some pairs, shape (256, 256)."""
        pairs = cls()
        pairs.add(before, after)
        return pairs.counts()

    def add(self, before: Labels, after: Labels) -> None:
        """Add pairs; they are counted many at a time."""
        self._waiting.append((before, after))
        self._n_waiting += len(before)
        if self._n_waiting > _AT_ONCE:
            self._count()

    def merge(self, other: Pairs) -> None:
        """Add the pairs of ``other``."""
        for before, after in other._waiting:
            self.add(before, after)
        if other._has_counted:
            self._counts += other._counts
            self._has_counted = True

    def counts(self) -> Counts:
        """Return how often each pair occurs, shape (256, 256)."""
        self._count()
        return self._counts

    def _count(self) -> None:
        if self._waiting:
            before, after = (np.concatenate(p) for p in zip(*self._waiting, strict=True))
            found = _rows(np.bincount(_codes(before, after)))
            self._counts[: len(found)] += found
            self._has_counted = True
        self._waiting, self._n_waiting = [], 0


def changes(region: Region, axis: int) -> Changes:
    """Return the changes along an axis of the core, found once for all quantities that ask.

    Examples
    --------
    >>> from tomolith.core import Box
    >>> box = Box((0, 0, 0), (1, 4, 2))
    >>> labels = np.array([[[1, 0], [1, 0], [0, 0], [0, 2]]], np.uint8)
    >>> found = changes(Region(labels, box, box), 1)
    >>> found.column.tolist(), found.position.tolist(), found.after.tolist()
    ([0, 1], [2, 3], [0, 2])
    """
    key = ("changes", axis)
    if key not in region.cache:
        region.cache[key] = _changes(np.moveaxis(region.core_labels, axis, 1))
    found: Changes = region.cache[key]
    return found


def any_changes(region: Region) -> Changes:
    """Return the changes along an axis that was looked along before; else along y."""
    known = (axis for axis in (1, 0, 2) if ("changes", axis) in region.cache)
    return changes(region, next(known, 1))


def _changes(labels: npt.NDArray[Any]) -> Changes:
    """Look through labels (u, along, v), one cut at a time, so that it stays in the cache."""
    n_u, length, n_v = labels.shape
    buffer = np.empty((length - 1) * n_v, np.bool_)
    places: list[tuple[Places, Places]] = []
    values: list[tuple[Labels, Labels]] = []
    for u in range(n_u):
        cut = np.ascontiguousarray(labels[u]).ravel()
        at = differing(cut[:-n_v], cut[n_v:], buffer)
        position, v = np.divmod(at.astype(np.int32), np.int32(n_v))
        places.append((v + np.int32(u * n_v), position + np.int32(1)))
        values.append((cut[at], cut[at + n_v]))
    column, position = (np.concatenate(part) for part in zip(*places, strict=True))
    before, after = (np.concatenate(part) for part in zip(*values, strict=True))
    first, last = labels[:, 0].copy(), labels[:, -1].copy()
    return Changes((n_u, n_v), length, column, position, before, after, first, last)


def differing(a: Labels, b: Labels, buffer: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return where two rows of labels differ, in order.

    Eight labels are compared at a time, and one by one where these differ.

    Parameters
    ----------
    a, b
        Of the same length, contiguous.
    buffer
        As long at least; it is overwritten.
    """
    n = len(a) // 8
    eight_a, eight_b = (row[: 8 * n].view(np.uint64) for row in (a, b))
    words = np.flatnonzero(np.not_equal(eight_a, eight_b, out=buffer[:n]))
    inner = np.flatnonzero(eight_a[words].view(np.uint8) != eight_b[words].view(np.uint8))
    rest = 8 * n + np.flatnonzero(a[8 * n :] != b[8 * n :])
    return np.concatenate([8 * words[inner >> 3] + (inner & 7), rest])
