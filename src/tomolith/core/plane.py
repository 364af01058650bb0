"""Planes of a volume, and volumes seen with their axes turned into one of them.

In the plane ``xz`` a slice is what has one y, its rows run along z and its columns along x.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from tomolith.core.box import Box, Triple
from tomolith.core.grid import Grid
from tomolith.core.volume import ArrayLike, Volume

Plane = Literal["xy", "xz", "yz"]
T = TypeVar("T")

AXES: Mapping[str, Triple] = MappingProxyType({"xy": (0, 1, 2), "xz": (1, 0, 2), "yz": (2, 0, 1)})
"""Axes of the volume (z, y, x) that are slice, row and column of each plane."""


def turn(values: tuple[T, T, T], plane: str) -> tuple[T, T, T]:
    """Return what stands for (z, y, x) in the order (slice, row, column) of ``plane``.

    Examples
    --------
    >>> turn((4, 9, 6), "yz")
    (6, 4, 9)
    """
    a, b, c = AXES[plane]
    return values[a], values[b], values[c]


def turn_back(values: tuple[T, T, T], plane: str) -> tuple[T, T, T]:
    """Return what stands for (slice, row, column) of ``plane`` in the order (z, y, x).

    Examples
    --------
    >>> turn_back((6, 4, 9), "yz")
    (4, 9, 6)
    """
    z, y, x = (AXES[plane].index(axis) for axis in range(3))
    return values[z], values[y], values[x]


def turn_box_back(box: Box, plane: str) -> Box:
    """Return a box in (slice, row, column) of ``plane`` in the axes of the volume.

    Examples
    --------
    >>> turn_box_back(Box((1, 0, 2), (4, 3, 5)), "xz")
    Box(start_zyx=(0, 1, 2), stop_zyx=(3, 4, 5))
    """
    return Box(turn_back(box.start_zyx, plane), turn_back(box.stop_zyx, plane))


class TurnedArray:
    """An array (z, y, x) seen as (slice, row, column) of a plane; nothing is read beforehand.

    Parameters
    ----------
    array
        Read box by box, as it is asked for.
    plane
        Which slices are seen.

    Examples
    --------
    >>> turned = TurnedArray(np.arange(24).reshape(2, 3, 4), "xz")
    >>> turned.shape, turned[1:2, 0:2, 0:2].tolist()
    ((3, 2, 4), [[[4, 5], [16, 17]]])
    """

    def __init__(self, array: ArrayLike, plane: str) -> None:
        self._array, self._plane = array, plane

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along (slice, row, column)."""
        z, y, x = self._array.shape
        return turn((z, y, x), self._plane)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return np.dtype(self._array.dtype)

    def __getitem__(self, index: tuple[slice, slice, slice], /) -> npt.NDArray[Any]:
        """Read a part."""
        part = np.asarray(self._array[turn_back(index, self._plane)])
        return part.transpose(AXES[self._plane])


def turn_volume(volume: Volume, plane: str) -> Volume:
    """Return a volume seen in the slices of ``plane``.

    Examples
    --------
    >>> volume = Volume(np.zeros((2, 3, 4)), Grid((2, 3, 4), (1.0, 2.0, 3.0)))
    >>> turn_volume(volume, "yz").grid.voxel_size_um
    (3.0, 1.0, 2.0)
    """
    grid = volume.grid
    size = grid.voxel_size_um
    turned = Grid(
        turn(grid.shape_zyx, plane),
        None if size is None else turn(size, plane),
        turn(grid.origin_um, plane),
        grid.sections,
    )
    return Volume(TurnedArray(volume.array, plane), turned, volume.provenance)
