"""What every reader returns, and what all of them refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tomolith.core import ArrayLike
from tomolith.core.grid import Sizes
from tomolith.errors import InputError, ReadError

KnownSizes = tuple[float | None, float | None, float | None]


class Reader(Protocol):
    """One file format; stateless."""

    def sniff(self, path: Path) -> bool:
        """Tell by the content whether ``path`` is of this format; cheap, never raises."""

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Open lazily, or raise `InputError`."""


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class RawImage:
    """An image as another program left it: grey values and what the file says.

    Parameters
    ----------
    array
        Lazy, axes (z, y, x); a 2-D image has one slice.
    reader
        Name of the reader.
    description
        Lines for people: type, compression, pages, software.
    known_size_um
        Voxel size (z, y, x) in µm; ``None`` for each axis where the file gives
        none that can be trusted.
    size_note
        Why a size is missing, where the file says something about it.
    origin_um
        Centre of the first voxel (z, y, x) in µm.
    is_colour
        True where the values are colours packed as ``0xRRGGBB`` (labels only).
    closer
        Called by :meth:`close`.

    Examples
    --------
    >>> raw = RawImage(np.zeros((2, 3, 4)), "numpy", known_size_um=(None, 0.5, 0.5))
    >>> raw.voxel_size_um is None
    True
    """

    array: ArrayLike
    reader: str
    description: tuple[str, ...] = ()
    known_size_um: KnownSizes = (None, None, None)
    size_note: str = ""
    origin_um: Sizes = (0.0, 0.0, 0.0)
    is_colour: bool = False
    closer: Callable[[], None] = _nothing

    @property
    def voxel_size_um(self) -> Sizes | None:
        """Voxel size (z, y, x) in µm where the file gives all three."""
        z, y, x = self.known_size_um
        return None if z is None or y is None or x is None else (z, y, x)

    def close(self) -> None:
        """Close the files; the array must not be read any more."""
        self.closer()


def usable_dtype(dtype: Any, where: str | Path) -> np.dtype[Any]:
    """Return the type in which values are delivered (bool becomes uint8).

    Raises
    ------
    InputError
        Complex numbers, text, records and whatever else is no grey value.

    Examples
    --------
    >>> usable_dtype(bool, "a.npy"), usable_dtype(">u2", "a.npy")
    (dtype('uint8'), dtype('>u2'))
    """
    found: np.dtype[Any] = np.dtype(dtype)
    if found.kind == "b":
        return np.dtype(np.uint8)
    if found.kind in "iuf" and found.itemsize <= 8:
        return found
    mend = "save its magnitude or phase as a float image" if found.kind == "c" else None
    raise InputError(
        f"the image holds values of type {found}",
        expected="whole or real numbers of at most 64 bits",
        where=where,
        mend=mend or "convert it to uint8, uint16 or float32",
    )


def refuse_dataset(dataset: str | None, path: Path) -> None:
    """Refuse a dataset name for a format that holds one image."""
    if dataset is not None:
        raise ReadError(
            f"dataset '{dataset}' was asked for, but this format holds a single image",
            where=path,
            mend="leave out 'dataset'",
        )


def starts_with(path: Path, *magics: bytes) -> bool:
    """Tell whether the file begins with one of ``magics``; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(max(len(m) for m in magics))
    except OSError:
        return False
    return head.startswith(magics)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return ``"2 × 3 × 4"``."""
    return " × ".join(str(n) for n in shape)
