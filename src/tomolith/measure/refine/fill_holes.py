"""The operation ``fill_holes``: small holes that a class encloses become that class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema
from tomolith.measure.quantities.components import Pieces
from tomolith.measure.refine.pieces import KEEP, Place
from tomolith.measure.refine.settings import FillHolesSettings

Bytes = npt.NDArray[np.uint8]


class Holes:
    """Holes of one class: what it encloses (6 neighbours), of whatever other classes.

    A piece of what is not the class is a hole where it has at most ``most`` voxels, reaches no face
    of the scan and holds nothing *unlabelled*.

    Parameters
    ----------
    schema
        The classes.
    class_name
        The class that encloses.
    most
        Voxels of the largest hole that is filled.
    """

    diagonal = False
    n_columns = 1

    def __init__(self, schema: ClassSchema, class_name: str, most: int) -> None:
        self._value, self._most = schema[class_name].value, most
        self._unlabelled = schema.unlabelled

    def mask(self, labels: Bytes) -> npt.NDArray[np.bool_]:
        """Return where the class is not."""
        return np.asarray(labels != self._value)

    def count(
        self, labels: Bytes, pieces: npt.NDArray[np.int32], sizes: Pieces, place: Place
    ) -> Pieces:
        """Return how many voxels of each small piece lie at the end of the scan or are unknown."""
        small = sizes <= self._most
        small[0] = False
        outside = np.zeros(len(sizes), np.int64)
        for axis, index in place.ends:
            outside += np.bincount(pieces.take(index, axis=axis).ravel(), minlength=len(sizes))
        unknown = labels[place.core] == self._unlabelled
        outside += np.bincount(pieces[unknown], minlength=len(sizes))
        return np.where(small, outside, 0)[:, None]

    def become(self, sizes: Pieces, counts: Pieces) -> Pieces:
        """Return the class for each hole."""
        return np.where((sizes <= self._most) & (counts[:, 0] == 0), self._value, KEEP)


def fill_holes_rules(settings: FillHolesSettings, schema: ClassSchema) -> list[Holes]:
    """Return a rule for each class that is named and known.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> len(fill_holes_rules(FillHolesSettings(), PRESETS["li-operando"]))
    2
    """
    names = [name for name in settings.classes if name in schema.names]
    return [Holes(schema, name, settings.voxels) for name in names]
