"""NumPy ``.npy``, mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.errors import ReadError
from tomolith.store.readers.base import (
    RawImage,
    refuse_dataset,
    shape_text,
    starts_with,
    usable_dtype,
)
from tomolith.store.readers.lazy import as_volume


class NumpyReader:
    """NumPy arrays (.npy), mapped into memory."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as a .npy file."""
        return starts_with(path, b"\x93NUMPY")

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Map a .npy file of two or three axes, (y, x) or (z, y, x).

        Raises
        ------
        ReadError
            The file is cut off, holds Python objects, or has another number of axes.
        """
        refuse_dataset(dataset, path)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError, SyntaxError) as error:
            raise ReadError(
                f"the .npy file cannot be read: {error}",
                where=path,
                mend="it may be cut off: copy it again; arrays of Python objects are refused",
            ) from error
        if array.ndim not in (2, 3) or 0 in array.shape:
            raise ReadError(
                f"the array has shape {array.shape}",
                expected="two axes (y, x) or three (z, y, x)",
                where=path,
            )
        dtype = usable_dtype(array.dtype, path)
        return RawImage(
            as_volume(array, dtype),
            "numpy",
            (f"NumPy array {shape_text(array.shape)}, {array.dtype.str}, mapped into memory",),
            size_note="a .npy file cannot hold a voxel size",
        )
