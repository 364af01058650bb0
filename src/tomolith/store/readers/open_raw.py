"""Open any supported path: a file, a folder, or a glob pattern."""

from __future__ import annotations

import difflib
import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tomolith.errors import ReadError
from tomolith.store.readers.base import RawImage, refuse_dataset
from tomolith.store.readers.colour import open_colour

if TYPE_CHECKING:
    from tomolith.store.readers.base import Reader

_SEQUENCE_SUFFIXES = (".tif", ".tiff")
_PACKED = {".gz", ".zip", ".bz2", ".xz", ".7z", ".tar", ".rar", ".npz"}


def open_raw(
    path: str | Path,
    *,
    dataset: str | None = None,
    independent: bool = False,
    colour: bool = False,
) -> RawImage:
    """Open an image lazily, whatever its format.

    Parameters
    ----------
    path
        A file, an OME-Zarr folder, a folder of single TIFF slices, or a glob
        pattern of them (natural order: ``img_2`` before ``img_10``).
    dataset
        Name of the image inside a file that holds several (HDF5, Zarr).
    independent
        True where the files of a sequence are independent images: a gap in
        their numbering then means nothing.
    colour
        True for labels: colours of TIFF and PNG come as ``0xRRGGBB``.

    Raises
    ------
    ReadError
        The path is missing (similar names are given), empty, damaged, or of no
        supported format.
    InputError
        The image is none that can be used (colour, complex numbers).
    """
    path = Path(path)
    if not path.exists() and glob.has_magic(str(path)):
        return _open_sequence(_matches(path), path, _Sequence(dataset, independent, colour))
    _check_exists(path)
    if path.is_file() and path.stat().st_size == 0:
        raise ReadError("the file is empty (0 bytes)", where=path, mend="copy it again")
    if colour and path.is_file():
        found = open_colour(path)
        if found is not None:
            return found
    reader = _reader_for(path)
    if reader is not None:
        return reader.open(path, dataset=dataset)
    if path.is_dir():
        return _open_sequence(_slices_in(path), path, _Sequence(dataset, independent, colour))
    raise _unknown_format(path)


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which ``img_2`` comes before ``img_10``.

    Examples
    --------
    >>> [p.name for p in sorted([Path("img_10"), Path("img_2")], key=natural_key)]
    ['img_2', 'img_10']
    """
    parts = re.split(r"(\d+)", str(path))
    return tuple((1, int(p), "") if p.isdecimal() else (0, 0, p.lower()) for p in parts if p)


def _check_exists(path: Path) -> None:
    if path.exists():
        return
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    missing = path.relative_to(folder).parts[0]
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(missing, names, n=3, cutoff=0.5)
    what = "file" if folder == path.parent else f"folder '{missing}'"
    listed = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
    raise ReadError(
        f"there is no such {what}",
        where=path,
        mend=f"did you mean {' or '.join(repr(n) for n in near)}?"
        if near
        else f"{folder} holds: {listed or 'nothing'}",
    )


def _reader_for(path: Path) -> Reader | None:
    from tomolith.store.readers import READERS

    for name in READERS.names():
        reader: Reader = READERS.load(name)()
        if reader.sniff(path):
            return reader
    return None


def _matches(pattern: Path) -> list[Path]:
    found = [Path(p) for p in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - absolute patterns
    if not found:
        raise ReadError(
            "no file matches the pattern", where=pattern, mend="check the folder and the pattern"
        )
    return sorted(found, key=natural_key)


def _slices_in(folder: Path) -> list[Path]:
    files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    slices = [p for p in files if p.suffix.lower() in _SEQUENCE_SUFFIXES]
    if not slices:
        raise ReadError(
            f"the folder holds no image: {_names(p.name for p in folder.iterdir())}",
            expected="single TIFF slices (.tif, .tiff), or an OME-Zarr group",
            where=folder,
            mend="give the path of the image file itself",
        )
    return sorted(slices, key=natural_key)


@dataclass(frozen=True)
class _Sequence:
    dataset: str | None
    independent: bool
    colour: bool


def _open_sequence(files: list[Path], where: Path, asked: _Sequence) -> RawImage:
    from tomolith.store.readers.sequence import open_sequence

    if len(files) == 1:
        return open_raw(files[0], dataset=asked.dataset, colour=asked.colour)
    other = [p.name for p in files if p.suffix.lower() not in _SEQUENCE_SUFFIXES]
    if other:
        raise ReadError(
            f"the pattern matches files that are no TIFF slices: {_names(other)}",
            where=where,
            mend="narrow the pattern; only TIFF slices can be joined into one image",
        )
    refuse_dataset(asked.dataset, where)
    return open_sequence(files, where=where, independent=asked.independent, colour=asked.colour)


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    return (", ".join(listed[:6]) + (" ..." if len(listed) > 6 else "")) or "nothing at all"


def _unknown_format(path: Path) -> ReadError:
    with path.open("rb") as file:
        head = file.read(24)
    text = head.decode("ascii", "replace")
    is_text = all(c.isprintable() or c in "\r\n\t" for c in text)
    begins = repr(text) if is_text else head[:8].hex(" ")
    named = f"named {path.suffix} but " if path.suffix else ""
    mend = "check that it is the right file and that it was copied whole"
    if path.suffix.lower() in _PACKED:
        mend = "unpack it first"
    return ReadError(
        f"the file is {named}of no format known here; it begins with {begins}",
        expected="TIFF, OME-Zarr, HDF5, Zeiss .txrm/.xrm/.txm, Amira .am or NumPy .npy",
        where=path,
        mend=mend,
    )
