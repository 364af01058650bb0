"""Is a stored scan whole? Everything is read back, so that no damage goes unnoticed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.config import progress
from tomolith.errors import IntegrityError, TomolithError
from tomolith.store.array import StoredArray
from tomolith.store.atomic import is_temporary
from tomolith.store.metadata import Record, read_listed_labels, read_record
from tomolith.store.pyramid import plan_levels
from tomolith.store.removal import is_leftover
from tomolith.store.seal import is_sealed, read_document

_UNWRITTEN = np.iinfo(np.uint64).max  # offset and length of an absent chunk, Zarr v3 sharding


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, and what to do about it."""

    path: Path
    what: str
    mend: str


def verify_scan(path: Path) -> list[Problem]:
    """Read every chunk and every metadata file of a scan back; list what is wrong.

    Noticed are: flipped bits, truncated and missing shards and metadata files, chunks
    that were never written, levels of a pyramid that are absent, label maps that are
    unfinished or not listed, and a scan that was not finished.

    Parameters
    ----------
    path
        Folder of the scan.

    Returns
    -------
    list of Problem
        Empty where the scan is whole.

    Examples
    --------
    >>> import tempfile
    >>> [problem.what for problem in verify_scan(Path(tempfile.mkdtemp()))]
    ['the metadata file is missing']
    """
    problems: list[Problem] = []
    record = _check_group(path, problems, again="the step 'import' or 'phantom'")
    if record is None:
        return problems
    _check_arrays(path, record, problems)
    if record.n_invalid or (path / "invalid").is_dir():
        _check_array(path / "invalid", record.grid.shape_zyx, problems)
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        if folder.name not in ("invalid", ".import") and not folder.name.isdigit():
            _check_results(folder, problems)
    problems += [
        Problem(file, "a killed process left this temporary file", "delete it")
        for file in sorted(path.rglob("*.partial"))
        if file.is_file() and is_temporary(file)
    ]
    return problems


def verify_result(path: Path) -> list[Problem]:
    """Read one label map, or one extra, of a scan back; list what is wrong.

    Parameters
    ----------
    path
        Its folder, ``<scan>/labels/<name>`` or ``<scan>/<kind>/<name>``.

    Returns
    -------
    list of Problem
        Empty where it is whole, finished and, if a label map, listed.
    """
    problems: list[Problem] = []
    try:
        listed = set(read_listed_labels(path.parent))
    except TomolithError as error:
        return [Problem(path.parent / "zarr.json", error.found, "run the step again")]
    _check_result(path, listed, problems, again="the step that makes it")
    return problems


def _check_group(path: Path, problems: list[Problem], *, again: str) -> Record | None:
    """Check the metadata of a group; return its record if it can be read."""
    mend = f"run {again} again"
    try:
        record = read_record(path)
        _check_sealed(path, problems)
    except TomolithError as error:
        where = Path(error.where) if error.where else path
        problems.append(Problem(where, error.found, error.mend or mend))
        return None
    if not record.complete:
        problems.append(Problem(path, "it was not finished", mend))
    return record


def _check_sealed(path: Path, problems: list[Problem]) -> None:
    file = path / "zarr.json"
    if not is_sealed(read_document(file)):
        problems.append(Problem(file, "the metadata carry no checksum", "run the step again"))


def _check_results(folder: Path, problems: list[Problem]) -> None:
    """Check the label maps, or the extras, in ``folder``."""
    again = "the step that makes it (predict, import)"
    results = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    whole = [r for r in results if not r.name.endswith(".partial") and not is_leftover(r)]
    listed = _check_list(folder, whole, problems)
    for result in results:
        if result.name.endswith(".partial"):
            problems.append(Problem(result, "it is unfinished", f"run {again} again"))
        elif is_leftover(result):
            problems.append(Problem(result, "a replaced result was not removed", "delete it"))
        elif not _is_foreign(result):
            _check_result(result, listed, problems, again=again)
    missing = sorted(name for name in listed if not (folder / name).is_dir())
    problems += [
        Problem(folder / name, "the label map is listed and missing", f"run {again} again")
        for name in missing
    ]


