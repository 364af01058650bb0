"""Label maps that know an electrode of each side are measured as if they knew one electrode.

The sides are parted by the plane between the electrodes, whatever the classes are; so all
quantities need is what is electrode.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, LabelMap
from tomolith.core.schema import LabelClass
from tomolith.core.volume import ArrayLike

ELECTRODE = "electrode"
PLATING_ELECTRODE, STRIPPING_ELECTRODE = "plating-electrode", "stripping-electrode"
ELECTRODES = (ELECTRODE, PLATING_ELECTRODE, STRIPPING_ELECTRODE)


def is_electrode(of: LabelClass) -> bool:
    """Tell whether a class is one of electrode, by its name.

    The role does not tell: the windings of a cylindrical cell are electrodes, and have no sides.
    """
    return of.name in ELECTRODES


def one_electrode(schema: ClassSchema) -> ClassSchema:
    """Return a schema in which all classes of electrode are one, ``electrode``.

    It stands where the first of them stood. A schema with one ``electrode``, or with none, stays.

    Examples
    --------
    >>> names = ["background", "plating-electrode", "stripping-electrode", "dendrite"]
    >>> one_electrode(ClassSchema.from_recipe(names)).names
    ('background', 'electrode', 'dendrite')
    """
    found = [c for c in schema.classes if is_electrode(c)]
    if [c.name for c in found] in ([], [ELECTRODE]):
        return schema
    one = replace(found[0], name=ELECTRODE, role=ELECTRODE)
    classes = (one if c == found[0] else c for c in schema.classes if c not in found[1:])
    return ClassSchema(tuple(classes), schema.unlabelled)


def members_of(schema: ClassSchema) -> tuple[tuple[int, ...], ...]:
    """Return, for each class of :func:`one_electrode`, the places in ``schema`` of its classes.

    Examples
    --------
    >>> names = ["background", "plating-electrode", "stripping-electrode", "dendrite"]
    >>> members_of(ClassSchema.from_recipe(names))
    ((0,), (1, 2), (3,))
    """
    electrodes = tuple(i for i, c in enumerate(schema.classes) if is_electrode(c))
    others = [(i,) for i in range(len(schema)) if i not in electrodes]
    return tuple(sorted([*others, *([electrodes] if electrodes else [])]))


def with_one_electrode(labelmap: LabelMap) -> LabelMap:
    """Return a label map of :func:`one_electrode`, read lazily.

    Examples
    --------
    >>> from tomolith.core import Grid, Volume
    >>> schema = ClassSchema.from_recipe(["background", "plating-electrode", "stripping-electrode"])
    >>> values = np.array([2, 0, 1, 255], np.uint8).reshape(1, 4, 1)
    >>> found = with_one_electrode(LabelMap(Volume(values, Grid((1, 4, 1), None)), schema))
    >>> found.read(found.grid.box).ravel().tolist(), found.schema.names
    ([1, 0, 1, 255], ('background', 'electrode'))
    """
    schema = one_electrode(labelmap.schema)
    if schema == labelmap.schema:
        return labelmap
    table = np.arange(256, dtype=np.uint8)
    table[[c.value for c in labelmap.schema.classes if is_electrode(c)]] = schema[ELECTRODE].value
    return LabelMap(replace(labelmap.volume, array=_Mapped(labelmap.volume.array, table)), schema)


@dataclass(frozen=True, slots=True)
class _Mapped:
    """Shows other values in the place of those of an array."""

    array: ArrayLike
    table: npt.NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Bytes."""
        return self.table.dtype

    def __getitem__(self, index: tuple[slice, slice, slice], /) -> npt.NDArray[np.uint8]:
        """Read a part."""
        return np.asarray(self.table[self.array[index]], np.uint8)
