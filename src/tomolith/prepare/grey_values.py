"""Grey values of any numeric type as one of the types that scans are stored in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import ArrayLike
from tomolith.errors import InputError

_KEPT = ("u1", "i1", "u2", "i2", "f4")


class ConvertedArray:
    """A lazy array that hands out native uint8, int8, uint16, int16 or float32.

    bool becomes uint8; float16 and integers of 32 and 64 bits become float32 where every
    value survives; float64 is rounded to float32.

    Raises
    ------
    InputError
        The array is not numeric; while reading: a value that float32 cannot hold.

    Examples
    --------
    >>> array = ConvertedArray(np.full((1, 1, 1), 7, ">i4"))
    >>> array.dtype, array[:1, :1, :1].ravel()
    (dtype('float32'), array([7.], dtype=float32))
    """

    def __init__(self, array: ArrayLike) -> None:
        self._array = array
        self.source_dtype = np.dtype(array.dtype)
        self.dtype = stored_dtype(self.source_dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis."""
        return tuple(self._array.shape)

    def __getitem__(self, index: tuple[slice, slice, slice], /) -> npt.NDArray[Any]:
        """Read a part, converted."""
        block = np.asarray(self._array[index])
        if block.dtype == self.dtype:
            return block
        out = np.empty(block.shape, self.dtype)
        for given, stored in zip(block, out, strict=True):  # the checks need much memory
            with np.errstate(over="ignore"):
                stored[...] = given
            _check_kept(given, stored)
        return out


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which values of ``dtype`` are stored.

    Raises
    ------
    InputError
        The type is not numeric, or complex.

    Examples
    --------
    >>> stored_dtype(np.dtype(">u2")), stored_dtype(np.dtype(float)), stored_dtype(np.dtype(bool))
    (dtype('uint16'), dtype('float32'), dtype('uint8'))
    """
    native = np.dtype(dtype.str[1:])
    if native.kind == "b":
        return np.dtype(np.uint8)
    if native.str[1:] in _KEPT:
        return native
    if native.kind in "iuf":
        return np.dtype(np.float32)
    raise InputError(
        f"the image holds values of type {dtype}",
        expected="one grey value per voxel: integers or floating point",
        mend="convert colour or complex images to grey values first",
    )


def _check_kept(given: npt.NDArray[Any], stored: npt.NDArray[Any]) -> None:
    if given.dtype.kind in "iu":
        wide = np.abs(given.astype(np.float64)) > 2**24
        lost = wide & (stored.astype(np.float64) != given.astype(np.float64))
    elif given.dtype.kind == "f":
        lost = np.isfinite(given) & ~np.isfinite(stored)
    else:
        return
    if lost.any():
        raise InputError(
            f"values of type {given.dtype} cannot be kept, such as {given[lost][0]}",
            expected="values that float32 holds exactly (integers up to 16 777 216)",
            mend="scale the image to uint16 or float32 first",
        )
