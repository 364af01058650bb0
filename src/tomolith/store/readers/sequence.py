"""A folder or pattern of single TIFF slices as one image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mode
from typing import Any

from tomolith.errors import InputError, MismatchError, ReadError
from tomolith.store.readers.base import RawImage, shape_text
from tomolith.store.readers.lazy import Array, PageArray
from tomolith.store.readers.tiff import TiffPage, open_tiff
from tomolith.store.readers.tiff_check import check_page


def open_sequence(
    files: Sequence[Path], *, where: Path, independent: bool = False, colour: bool = False
) -> RawImage:
    """Open slices, one per file, as one image in the order given.

    Only the headers are read; a slice is opened when a box needs it.

    Raises
    ------
    InputError
        A number is missing in the names (unless ``independent``).
    MismatchError
        A slice differs from the first in size or type.
    """
    step = 1 if independent else check_numbering(files, where=where)
    first = open_tiff(files[0], colour=colour)
    shape, dtype = first.array.shape, first.array.dtype
    first.close()
    if shape[0] != 1:
        raise _several_pages(files[0], shape[0], where)
    for path in files[1:]:
        _check_like_first(path, files[0], (shape[1], shape[2]), colour=colour, dtype=dtype)
    pages = [_SlicePage(path, colour=colour) for path in files]
    _, y, x = first.known_size_um
    note = first.size_note
    if x is not None and not note:
        note = f"single slices state {y:g} µm in y and {x:g} µm in x, but no z spacing"
    steps = f" in steps of {step}" if step > 1 else ""
    lines = (f"{len(files)} slices {files[0].name} to {files[-1].name}{steps}", *first.description)
    return RawImage(
        PageArray(pages, (shape[1], shape[2]), dtype),
        "tiff",
        lines,
        (None, y, x),
        size_note=note,
        is_colour=first.is_colour,
    )


class _SlicePage:
    """One file of a sequence, opened only while it is read."""

    def __init__(self, path: Path, *, colour: bool) -> None:
        self._path = path
        self._colour = colour

    def read(self, rows: slice, columns: slice) -> Array:
        """Return a part of the slice (y, x)."""
        import tifffile

        try:
            with tifffile.TiffFile(self._path) as tif:
                return TiffPage(tif.pages.first).read(rows, columns)
        except (OSError, tifffile.TiffFileError) as error:
            raise ReadError(
                f"the slice cannot be read: {error}", where=self._path, mend="copy it again"
            ) from error


def _check_like_first(
    path: Path, first: Path, shape_yx: tuple[int, int], *, colour: bool, dtype: Any
) -> None:
    import numpy as np
    import tifffile

    if path.stat().st_size == 0:
        raise ReadError("the slice is empty (0 bytes)", where=path, mend="copy it again")
    try:
        with tifffile.TiffFile(path) as tif:
            page: Any = tif.pages.first
            if page.samplesperpixel > 1 and not colour:
                raise InputError(
                    "the slice is coloured", expected="one grey value per pixel", where=path
                )
            found = (int(page.imagelength), int(page.imagewidth))
            stored = np.uint32 if page.samplesperpixel > 1 else np.dtype(page.dtype)
            check_page(page, path, tif.filehandle.size)
    except (OSError, IndexError, tifffile.TiffFileError) as error:
        raise ReadError(
            f"the slice cannot be read as TIFF: {error}", where=path, mend="copy it again"
        ) from error
    if found != shape_yx:
        raise MismatchError(
            f"the slice has {shape_text(found)} pixels",
            expected=f"{shape_text(shape_yx)} as in {first.name}: one size for all slices",
            where=path,
            mend="remove the slice, or import it as an image of its own",
        )
    stored = np.dtype(np.uint8) if np.dtype(stored).kind == "b" else np.dtype(stored)
    if stored.newbyteorder("=") != dtype.newbyteorder("="):
        raise MismatchError(
            f"the slice holds {stored}",
            expected=f"{dtype} as in {first.name}: one type for all slices",
            where=path,
            mend="convert it to the type of the others",
        )


def _several_pages(path: Path, n_pages: int, where: Path) -> InputError:
    return InputError(
        f"{path.name} holds {n_pages} slices, but stands in a sequence of files",
        expected="one slice per file",
        where=where,
        mend=f"give the path of one stack, for example {path}",
    )


_GAP_MEND = "add the missing files; for images that are no stack say 'kind: images'"


def check_numbering(files: Sequence[Path], *, where: Path) -> int:
    """Return the step of the numbers in the names.

    Raises
    ------
    InputError
        The numbers do not go in equal steps (the missing ones are named), or the
        names differ in more than a number.

    Examples
    --------
    >>> check_numbering([Path("a_1.tif"), Path("a_2.tif"), Path("a_3.tif")], where=Path("."))
    1
    """
    numbers = _numbers(files, where)
    if numbers is None or len(numbers) < 2:
        return 1
    steps = [b - a for a, b in pairwise(numbers)]
    if 0 in steps:
        twice = files[steps.index(0) + 1].name
        raise InputError(f"the number of '{twice}' occurs twice", where=where)
    step = mode(steps)
    if all(s == step for s in steps):
        return step
    if 2 * steps.count(step) < len(steps) or any(s % step for s in steps):
        listed = ", ".join(str(n) for n in numbers[:6]) + (" ..." if len(numbers) > 6 else "")
        raise InputError(
            f"the numbers of the slices do not go in equal steps: {listed}",
            expected="one stack, numbered in equal steps",
            where=where,
            mend=_GAP_MEND,
        )
    missing = sorted(set(range(numbers[0], numbers[-1] + 1, step)) - set(numbers))
    named = ", ".join(str(n) for n in missing[:5]) + (" ..." if len(missing) > 5 else "")
    gap = next(i for i, s in enumerate(steps) if s != step)
    raise InputError(
        f"{len(missing)} slices are missing in the sequence: number {named} "
        f"(after {files[gap].name} comes {files[gap + 1].name})",
        expected=f"numbers in steps of {step}",
        where=where,
        mend=_GAP_MEND,
    )


def _numbers(files: Sequence[Path], where: Path) -> list[int] | None:
    """Return the one number that varies from name to name; ``None`` for one file."""
    split = [re.split(r"(\d+)", f.stem) for f in files]
    skeletons = {tuple(parts[::2]) for parts in split}
    if len(skeletons) > 1:
        raise InputError(
            f"the file names are of {len(skeletons)} kinds: {files[0].name}, {files[-1].name} ...",
            expected="names that differ in one number only",
            where=where,
            mend="use a pattern that matches one sequence, such as 'scan/img_*.tif'",
        )
    columns = list(zip(*(parts[1::2] for parts in split), strict=True))
    varying = [[int(n) for n in column] for column in columns if len(set(column)) > 1]
    if len(varying) > 1:
        raise InputError(
            f"the file names differ in {len(varying)} numbers: {files[0].name}, {files[-1].name}",
            expected="names that differ in one number only",
            where=where,
            mend="use a pattern that matches one sequence, such as 'scan/a_1_*.tif'",
        )
    return varying[0] if varying else None
