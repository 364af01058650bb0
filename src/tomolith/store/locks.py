"""One writer per folder. The system releases a lock when its process dies."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from tomolith.errors import LockedError
from tomolith.store.atomic import disk_errors


@contextmanager
def lock(folder: Path, purpose: str) -> Iterator[None]:
    """Hold the lock of ``folder``, or say who does.

    Parameters
    ----------
    folder
        Made where it does not exist; the lock is its file ``lock``, which stays.
    purpose
        What is being done, for the other's message (``"predict"``).

    Raises
    ------
    LockedError
        Another process, or another thread of this one, holds it.
    DiskError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with lock(folder, "import"):
    ...     pass
    """
    path = folder / "lock"
    with disk_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _locked(file, folder) from None
        _write_holder(file, purpose)
        try:
            yield
        finally:
            file.truncate(0)
            fcntl.flock(file, fcntl.LOCK_UN)


def _write_holder(file: IO[str], purpose: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "purpose": purpose,
        "since_utc": since,
    }
    with disk_errors(Path(file.name)):
        file.truncate(0)
        # unbuffered: what a full disk did not take, closing the file would try to write again
        os.write(file.fileno(), json.dumps(holder).encode())


def _locked(file: IO[str], folder: Path) -> LockedError:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        who = (
            f"process {holder['pid']} on {holder['host']} "
            f"({holder['purpose']}, since {holder['since_utc']})"
        )
        mend = f"wait for it, or end it on {holder['host']} with: kill {holder['pid']}"
    except (ValueError, KeyError, TypeError):
        who, mend = "another process", "wait for it to end, then run again"
    return LockedError(f"{who} is writing here", where=folder, mend=mend)
