"""TIFF: multi-page, ImageJ, OME; uncompressed pages are mapped, others decoded one by one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.errors import InputError, ReadError
from tomolith.store.readers.base import (
    RawImage,
    refuse_dataset,
    shape_text,
    starts_with,
    usable_dtype,
)
from tomolith.store.readers.colour import pack_rgb
from tomolith.store.readers.lazy import Array, PageArray, as_volume
from tomolith.store.readers.tiff_check import check_chain, check_segments, quiet_parser
from tomolith.store.readers.tiff_size import tiff_sizes

_MAGICS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


class TiffReader:
    """TIFF files (.tif, .tiff): plain, BigTIFF, ImageJ and OME-TIFF."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as TIFF or BigTIFF."""
        return starts_with(path, *_MAGICS)

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Open a TIFF of one or many grey pages.

        Raises
        ------
        ReadError
            The file is cut off, or its pages differ in size or type.
        InputError
            The pages are coloured.
        """
        refuse_dataset(dataset, path)
        return open_tiff(path)


def open_tiff(path: Path, *, colour: bool = False) -> RawImage:
    """Open a TIFF; with ``colour`` RGB pages come as uint32 ``0xRRGGBB`` (for labels)."""
    import tifffile

    check_chain(path)
    try:
        with quiet_parser():
            tif = tifffile.TiffFile(path)
            n_series = len(tif.series)
    except Exception as error:  # a damaged file can trip the parser anywhere
        raise ReadError(
            f"the TIFF file cannot be read: {error}",
            where=path,
            mend="it may be cut off or damaged: copy it again",
        ) from error
    try:
        if not n_series:
            raise ReadError("the TIFF file holds no image", where=path)
        tif.filehandle.lock = True
        return _open_series(tif, path, colour=colour)
    except BaseException:
        tif.close()
        raise


def _open_series(tif: Any, path: Path, *, colour: bool) -> RawImage:
    series = _only_series(tif, path)
    keyframe = series.keyframe
    is_rgb = keyframe.samplesperpixel > 1
    if is_rgb and not colour:
        raise _coloured(keyframe, path)
    n_pages = _n_pages(series, path)
    shape_yx = (int(keyframe.imagelength), int(keyframe.imagewidth))
    dtype = np.dtype(np.uint32) if is_rgb else usable_dtype(_stored_dtype(tif, keyframe), path)
    array: Any = None
    if not is_rgb and series.dataoffset is not None:
        array = _mapped(series, (n_pages, *shape_yx), path, tif.byteorder)
        array = as_volume(array, dtype)
    if array is None:
        check_segments(tif, series, path)
        array = PageArray(_SeriesPages(series.pages), shape_yx, dtype)
    sizes, note = tiff_sizes(tif, n_pages)
    return RawImage(
        array,
        "tiff",
        _describe(tif, n_pages, mapped=isinstance(array, np.ndarray)),
        sizes,
        size_note=note,
        is_colour=is_rgb,
        closer=tif.close,
    )


def _only_series(tif: Any, path: Path) -> Any:
    """Return the series that holds the image, refusing pages of mixed size or type."""
    first = tif.series[0]
    others = [s for s in tif.series[1:] if not _is_preview(s, first)]
    if not others:
        return first
    kinds = [f"{shape_text(s.shape)} {s.dtype}" for s in (first, *others)]
    raise ReadError(
        f"the TIFF file holds {len(kinds)} images of different kinds: {', '.join(kinds[:6])}",
        expected="pages of one size and type",
        where=path,
        mend="save each image as a file of its own",
    )


def _is_preview(series: Any, first: Any) -> bool:
    """Tell whether a series is a thumbnail or reduced copy that some programs append."""
    return bool(series.keyframe.is_reduced) or series.kind in ("thumbnail", "label", "macro")


def _n_pages(series: Any, path: Path) -> int:
    """Return the number of z pages, where every other axis than (z, y, x) has length 1."""
    axes = dict(zip(series.axes, series.shape, strict=True))
    for name in "YXS":
        axes.pop(name, None)
    long = {name: n for name, n in axes.items() if n > 1}
    # many stacks are saved with slices called frames, or channels (ImageJ has at most 7 of these)
    has_channels = "C" in long and (series.kind != "imagej" or long["C"] <= 7)
    if len(long) > 1 or has_channels:
        named = {"T": "time points", "C": "channels", "Z": "slices"}
        found = ", ".join(f"{n} {named.get(a, a)}" for a, n in long.items())
        raise InputError(
            f"the TIFF file holds {found}",
            expected="one axis of slices",
            where=path,
            mend="save each channel and time point as a file of its own; if they are slices, "
            "say so in Fiji with Image > Properties",
        )
    n_pages = int(next(iter(long.values()), 1))
    if series.dataoffset is None and len(series.pages) != n_pages:
        raise ReadError(
            f"the TIFF file holds {len(series.pages)} pages",
            expected=f"{n_pages}, as its description says",
            where=path,
            mend="the file may be cut off: copy it again",
        )
    return n_pages


def _coloured(page: Any, path: Path) -> InputError:
    return InputError(
        f"the image is coloured: {page.samplesperpixel} samples per pixel",
        expected="one grey value per pixel",
        where=path,
        mend="save it as 8- or 16-bit grey (Fiji: Image > Type); colours are read for labels only",
    )


def _stored_dtype(tif: Any, page: Any) -> np.dtype[Any]:
    if page.dtype is None:
        raise InputError(
            f"the pixels have {page.bitspersample} bits of sample format {page.sampleformat}",
            expected="8-, 16-, 32- or 64-bit whole or real numbers",
            where=tif.filehandle.path,
        )
    stored: np.dtype[Any] = np.dtype(page.dtype)
    return stored.newbyteorder(tif.byteorder)


def _mapped(series: Any, shape: tuple[int, int, int], path: Path, byteorder: str) -> Array:
    dtype = np.dtype(series.dtype).newbyteorder(byteorder)
    needed = series.dataoffset + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    size = path.stat().st_size
    if needed > size:
        raise ReadError(
            f"the TIFF file is cut off: {size} bytes of at least {needed}",
            where=path,
            mend="copy it again",
        )
    return np.memmap(path, dtype, "r", series.dataoffset, shape)


class TiffPage:
    """One page: mapped where it lies in one piece, else decoded."""

    def __init__(self, page: Any) -> None:
        self._page = page
        # the pages of an OME-TIFF may lie in several files
        self._path = Path(page.parent.filehandle.path)

    def read(self, rows: slice, columns: slice) -> Array:
        """Return a part of the page (y, x); only its rows are read if it is not compressed."""
        page = self._page
        try:
            if _in_one_piece(page):
                return self._read_rows(rows)[:, columns]
            whole = page.asarray()
        except ReadError:
            raise
        except Exception as error:  # each codec has errors of its own
            raise ReadError(
                f"page {page.index} cannot be decoded: {error}",
                where=self._path,
                mend="the file is damaged: copy it again",
            ) from error
        return _pack_colours(whole, page.keyframe)[rows, columns]

    def _read_rows(self, rows: slice) -> Array:
        page = self._page
        dtype = np.dtype(page.keyframe.dtype).newbyteorder(page.parent.byteorder)
        n_columns = int(page.keyframe.imagewidth)
        offset = page.dataoffsets[0] + rows.start * n_columns * dtype.itemsize
        shape = (max(rows.stop - rows.start, 0), n_columns)
        if not shape[0]:
            return np.empty(shape, dtype)
        return np.asarray(np.memmap(self._path, dtype, "r", offset, shape))


def _in_one_piece(page: Any) -> bool:
    """Tell whether the pixels of a grey page lie in the file as they are, row after row."""
    key = page.keyframe
    if not key.is_final or key.is_tiled or key.samplesperpixel > 1 or key.dtype.kind == "b":
        return False
    ends = (a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=True))
    return all(end == start for end, start in zip(ends, page.dataoffsets[1:], strict=False))


def _pack_colours(page: Array, keyframe: Any) -> Array:
    """Return an RGB page (y, x, sample) as uint32 ``0xRRGGBB``; grey ones as they are."""
    if keyframe.samplesperpixel == 1:
        return page
    if page.shape[0] == keyframe.samplesperpixel and page.shape[-1] != keyframe.samplesperpixel:
        page = np.moveaxis(page, 0, -1)
    if page.dtype != np.uint8 or page.shape[-1] < 3:
        raise InputError(
            f"a colour image of {page.shape[-1]} × {page.dtype}", expected="RGB of 8 bits each"
        )
    return pack_rgb(page)


class _SeriesPages(Sequence[TiffPage]):
    """The pages of a series, made when asked for."""

    def __init__(self, pages: Sequence[Any]) -> None:
        self._pages = pages
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pages)

    def __getitem__(self, index: Any) -> Any:
        with self._lock:  # looking up a page may parse its tags
            page = self._pages[index]
        return TiffPage(page)


def _describe(tif: Any, n_pages: int, *, mapped: bool) -> tuple[str, ...]:
    import tifffile

    page = tif.pages.first
    kind = "BigTIFF" if tif.is_bigtiff else "TIFF"
    flavour = " (ImageJ)" if tif.is_imagej else " (OME)" if tif.is_ome else ""
    order = "big-endian" if tif.byteorder == ">" else "little-endian"
    name = tifffile.COMPRESSION(page.compression).name.lower()
    lines = [
        f"{kind}{flavour}, {n_pages} page{'s' * (n_pages != 1)} of "
        f"{page.imagelength} × {page.imagewidth}, {page.dtype}, {order}",
        f"compression {name}" + (", mapped into memory" if mapped else ""),
    ]
    if page.software:
        lines.append(f"software {page.software}")
    return tuple(lines)
