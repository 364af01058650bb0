"""Lazy three-axis arrays over pages, mapped files and the arrays of other libraries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.core.box import Triple

Array = npt.NDArray[Any]


class LazyArray(ABC):
    """An array (z, y, x) that reads only the box it is indexed with.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    dtype
        Type of the values delivered.
    """

    def __init__(self, shape: Triple, dtype: npt.DTypeLike) -> None:
        self.shape: Triple = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    def __getitem__(self, index: Any, /) -> Array:
        """Read a part; up to three slices of step 1 (integers drop their axis)."""
        parts = index if isinstance(index, tuple) else (index,)
        if len(parts) > 3:
            raise IndexError(f"{len(parts)} indices for three axes (z, y, x)")
        slices: list[tuple[int, int]] = []
        drop: list[int] = []
        for axis, n in enumerate(self.shape):
            part = parts[axis] if axis < len(parts) else slice(None)
            if not isinstance(part, slice):
                at = range(n)[int(part)]  # raises IndexError outside, counts from the end if < 0
                part = slice(at, at + 1)
                drop.append(axis)
            start, stop, step = part.indices(n)
            if step != 1:
                raise IndexError(f"step {step} along axis {axis}; only step 1 can be read")
            slices.append((start, max(start, stop)))
        (z0, z1), (y0, y1), (x0, x1) = slices
        out = self._read(Box((z0, y0, x0), (z1, y1, x1)))
        if out.dtype != self.dtype:
            out = out.astype(self.dtype)
        return out.reshape([n for axis, n in enumerate(out.shape) if axis not in drop])

    @abstractmethod
    def _read(self, box: Box) -> Array:
        """Return the values of ``box``, which lies inside."""


class Page(Protocol):
    """One 2-D image of a stack."""

    def read(self, rows: slice, columns: slice) -> Array:
        """Return a part of the page (y, x)."""


class PageArray(LazyArray):
    """A stack of pages; reading a box touches only its pages.

    Examples
    --------
    >>> class Ramp:
    ...     def read(self, rows, columns):
    ...         return np.arange(12).reshape(3, 4)[rows, columns]
    >>> PageArray([Ramp(), Ramp()], (3, 4), np.int64)[1:2, 0:1, 1:3].tolist()
    [[[1, 2]]]
    """

    def __init__(
        self, pages: Sequence[Page], shape_yx: tuple[int, int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__((len(pages), *shape_yx), dtype)
        self._pages = pages

    def _read(self, box: Box) -> Array:
        zs, ys, xs = box.slices
        out = np.empty(box.shape_zyx, self.dtype)
        if out.size:
            for k, z in enumerate(range(zs.start, zs.stop)):
                out[k] = self._pages[z].read(ys, xs)
        return out


class SourceArray(LazyArray):
    """An array of another library (h5py, Zarr) with any leading axes of length 1 hidden.

    Parameters
    ----------
    source
        Anything with ``shape`` and indexing by slices; two axes, or three, or more
        of which only the last three are longer than 1.
    dtype
        Type of the values delivered.

    Examples
    --------
    >>> SourceArray(np.ones((1, 1, 2, 3, 4), bool), np.uint8)[0:1, 0:1, 0:2]
    array([[[1, 1]]], dtype=uint8)
    """

    def __init__(self, source: Any, dtype: npt.DTypeLike) -> None:
        full = tuple(int(n) for n in source.shape)
        y, x = full[-2:]
        super().__init__((full[-3] if len(full) > 2 else 1, y, x), dtype)
        self._source = source
        self._lead = (0,) * (len(full) - 3)
        self._flat = len(full) == 2

    def _read(self, box: Box) -> Array:
        zs, ys, xs = box.slices
        if self._flat:
            part = np.asarray(self._source[ys, xs])
            return part[np.newaxis] if box.shape_zyx[0] else part[np.newaxis][:0]
        return np.asarray(self._source[(*self._lead, zs, ys, xs)])


def as_volume(mapped: Array, dtype: npt.DTypeLike) -> Array:
    """Return a mapped array with three axes, bool seen as uint8; nothing is read.

    Examples
    --------
    >>> as_volume(np.zeros((3, 4), bool), np.uint8).shape
    (1, 3, 4)
    """
    volume = mapped.reshape((1,) * (3 - mapped.ndim) + mapped.shape[-3:])
    return volume if volume.dtype == dtype else volume.view(dtype)
