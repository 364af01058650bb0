"""Label images in colour: TIFF and PNG, colours packed as ``0xRRGGBB``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.errors import ReadError
from tomolith.store.readers.base import RawImage, shape_text, starts_with, usable_dtype
from tomolith.store.readers.lazy import Array

_PNG = b"\x89PNG\r\n\x1a\n"


def open_colour(path: Path) -> RawImage | None:
    """Open a TIFF or PNG of labels; ``None`` if the file is of another format.

    Raises
    ------
    ReadError
        The file is cut off or damaged.
    """
    from tomolith.store.readers.tiff import TiffReader, open_tiff

    if TiffReader().sniff(path):
        return open_tiff(path, colour=True)
    return _open_png(path) if starts_with(path, _PNG) else None


def pack_rgb(image: Array) -> Array:
    """Return colours (..., 3 or 4 bytes) as uint32 ``0xRRGGBB``; opacity is left out.

    Examples
    --------
    >>> hex(pack_rgb(np.array([[255, 128, 0]], np.uint8))[0])
    '0xff8000'
    """
    red, green, blue = (image[..., i].astype(np.uint32) for i in range(3))
    return (red << 16) | (green << 8) | blue


def colour_text(packed: int) -> str:
    """Return ``"#rrggbb"``.

    Examples
    --------
    >>> colour_text(0xFF8000)
    '#ff8000'
    """
    return f"#{packed:06x}"


def _open_png(path: Path) -> RawImage:
    import imagecodecs

    try:
        image = np.asarray(imagecodecs.png_decode(path.read_bytes()))
    except (RuntimeError, ValueError) as error:
        raise ReadError(
            f"the PNG file cannot be read: {error}",
            where=path,
            mend="it may be cut off: copy it again",
        ) from error
    description = f"PNG {shape_text(image.shape)} {image.dtype}"
    is_colour = image.ndim == 3 and image.shape[2] >= 3
    if is_colour and image.dtype != np.uint8:
        raise ReadError(
            f"the PNG file has colours of {image.dtype}", expected="8 bits each", where=path
        )
    flat = pack_rgb(image) if is_colour else image.reshape(image.shape[0], image.shape[1], -1)
    grey = flat if is_colour else flat[..., 0]
    usable_dtype(grey.dtype, path)
    return RawImage(grey[np.newaxis], "png", (description,), is_colour=is_colour)
