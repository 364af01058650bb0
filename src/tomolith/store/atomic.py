"""Files that are either whole or absent, also after a kill or a power cut."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tomolith.errors import DiskError

# zarr names its temporary files so too; both are found by one pattern
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.partial$")

# what NumPy says instead of the system's reason (ndarray.tofile)
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")

_MEND_FULL = "free some space and run again; finished parts are kept"
_REASONS = {
    errno.ENOSPC: ("the disk is full", _MEND_FULL),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run again"),
    errno.EFBIG: ("a file became larger than allowed here", "raise the file size limit (ulimit)"),
    errno.EROFS: ("the disk is read-only", "choose a folder that can be written"),
    errno.EACCES: ("writing is not permitted", "choose a folder that you may write"),
    errno.EPERM: ("writing is not permitted", "choose a folder that you may write"),
    errno.ENOTDIR: ("a file is where a folder should be", "move the file away"),
    errno.EISDIR: ("a folder is where a file should be", "move the folder away"),
    errno.EEXIST: ("something of this name is there already", "move it away"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "choose a shorter name or folder"),
    errno.EMFILE: ("too many files are open", "raise the limit of open files (ulimit -n)"),
    errno.ENFILE: ("too many files are open on this machine", "close other programs"),
    errno.EIO: ("the disk reports an input/output error", "check the disk, then run again"),
}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's disk errors into :class:`~tomolith.errors.DiskError`.

    Parameters
    ----------
    path
        What is being written, for the message.

    Raises
    ------
    DiskError
        The disk is full, read-only, not permitted or broken.

    Examples
    --------
    >>> with disk_errors(Path("a.zarr")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    tomolith.errors.DiskError: the disk is full
      where:    a.zarr
      to mend:  free some space and run again; finished parts are kept
    """
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0)
        if reason is None and _SHORT_WRITE.search(str(error)):
            reason = ("the disk is full, or a file size limit is reached", _MEND_FULL)
        if reason is None:
            raise
        raise DiskError(reason[0], where=error.filename or path, mend=reason[1]) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Offer a temporary path beside ``path`` that replaces it when all went well.

    The temporary file is synced and renamed at the end, and removed on failure.

    Raises
    ------
    DiskError
        See :func:`disk_errors`.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _sync_file(temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` holds the old or the new bytes, never a mixture.

    Raises
    ------
    DiskError
        See :func:`disk_errors`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text as :func:`write_bytes` does.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "note.txt"
    >>> write_text(path, "kept")
    >>> path.read_text()
    'kept'
    """
    write_bytes(path, content.encode())


def sync_files(paths: Iterable[Path]) -> None:
    """Force files, and the folders that name them, onto the disk.

    Files that are absent are left out.
    """
    folders: dict[Path, None] = {}
    for path in paths:
        with disk_errors(path):
            if path.is_file():
                _sync_file(path)
                folders[path.parent] = None
    for folder in folders:
        with disk_errors(folder):
            _sync_folder(folder)


def sync_tree(path: Path) -> None:
    """Force every file and folder under ``path``, and its own name, onto the disk."""
    with disk_errors(path):
        for folder, _, names in os.walk(path):
            for name in names:
                _sync_file(Path(folder) / name)
            _sync_folder(Path(folder))
        _sync_folder(path.parent)


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder and force the new name onto the disk."""
    with disk_errors(target):
        source.rename(target)
        _sync_folder(target.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder such that a kill in between leaves nothing that looks whole.

    The metadata file goes first: what has none is no result.
    """
    with disk_errors(path):
        (path / "zarr.json").unlink(missing_ok=True)
        if path.is_dir():
            shutil.rmtree(path)


def is_temporary(path: Path) -> bool:
    """Tell whether a file is the unfinished temporary of an atomic write.

    Examples
    --------
    >>> is_temporary(Path("c/0/0/3." + 32 * "a" + ".partial")), is_temporary(Path("a.partial"))
    (True, False)
    """
    return _TEMPORARY.search(path.name) is not None


def clean_stale(folder: Path) -> int:
    """Remove the temporary files of killed writers; return how many there were.

    Only for who holds the lock of ``folder``: a living writer's files would go too.
    """
    n_removed = 0
    with disk_errors(folder):
        for path in folder.rglob("*.partial"):
            if is_temporary(path) and path.is_file():
                path.unlink(missing_ok=True)
                n_removed += 1
    return n_removed


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
