"""A volume: a lazy array and where it lies in space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tomolith.core.box import Box
from tomolith.core.grid import Grid
from tomolith.core.provenance import Provenance
from tomolith.errors import MismatchError


@runtime_checkable
class ArrayLike(Protocol):
    """A lazy three-axis array: NumPy, Zarr, or a reader's own.

    Indexing with three slices of step 1 reads just that part.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""

    def __getitem__(self, index: tuple[slice, slice, slice], /) -> Any:
        """Read a part."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A lazy array of grey values with its grid.

    Parameters
    ----------
    array
        Axes (z, y, x); nothing is read until :meth:`read` is called.
    grid
        Shape and voxel size; its shape must be the array's (``MismatchError``).
    provenance
        What made it.

    Examples
    --------
    >>> v = Volume(np.zeros((2, 3, 4), np.uint8), Grid((2, 3, 4), None))
    >>> v.read(Box((0, 0, 0), (1, 2, 2))).shape
    (1, 2, 2)
    """

    array: ArrayLike
    grid: Grid
    provenance: Provenance = field(default_factory=lambda: Provenance("unknown"))

    def __post_init__(self) -> None:
        if tuple(self.array.shape) != tuple(self.grid.shape_zyx):
            raise MismatchError(
                f"the array has shape {tuple(self.array.shape)} (z, y, x)",
                expected=f"the grid's shape {self.grid.shape_zyx}",
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type of the array."""
        return np.dtype(self.array.dtype)

    def read(self, box: Box) -> npt.NDArray[Any]:
        """Read the voxels of ``box`` (which must lie inside) into memory."""
        return np.asarray(self.array[box.slices])
