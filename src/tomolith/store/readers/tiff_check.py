"""Whether a TIFF file is whole: its chain of pages and the data they point at."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tomolith.errors import ReadError


@contextmanager
def quiet_parser() -> Iterator[None]:
    """Keep tifffile from logging about damage that is raised as an error anyway."""
    log = logging.getLogger("tifffile")

    def drop(record: logging.LogRecord) -> bool:
        return False

    log.addFilter(drop)
    try:
        yield
    finally:
        log.removeFilter(drop)


def check_chain(path: Path) -> int:
    """Follow the chain of page directories to its end and return their number.

    Parsers stop in silence where the chain breaks, which would make a shorter
    stack of a truncated file.

    Raises
    ------
    ReadError
        The chain leads out of the file, or in a circle.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            return _walk(file, path, size)
        except struct.error:
            raise _cut_off(path, size) from None


def _walk(file: BinaryIO, path: Path, size: int) -> int:
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\x00", b"\x00+")
    if big:
        (offset,) = struct.unpack_from(order + "Q", head, 8)
        count, entry, pointer = "Q", 20, "Q"
    else:
        (offset,) = struct.unpack_from(order + "I", head, 4)
        count, entry, pointer = "H", 12, "I"
    if offset == 0:
        raise ReadError(
            "the TIFF file has no page: the program that wrote it did not finish",
            where=path,
            mend="export it again",
        )
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise ReadError("the TIFF pages point in a circle", where=path, mend="copy it again")
        seen.add(offset)
        if offset >= size:
            raise _cut_off(path, size)
        file.seek(offset)
        (n_tags,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
        file.seek(n_tags * entry, 1)
        (offset,) = struct.unpack(order + pointer, file.read(struct.calcsize(pointer)))
    return len(seen)


def check_segments(tif: Any, series: Any, path: Path) -> None:
    """Check that every page of a series is there and its data lies inside the file.

    Raises
    ------
    ReadError
        The file is cut off, or a page is missing (files of a multi-file OME-TIFF).
    """
    size = path.stat().st_size
    for index, page in enumerate(series.pages):
        if page is None:
            raise ReadError(
                f"page {index} is missing: it lies in another file of this OME-TIFF",
                where=path,
                mend="put all files of the OME-TIFF into one folder",
            )
        if page.parent is tif:
            check_page(page, path, size)


def check_page(page: Any, path: Path, size: int) -> None:
    """Check that the data of one page lies inside the file."""
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    end = max((offset + n for offset, n in ends), default=0)
    if end == 0:
        raise _cut_off(path, size)
    if end > size:
        raise ReadError(
            f"the TIFF file is cut off: page {page.index} ends at byte {end} of {size}",
            where=path,
            mend="copy it again",
        )


def _cut_off(path: Path, size: int) -> ReadError:
    return ReadError(
        f"the TIFF file is cut off after {size} bytes: its list of pages is incomplete",
        where=path,
        mend="copy it again",
    )
