"""Corrections of hand-made or thresholded labels, applied lazily as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tomolith.config import Settings, did_you_mean
from tomolith.core import Box, ClassSchema, LabelMap, Volume
from tomolith.errors import RecipeError
from tomolith.store.readers.lazy import LazyArray

Array = npt.NDArray[Any]

_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


class CleanSettings(Settings):
    """Which single pixels take the class of what surrounds them.

    Parameters
    ----------
    pairs
        Pairs of classes: a pixel of one that is surrounded by the other becomes the other, and
        vice versa; such as ``[[nmc, carbon-binder]]``.
    neighbours
        How many pixels surround one, in its slice; with 4 also lines that are one pixel thin and
        run aslant are removed.

    Examples
    --------
    >>> CleanSettings(pairs=[["nmc", "carbon-binder"]]).pairs
    (('nmc', 'carbon-binder'),)
    """

    pairs: tuple[tuple[str, str], ...] = ()
    neighbours: Literal[4, 8] = 8


def clean_labels(labels: LabelMap, settings: CleanSettings) -> LabelMap:
    """Return ``labels`` in which no pixel of a pair is surrounded by the other class.

    Slice by slice, for labels are drawn in slices.  All pixels change at once, by what surrounded
    them before.  At the edge of a slice only the neighbours inside count; an unlabelled neighbour,
    or one of a third class, keeps the pixel as it is.  Source: the label cleaning of the MatPhase
    paper (a carbon pixel surrounded by nickel becomes nickel, and vice versa), which does not say
    how many neighbours surround a pixel.

    Raises
    ------
    RecipeError
        A name of a pair is no class, or a pair names one class twice.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid
    >>> values = np.zeros((1, 3, 3), np.uint8)
    >>> values[0, 1, 1] = 1
    >>> labels = LabelMap(Volume(values, Grid((1, 3, 3), None)), PRESETS["cathode-3phase"])
    >>> cleaned = clean_labels(labels, CleanSettings(pairs=[["nmc", "carbon-binder"]]))
    >>> cleaned.read(cleaned.grid.box).max()
    np.uint8(0)
    """
    pairs = _values(settings.pairs, labels.schema)
    if not pairs:
        return labels
    array = CleanedLabels(labels, pairs, neighbours=settings.neighbours)
    return LabelMap(Volume(array, labels.grid, labels.volume.provenance), labels.schema)


def check_pairs(settings: CleanSettings, schema: ClassSchema) -> None:
    """Refuse pairs that :func:`clean_labels` would refuse, before there are labels.

    Raises
    ------
    RecipeError
        A name of a pair is no class, or a pair names one class twice.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> check_pairs(CleanSettings(pairs=[["nmc", "carbon-binder"]]), PRESETS["cathode-3phase"])
    """
    _values(settings.pairs, schema)


class CleanedLabels(LazyArray):
    """Labels seen through :func:`clean_labels`; a box is read with one pixel around it."""

    def __init__(
        self, labels: LabelMap, pairs: Sequence[tuple[int, int]], *, neighbours: int
    ) -> None:
        super().__init__(labels.grid.shape_zyx, labels.volume.dtype)
        self._labels, self._pairs, self._steps = labels, pairs, _STEPS[:neighbours]

    def _read(self, box: Box) -> Array:
        (z0, y0, x0), (z1, y1, x1) = box.start_zyx, box.stop_zyx
        _, height, width = self.shape
        around = Box(
            (z0, max(y0 - 1, 0), max(x0 - 1, 0)), (z1, min(y1 + 1, height), min(x1 + 1, width))
        )
        values = self._labels.read(around)
        out = values.copy()
        for one, other in self._pairs:
            is_one, is_other = values == one, values == other
            out[is_one & self._surrounded(is_other)] = other
            out[is_other & self._surrounded(is_one)] = one
        return out[box.relative_to(around).slices]

    def _surrounded(self, mask: Array) -> Array:
        """Return where all neighbours in the slice are in ``mask``; edges count as in it."""
        _, height, width = mask.shape
        padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)), constant_values=True)
        all_in = np.ones_like(mask)
        for dy, dx in self._steps:
            all_in &= padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        return all_in


def _values(pairs: Sequence[tuple[str, str]], schema: ClassSchema) -> list[tuple[int, int]]:
    found = []
    for pair in pairs:
        for name in pair:
            if name not in schema.names:
                raise RecipeError(
                    f"'{name}' is no class",
                    where="train.clean_labels.pairs",
                    mend=did_you_mean(name, schema.names),
                )
        if pair[0] == pair[1]:
            raise RecipeError(
                f"a pair names '{pair[0]}' twice",
                expected="two classes",
                where="train.clean_labels.pairs",
            )
        found.append((schema[pair[0]].value, schema[pair[1]].value))
    return found
