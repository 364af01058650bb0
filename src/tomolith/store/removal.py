"""Taking a scan away: ours only, and never by halves."""

from __future__ import annotations

from pathlib import Path

from tomolith.errors import DiskError, IntegrityError, ReadError
from tomolith.store.atomic import disk_errors, remove_tree, rename
from tomolith.store.seal import is_sealed, read_document


def remove_scan(path: Path) -> None:
    """Remove an older or unfinished scan at ``path``; refuse to remove anything else.

    It is renamed first, so that a kill in between leaves no half of a scan at ``path``.

    Raises
    ------
    DiskError
        Something else than a scan of tomolith lies there, or it cannot be removed.
    """
    old = path.with_name(f"{path.name}.old")
    with disk_errors(path):
        remove_tree(old)
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
    rename(path, old)
    remove_tree(old)


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
