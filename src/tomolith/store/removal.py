"""Taking a scan away: ours only, and never by halves."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

from tomolith.errors import DiskError, IntegrityError, ReadError
from tomolith.store.atomic import disk_errors, remove_tree, rename
from tomolith.store.seal import is_sealed, read_document

_REMOVED = re.compile(r"\.(.+)\.[0-9a-f]{32}\.removed")


def set_aside(path: Path) -> None:
    """Give a folder of ours, which is to go, a hidden name that nobody else would use.

    What a kill leaves of it is found by :func:`remove_leftovers`.

    Raises
    ------
    DiskError
        The folder cannot be renamed.
    """
    rename(path, path.with_name(f".{path.name}.{uuid.uuid4().hex}.removed"))


def is_leftover(path: Path) -> bool:
    """Tell whether ``path`` was set aside and not yet removed.

    Examples
    --------
    >>> is_leftover(Path(f".a.zarr.{32 * '0'}.removed")), is_leftover(Path("a.zarr.old"))
    (True, False)
    """
    return _REMOVED.fullmatch(path.name) is not None


def remove_leftovers(path: Path) -> None:
    """Remove what was set aside from ``path``, now or before a kill.

    Raises
    ------
    DiskError
        It cannot be removed.
    """
    with disk_errors(path):
        beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    for other in beside:
        found = _REMOVED.fullmatch(other.name)
        if found is not None and found[1] == path.name:
            remove_tree(other)


def remove_scan(path: Path) -> None:
    """Remove an older or unfinished scan at ``path``; refuse to remove anything else.

    It is renamed first, so that a kill in between leaves no half of a scan at ``path``.

    Raises
    ------
    DiskError
        Something else than a scan of tomolith lies there, or it cannot be removed.
    """
    remove_leftovers(path)
    with disk_errors(path):
        if path.exists() and not path.is_dir():
            raise DiskError("a file is in the way", where=path, mend="move it away")
        if not path.is_dir():
            return
        if any(path.iterdir()) and not _is_ours(path):
            raise DiskError(
                "the folder exists and is no scan of tomolith",
                where=path,
                mend="move it away, or choose another name",
            )
    set_aside(path)
    remove_leftovers(path)


def _is_ours(path: Path) -> bool:
    """Tell whether tomolith wrote, or only began to write, the scan at ``path``."""
    array = path / "0"
    if _is_sealed(path) or _is_sealed(array):
        return True
    only_begun = array.is_dir() and not (array / "c").is_dir()
    return only_begun and not (path / "zarr.json").is_file()


def _is_sealed(path: Path) -> bool:
    try:
        return is_sealed(read_document(path / "zarr.json", unchecked=True))
    except (ReadError, IntegrityError):
        return False
