"""Which classes an operation needs, and a label map that shows the electrodes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, LabelMap, Volume
from tomolith.core.schema import LabelClass
from tomolith.core.volume import ArrayLike
from tomolith.errors import InputError
from tomolith.measure.quantities.one_electrode import (
    ELECTRODES,
    PLATING_ELECTRODE,
    STRIPPING_ELECTRODE,
)

Bytes = npt.NDArray[np.uint8]

DEPOSITS = ("deposited", "redeposited")
_ONE_ELECTRODE = ClassSchema(
    (LabelClass("background", 0, "#666666"), LabelClass("electrode", 1, "#56B4E9"))
)


def lacking(schema: ClassSchema, operation: str) -> str | None:
    """Say what a schema lacks for an operation; ``None`` where it can be done.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> lacking(PRESETS["li-binary"], "split")
    "no class 'electrode'"
    >>> lacking(PRESETS["li-operando"], "split") is None
    True
    """
    if operation in ("allowed", "split", "time") and not electrode_values(schema):
        return "no class 'electrode'"
    if operation in ("allowed", "time") and "background" not in schema.names:
        return "no class 'background'"
    pair = set(DEPOSITS) <= set(schema.names)
    electrodes = {PLATING_ELECTRODE, STRIPPING_ELECTRODE} <= set(schema.names)
    if operation == "split" and not (pair or electrodes):
        return "neither 'deposited' and 'redeposited' nor an electrode for each side"
    return None


def refuse(schema: ClassSchema, operation: str, why: str) -> InputError:
    """Return the error of an operation that was asked for and cannot be done."""
    return InputError(
        f"'{operation}' cannot be done: {why}",
        expected="a label map such as 'li-operando'; this one has " + ", ".join(schema.names),
        where=f"refine.{operation}",
        mend=f"set '{operation}: false', or refine another label map",
    )


def electrode_values(schema: ClassSchema) -> tuple[int, ...]:
    """Return the values of all classes of electrode."""
    return tuple(schema[name].value for name in ELECTRODES if name in schema.names)


@dataclass(frozen=True, slots=True)
class _Electrodes:
    """Shows 1 where the labels are electrode in a run along the axis, else 0.

    Electrode voxels in runs shorter than ``min_run`` are taken to be strays.
    """

    labels: ArrayLike
    values: tuple[int, ...]
    axis: int
    min_run: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return self.labels.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Bytes."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: tuple[slice, slice, slice], /) -> Bytes:
        """Read a part, and as much more along the axis as runs need."""
        (z0, z1), (y0, y1), (x0, x1) = (
            part.indices(n)[:2] for part, n in zip(index, self.shape, strict=True)
        )
        shape = (self.shape[0], self.shape[1], self.shape[2])
        box, halo = Box((z0, y0, x0), (z1, y1, x1)), [0, 0, 0]
        halo[self.axis] = self.min_run - 1
        read = box.expand((halo[0], halo[1], halo[2])).clip(shape)
        labels = np.asarray(self.labels[read.slices])
        mask = np.isin(labels, self.values)
        kept = _in_runs(np.moveaxis(mask, self.axis, 0), self.min_run)
        found = np.moveaxis(kept, 0, self.axis)[box.relative_to(read).slices]
        return np.ascontiguousarray(found).view(np.uint8)


def _in_runs(mask: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    """Return where a mask is part of a run of so many along the first axis."""
    n = len(mask) - length + 1
    out = np.zeros_like(mask)
    if n < 1:
        return out
    start = mask[:n].copy()
    for i in range(1, length):
        start &= mask[i : i + n]
    for i in range(length):
        out[i : i + n] |= start
    return out


def electrodes_alone(labelmap: LabelMap, axis: int, *, min_run: int = 3) -> LabelMap:
    """Return a lazy label map of ``background`` and ``electrode``, without strays.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid
    >>> values = np.array([1, 1, 1, 0, 1, 0, 5, 1], np.uint8).reshape(1, 8, 1)
    >>> labels = LabelMap(Volume(values, Grid((1, 8, 1), None)), PRESETS["li-operando"])
    >>> electrodes_alone(labels, 1).read(labels.grid.box).ravel().tolist()
    [1, 1, 1, 0, 0, 0, 0, 0]
    """
    values = electrode_values(labelmap.schema)
    array = _Electrodes(labelmap.volume.array, values, axis, min_run)
    return LabelMap(Volume(array, labelmap.grid), _ONE_ELECTRODE)
