"""Counts of voxels per class."""

from __future__ import annotations

from typing import NoReturn, Self

import numpy as np

from tomolith.core import ClassSchema
from tomolith.errors import MismatchError
from tomolith.measure.quantities.base import UNLABELLED, Counts, Quantity, Region
from tomolith.measure.quantities.frame import Frame
from tomolith.measure.quantities.runs import any_look


def class_counts(region: Region, schema: ClassSchema) -> Counts:
    """Return the number of voxels of the core with each label value, of shape (256,).

    Raises
    ------
    MismatchError
        A value stands in no class of the schema; all such values are listed.
    """
    known = (*schema.values, schema.unlabelled)
    key = ("class_counts", known)
    if key not in region.cache:
        counts = any_look(region).n_by_label
        if counts.sum() != counts[list(known)].sum():
            _refuse(counts, known)
        region.cache[key] = counts
    found: Counts = region.cache[key]
    return found


def _refuse(counts: Counts, known: tuple[int, ...]) -> NoReturn:
    bad = [int(value) for value in np.flatnonzero(counts) if value not in known]
    raise MismatchError(
        "label values outside the class schema: "
        + ", ".join(f"{value} ({counts[value]} voxels so far)" for value in bad),
        expected=f"one of {', '.join(str(v) for v in known)}",
        mend="add the classes to the schema, or map the values when the labels are read",
    )


class CountingQuantity(Quantity):
    """A quantity that follows from the number of voxels with each label value."""

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._n: Counts = np.zeros(256, np.int64)

    def update(self, region: Region) -> None:
        """Count the label values of the core; ``MismatchError`` for a value of no class."""
        self._n += class_counts(region, self.schema)

    def merge(self, other: Self) -> None:
        """Add the counts of ``other``."""
        self._n += other._n

    def count(self, class_name: str) -> int:
        """Return the number of voxels of a class, or of ``unlabelled``."""
        value = (
            self.schema.unlabelled if class_name == UNLABELLED else self.schema[class_name].value
        )
        return int(self._n[value])

    @property
    def n_labelled(self) -> int:
        """Number of voxels that have a class."""
        return sum(self.count(name) for name in self.schema.names)
