"""The operation ``min_size``: pieces too small to be real become what surrounds them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema
from tomolith.measure.quantities.components import Pieces
from tomolith.measure.refine.pieces import KEEP, Place
from tomolith.measure.refine.settings import MinSizeSettings

Bytes = npt.NDArray[np.uint8]
_STEPS = [(axis, step) for axis in range(3) for step in (-1, 1)]


class Smallest:
    """Pieces of one class (26 neighbours) of fewer voxels become what mostly surrounds them.

    What surrounds a piece is counted over the faces of its voxels; of classes that surround it
    equally, the first of the schema is taken. A piece with no other class around it stays.

    Parameters
    ----------
    schema
        The classes.
    class_name
        The class.
    least
        Voxels of the smallest piece that stays.
    """

    diagonal = True

    def __init__(self, schema: ClassSchema, class_name: str, least: int) -> None:
        self._value, self._least = schema[class_name].value, least
        self._values = np.array(schema.values, np.int64)
        self.n_columns = len(schema)
        self._column = np.full(256, len(schema), np.int64)
        self._column[self._values] = np.arange(len(schema))
        self._column[self._value] = len(schema)  # and all that has no class: not counted

    def mask(self, labels: Bytes) -> npt.NDArray[np.bool_]:
        """Return where the class is."""
        return np.asarray(labels == self._value)

    def count(
        self, labels: Bytes, pieces: npt.NDArray[np.int32], sizes: Pieces, place: Place
    ) -> Pieces:
        """Return how many voxel faces of each small piece border on each class."""
        small = sizes < self._least
        small[0] = False
        at = np.nonzero(small[pieces])
        number = pieces[at].astype(np.int64)
        n_columns = self.n_columns + 1
        total = np.zeros(len(sizes) * n_columns, np.int64)
        origin = [part.start for part in place.core]
        for axis, step in _STEPS:
            beside = [a + o for a, o in zip(at, origin, strict=True)]
            beside[axis] = beside[axis] + step
            inside = (beside[axis] >= 0) & (beside[axis] < labels.shape[axis])
            found = labels[tuple(b[inside] for b in beside)]
            joint = number[inside] * n_columns + self._column[found]
            total += np.bincount(joint, minlength=len(total))
        return total.reshape(-1, n_columns)[:, :-1]

    def become(self, sizes: Pieces, counts: Pieces) -> Pieces:
        """Return the class that borders most on each small piece."""
        goes = (sizes < self._least) & (counts.max(axis=1, initial=0) > 0)
        return np.where(goes, self._values[counts.argmax(axis=1)], KEEP)


def min_size_rules(settings: MinSizeSettings, schema: ClassSchema) -> list[Smallest]:
    """Return a rule for each class: those named, or all but the background.

    Raises
    ------
    InputError
        A class is named that the schema does not have.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> len(min_size_rules(MinSizeSettings(), PRESETS["li-operando"]))
    5
    """
    chosen = settings.classes
    if chosen is None:
        chosen = {c.name: settings.voxels for c in schema.classes if c.role != "background"}
    return [Smallest(schema, name, least) for name, least in chosen.items()]
