"""Class counts per column of the cell, on either side of the plane that parts the electrodes."""

from __future__ import annotations

from functools import reduce
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema
from tomolith.measure.quantities.base import Counts, Quantity, Region
from tomolith.measure.quantities.changes import changes
from tomolith.measure.quantities.frame import Frame, PlanKey

Columns = npt.NDArray[np.int32]


def column_counts(region: Region, frame: Frame, value: int) -> Columns:
    """Return how many voxels of the core bear ``value``, per side and column.

    Returns
    -------
    Columns
        Shape (2, n_u, n_v): the side at small and the side at large indices.

    Examples
    --------
    >>> from tomolith.core import Box
    >>> box = Box((0, 0, 0), (1, 4, 2))
    >>> labels = np.array([[[1, 0], [1, 0], [0, 0], [1, 1]]], np.uint8)
    >>> column_counts(Region(labels, box, box), Frame.half_depth((1, 4, 2)), 1).tolist()
    [[[2, 0]], [[1, 1]]]
    """
    key = ("column_counts", frame)
    if key not in region.cache:
        region.cache[key] = _column_counts(region, frame)
    found: dict[int, Columns] = region.cache[key]
    return found[value] if value in found else np.zeros_like(next(iter(found.values())))


def first_high_inside(region: Region, frame: Frame) -> Columns:
    """Return, per column, the first index in the core on the high side; its length if none is."""
    first = frame.first_high(region.core) - region.core.start_zyx[frame.axis]
    return np.clip(first, 0, region.core.shape_zyx[frame.axis]).astype(np.int32)


def _column_counts(region: Region, frame: Frame) -> dict[int, Columns]:
    """Return the counts of each label value: where its stretches end less where they begin.

    Each column is cut at the plane, so that what crosses it ends there, and begins anew.
    """
    found, first_high = changes(region, frame.axis), first_high_inside(region, frame)
    plane, n, values = first_high.ravel(), first_high.size, found.present()
    rank = np.zeros(256, np.intp)
    rank[values] = np.arange(len(values)) * n  # of each value, where its columns begin
    n_side = len(values) * n
    sums = np.zeros(2 * n_side)  # of whole numbers: exact
    for part in found.parts():
        place = part.column + n_side * (part.position > plane[part.column])
        sums += np.bincount(place + rank[part.before], part.position, 2 * n_side)
        sums -= np.bincount(place + rank[part.after], part.position, 2 * n_side)
    u, v = np.ogrid[: first_high.shape[0], : first_high.shape[1]]
    crossing = frame.across(region.core_labels)[u, np.minimum(first_high, found.length - 1), v]
    for labels, at, side in (
        (crossing, plane, 0),
        (crossing, -plane, 1),
        (found.last, found.length, 1),
    ):
        sums[side * n_side + rank[labels.ravel()] + np.arange(n)] += at
    counts = sums.astype(np.int32).reshape(2, len(values), *first_high.shape)
    return {int(value): counts[:, i].copy() for i, value in enumerate(values)}


def assemble(
    pieces: dict[PlanKey, npt.NDArray[Any]], plan_shape: tuple[int, int], fill: int = 0
) -> npt.NDArray[Any]:
    """Return the whole map of pieces that tile the plan; axes (…, u, v)."""
    first = next(iter(pieces.values()))
    out = np.full((*first.shape[:-2], *plan_shape), fill, first.dtype)
    for (u0, u1, v0, v1), piece in pieces.items():
        out[..., u0:u1, v0:v1] = piece
    return out


class AnalysedColumns:
    """Counts the columns that hold at least one voxel with a class: the analysed plan.

    What an analysis region leaves out is unlabelled, and no part of any area. Memory: one byte per
    column.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> columns = AnalysedColumns(PRESETS["li-binary"], Frame.half_depth((1, 2, 3)))
    >>> box = Box((0, 0, 0), (1, 2, 3))
    >>> columns.update(Region(np.array([[[0, 1, 255], [255, 255, 255]]], np.uint8), box, box))
    >>> columns.n
    2
    """

    def __init__(self, schema: ClassSchema, frame: Frame) -> None:
        self._schema, self._frame = schema, frame
        self._seen: dict[PlanKey, npt.NDArray[np.bool_]] = {}

    def update(self, region: Region) -> None:
        """Note the labelled columns of the core."""
        key = ("analysed_columns", self._frame)
        if key not in region.cache:
            counts = (column_counts(region, self._frame, v) for v in self._schema.values)
            region.cache[key] = reduce(np.logical_or, (c.any(axis=0) for c in counts))
        self._add(self._frame.plan_key(region.core), region.cache[key])

    def merge(self, other: Self) -> None:
        """Add what ``other`` noted."""
        for key, seen in other._seen.items():
            self._add(key, seen)

    def _add(self, key: PlanKey, seen: npt.NDArray[np.bool_]) -> None:
        self._seen[key] = self._seen[key] | seen if key in self._seen else seen

    @property
    def n(self) -> int:
        """Number of these columns."""
        return sum(int(np.count_nonzero(seen)) for seen in self._seen.values())


class SidesQuantity(Quantity):
    """A quantity that follows from the number of voxels of each class on each side."""

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._n: Counts = np.zeros((256, 2), np.int64)

    def update(self, region: Region) -> None:
        """Count the classes of the core on each side."""
        for value in self.schema.values:
            self._n[value] += column_counts(region, self.frame, value).sum(axis=(1, 2))

    def merge(self, other: Self) -> None:
        """Add the counts of ``other``."""
        self._n += other._n

    def count(self, class_name: str, side: str | None = None) -> int:
        """Return the number of voxels of a class, on one side or on both; 0 for no such class."""
        if class_name not in self.schema.names:
            return 0
        n = self._n[self.schema[class_name].value]
        return int(n.sum() if side is None else n[self.frame.sides.index(side)])