def _check_result(result: Path, listed: set[str], problems: list[Problem], *, again: str) -> None:
    record = _check_group(result, problems, again=again)
    if record is None:
        return
    _check_arrays(result, record, problems)
    if record.schema is not None and result.name not in listed:
        problems.append(Problem(result, "the label map is not listed", f"run {again} again"))


def _check_list(folder: Path, whole: list[Path], problems: list[Problem]) -> set[str]:
    """Check the metadata of a group of results; return the label maps it lists."""
    if not whole and not (folder / "zarr.json").is_file():
        return set()  # the first result is still being written
    mend = "run the step that made the results in it again"
    try:
        listed = set(read_listed_labels(folder))
        # other software may add label maps of its own, and knows no checksum
        if not any(_is_foreign(folder / name) for name in listed):
            _check_sealed(folder, problems)
    except TomolithError as error:
        problems.append(Problem(folder / "zarr.json", error.found, mend))
        return set()
    return listed


def _check_arrays(path: Path, record: Record, problems: list[Problem]) -> None:
    """Check all levels of a pyramid."""
    leading = () if record.channels is None else (len(record.channels),)
    levels = plan_levels(record.grid) if record.complete else plan_levels(record.grid)[:1]
    for level in levels:
        _check_array(path / str(level.index), leading + level.shape_zyx, problems)


def _check_array(path: Path, shape: tuple[int, ...], problems: list[Problem]) -> None:
    again = "run the step that made it again"
    try:
        _check_sealed(path, problems)
        array = StoredArray.open(path)
        if array.shape != shape:
            raise IntegrityError(f"the array has shape {array.shape}, not {shape}")
    except TomolithError as error:
        where = Path(error.where) if error.where else path
        problems.append(Problem(where, error.found, again))
        return
    with progress(f"verify {path.parent.name}", total=len(array.shard_files())) as bar:
        for file, slices in _shards(array):
            what = _damage(array, file, slices)
            if what is not None:
                problems.append(Problem(file, what, again))
            bar.advance()


def _shards(array: StoredArray) -> Iterator[tuple[Path, tuple[slice, ...]]]:
    starts = [range(0, n, s) for n, s in zip(array.shape, array.shards, strict=True)]
    for file, corner in zip(array.shard_files(), itertools.product(*starts), strict=True):
        yield file, tuple(slice(a, a + s) for a, s in zip(corner, array.shards, strict=True))


def _damage(array: StoredArray, file: Path, slices: tuple[slice, ...]) -> str | None:
    """Return what is wrong with one shard, or ``None``."""
    if not file.is_file():
        return "a part of the array is missing"
    try:
        _ = array[slices]
        n_absent = _n_unwritten(array, file, slices)
    except IntegrityError as error:
        return error.found
    except (OSError, ValueError) as error:
        return f"the file cannot be read: {error}"
    return f"{n_absent} chunks were never written" if n_absent else None


def _n_unwritten(array: StoredArray, file: Path, slices: tuple[slice, ...]) -> int:
    """Count the chunks inside the array that the index at the end of a shard lacks.

    Source: Zarr v3 specification, codec ``sharding_indexed``: offset and length of each
    chunk as little-endian uint64, both 2^64 - 1 where there is none; then a crc32c.
    """
    per_shard = [s // c for s, c in zip(array.shards, array.chunks, strict=True)]
    n_bytes = 16 * int(np.prod(per_shard))
    with file.open("rb") as handle:
        handle.seek(-(n_bytes + 4), 2)
        index = np.frombuffer(handle.read(n_bytes), "<u8").reshape(*per_shard, 2)
    inside: list[Any] = [
        slice(0, -(-(min(part.stop, n) - part.start) // c))
        for part, n, c in zip(slices, array.shape, array.chunks, strict=True)
    ]
    return int(np.count_nonzero((index == _UNWRITTEN).all(axis=-1)[tuple(inside)]))


def _is_foreign(path: Path) -> bool:
    """Tell whether a group has sound metadata without a trace of tomolith."""
    try:
        attributes = read_document(path / "zarr.json").get("attributes")
    except TomolithError:
        return False
    return isinstance(attributes, dict) and "ome" in attributes and "tomolith" not in attributes
