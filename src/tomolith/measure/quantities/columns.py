"""Class counts per column of the cell, on either side of the plane that parts the electrodes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema
from tomolith.measure.quantities.base import Counts, Quantity, Region
from tomolith.measure.quantities.frame import Frame, PlanKey
from tomolith.measure.quantities.runs import look_through

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
    from tomolith.measure.quantities import compiled

    runs = look_through(region, frame).runs
    counts = compiled.count_label(runs.begin, runs.stop, runs.label, runs.plane, value)
    return counts.reshape(2, *runs.plan_shape)


def class_columns(region: Region, frame: Frame, schema: ClassSchema) -> Columns:
    """Return the voxels of each class per column, both sides together, (n_classes, n_u, n_v)."""
    from tomolith.measure.quantities import compiled

    key = ("class_columns", frame, schema.values)
    if key not in region.cache:
        runs, place = look_through(region, frame).runs, np.full(256, -1, np.int32)
        place[list(schema.values)] = np.arange(len(schema))
        counts = compiled.count_classes(runs.begin, runs.stop, runs.label, place)
        region.cache[key] = counts.reshape(-1, *runs.plan_shape)
    columns: Columns = region.cache[key]
    return columns


def class_seen(region: Region, frame: Frame, schema: ClassSchema) -> npt.NDArray[np.bool_]:
    """Tell in which columns each class occurs, (n_classes, n_u, n_v)."""
    key = ("class_seen", frame, schema.values)
    if key not in region.cache:
        region.cache[key] = class_columns(region, frame, schema) > 0
    seen: npt.NDArray[np.bool_] = region.cache[key]
    return seen


def side_counts(region: Region, frame: Frame) -> Counts:
    """Return the number of voxels with each label value on each side, (256, 2)."""
    return look_through(region, frame).n_by_side


def assemble(
    pieces: dict[PlanKey, npt.NDArray[Any]], plan_shape: tuple[int, int], fill: int = 0
) -> npt.NDArray[Any]:
    """Return the whole map of pieces that tile the plan; axes (…, u, v)."""
    first = next(iter(pieces.values()))
    shape = (*first.shape[:-2], *plan_shape)
    n_known = sum((u1 - u0) * (v1 - v0) for u0, u1, v0, v1 in pieces)
    whole = n_known == plan_shape[0] * plan_shape[1]
    out = np.empty(shape, first.dtype) if whole else np.full(shape, fill, first.dtype)
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
        key = ("analysed_columns", self._frame, self._schema.values)
        if key not in region.cache:
            region.cache[key] = class_seen(region, self._frame, self._schema).any(axis=0)
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
        self._n += side_counts(region, self.frame)

    def merge(self, other: Self) -> None:
        """Add the counts of ``other``."""
        self._n += other._n

    def count(self, class_name: str, side: str | None = None) -> int:
        """Return the number of voxels of a class, on one side or on both; 0 for no such class."""
        if class_name not in self.schema.names:
            return 0
        n = self._n[self.schema[class_name].value]
        return int(n.sum() if side is None else n[self.frame.sides.index(side)])
