"""Zeiss (Xradia) .txrm, .xrm and .txm: an OLE2 file with one stream per image."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.errors import InputError, ReadError
from tomolith.store.readers.base import RawImage, refuse_dataset, starts_with
from tomolith.store.readers.lazy import Array, PageArray
from tomolith.store.readers.units import length_um

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DTYPES: dict[int, np.dtype[Any]] = {3: np.dtype("<u1"), 5: np.dtype("<u2"), 10: np.dtype("<f4")}
_LAST_SECTOR = 0xFFFFFFFA  # larger entries of the sector table are marks
_MINI_BYTES = 4096  # smaller streams lie in sectors of their own kind
_PER_GROUP = 100
"""Images 1 to 100 lie in ``ImageData1``, 101 to 200 in ``ImageData2``, and so on."""


class ZeissReader:
    """Zeiss files: projections (.txrm, .xrm) and volumes (.txm)."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as an OLE2 file."""
        return starts_with(path, _MAGIC)

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Open the images; each is read when asked for.

        In .txrm files z counts projections, so no voxel size along z is given.

        Raises
        ------
        ReadError
            The file is cut off, is another kind of OLE2 file, or lacks an image.
        """
        import olefile

        refuse_dataset(dataset, path)
        try:
            ole = olefile.OleFileIO(str(path), raise_defects=olefile.DEFECT_INCORRECT)
        except (OSError, ValueError, IndexError, struct.error) as error:
            raise ReadError(
                f"the Zeiss file cannot be opened: {error}",
                where=path,
                mend="it may be cut off: copy it again",
            ) from error
        try:
            return _open(ole, path)
        except BaseException:
            ole.close()
            raise


def _open(ole: Any, path: Path) -> RawImage:
    _check_length(ole, path)
    fields = _Fields(ole, path)
    height, width = fields.integer("ImageHeight"), fields.integer("ImageWidth")
    code = fields.integer("DataType")
    if code not in _DTYPES:
        raise InputError(
            f"the Zeiss data type {code} is not known",
            expected=f"one of {', '.join(f'{c} ({d})' for c, d in _DTYPES.items())}",
            where=path,
        )
    pages = _ImagePages(ole, path, (height, width), _DTYPES[code])
    pages.n_images = _n_images(fields)
    pages.check()
    pixel_um = length_um(fields.real("PixelSize"), "um")
    pixel_um = pixel_um and float(f"{pixel_um:.7g}")  # it is stored in single precision
    is_volume = path.suffix.lower() == ".txm"
    z_um = pixel_um if is_volume or len(pages) == 1 else None
    note = "" if pixel_um is None else f"the file states a pixel of {pixel_um:g} µm"
    return RawImage(
        PageArray(pages, (height, width), _DTYPES[code]),
        "zeiss",
        _describe(fields, len(pages), is_volume=is_volume),
        (z_um, pixel_um, pixel_um),
        size_note=""
        if z_um is not None
        else f"{note}; its z axis counts projections, to be reconstructed first",
        closer=ole.close,
    )


def _check_length(ole: Any, path: Path) -> None:
    """Check that no chain of sectors leads out of the file."""
    fat = np.asarray(ole.fat, dtype=np.uint32)
    nexts = fat[fat < _LAST_SECTOR]
    starts = [e.isectStart for e in ole.direntries if e is not None and e.size >= _MINI_BYTES]
    last = max([int(nexts.max()) if nexts.size else 0, *starts])
    if last >= len(fat):
        size = path.stat().st_size
        raise ReadError(
            f"the Zeiss file is cut off: {size} bytes of more than {last * ole.sectorsize}",
            where=path,
            mend="copy it again",
        )


@dataclass(frozen=True)
class _Fields:
    """The numbers under ``ImageInfo``."""

    ole: Any
    path: Path

    def integer(self, name: str) -> int:
        value = self._number(name, "<i")
        if value is None or value < 1:
            raise ReadError(
                f"the field ImageInfo/{name} is {'missing' if value is None else value}",
                expected="a Zeiss .txrm, .xrm or .txm file",
                where=self.path,
            )
        return int(value)

    def optional_integer(self, name: str) -> int:
        return int(self._number(name, "<i") or 0)

    def real(self, name: str) -> float | None:
        return self._number(name, "<f")

    def reals(self, name: str) -> Array:
        data = self._bytes(name)
        return np.frombuffer(data, "<f4", len(data) // 4)

    def _number(self, name: str, form: str) -> float | None:
        data = self._bytes(name)
        return struct.unpack_from(form, data)[0] if len(data) >= 4 else None

    def _bytes(self, name: str) -> bytes:
        if not self.ole.exists(f"ImageInfo/{name}"):
            return b""
        try:
            return bytes(self.ole.openstream(f"ImageInfo/{name}").read())
        except OSError as error:
            raise ReadError(
                f"the field ImageInfo/{name} cannot be read: {error}",
                where=self.path,
                mend="the file may be cut off: copy it again",
            ) from error


class _ImagePages(Sequence["_ImagePage"]):
    """The image streams of the file."""

    def __init__(
        self, ole: Any, path: Path, shape_yx: tuple[int, int], dtype: np.dtype[Any]
    ) -> None:
        self.n_images = 0
        self._ole = ole
        self._path = path
        self._shape_yx = shape_yx
        self._dtype = dtype
        self._lock = threading.Lock()  # all streams share one file position

    def __len__(self) -> int:
        return self.n_images

    def __getitem__(self, index: Any) -> Any:
        return _ImagePage(self, index)

    def name(self, index: int) -> str:
        return f"ImageData{index // _PER_GROUP + 1}/Image{index + 1}"

    def check(self) -> None:
        """Check in the directory that every image is there and of the right length."""
        n_bytes = self._shape_yx[0] * self._shape_yx[1] * self._dtype.itemsize
        file_size = self._path.stat().st_size
        if n_bytes * len(self) > file_size:
            raise ReadError(
                f"the file is cut off: {len(self)} images of {n_bytes} bytes, "
                f"but {file_size} bytes in all",
                where=self._path,
                mend="copy it again",
            )
        for index in range(len(self)):
            name = self.name(index)
            found = self._ole.get_size(name) if self._ole.exists(name) else 0
            if found < n_bytes:
                raise ReadError(
                    f"image {index + 1} of {len(self)} has {found} bytes",
                    expected=f"{n_bytes} bytes in the stream {name}",
                    where=self._path,
                    mend="the scan may have been stopped, or the file cut off: copy it again",
                )

    def read(self, index: int) -> Array:
        n_pixels = self._shape_yx[0] * self._shape_yx[1]
        try:
            with self._lock:
                data = self._ole.openstream(self.name(index)).read()
            return np.frombuffer(data, self._dtype, n_pixels).reshape(self._shape_yx)
        except (OSError, ValueError) as error:
            raise ReadError(
                f"image {index + 1} cannot be read: {error}",
                where=self._path,
                mend="the file is damaged: copy it again",
            ) from error


@dataclass(frozen=True)
class _ImagePage:
    pages: _ImagePages
    index: int

    def read(self, rows: slice, columns: slice) -> Array:
        """Return a part of the image (y, x)."""
        return self.pages.read(self.index)[rows, columns]


def _n_images(fields: _Fields) -> int:
    planned = fields.integer("NoOfImages")
    taken = fields.optional_integer("ImagesTaken")
    return taken if 0 < taken < planned else planned


def _describe(fields: _Fields, n_images: int, *, is_volume: bool) -> tuple[str, ...]:
    planned = fields.integer("NoOfImages")
    what = "slices" if is_volume else "projections"
    lines = [f"Zeiss OLE2 file, {n_images} {what}"]
    if planned != n_images:
        lines.append(f"the scan was stopped: {planned} images were planned")
    angles = fields.reals("Angles")[:n_images]
    if len(angles) and not is_volume:
        lines.append(f"angles {angles[0]:.3f} to {angles[-1]:.3f} degrees")
    energy_ev = fields.reals("Energy")[:1]
    if len(energy_ev) and energy_ev[0] > 0:
        lines.append(f"energy {energy_ev[0] / 1000:.2f} keV")
    return tuple(lines)
