"""Done marks: which blocks of long work are finished and safely on disk.

One journal per piece of work, a line per finished block, only ever appended to: with
100 000 blocks it is one file of a few megabytes and not 100 000 files.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from tomolith.store.atomic import disk_errors, write_text


class Marks:
    """The done marks of one piece of work, safe to use from several threads.

    Parameters
    ----------
    folder
        Where the journal ``marks.jsonl`` lies; made where it does not exist.
    key
        Hash of everything the result depends on (recipe, inputs, code version).
        Marks made under another key are void.

    Raises
    ------
    DiskError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Marks(folder, "00ff").done("block-0")
    >>> Marks(folder, "00ff").is_done("block-0"), Marks(folder, "11ee").is_done("block-0")
    (True, False)
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self.path = folder / "marks.jsonl"
        self._lock = threading.Lock()
        self._details = self._load()

    def __len__(self) -> int:
        return len(self._details)

    def is_done(self, name: str) -> bool:
        """Tell whether ``name`` is finished."""
        return name in self._details

    def detail(self, name: str) -> str:
        """Return what :meth:`done` was given for ``name`` (``KeyError`` if not done)."""
        return self._details[name]

    def done(self, name: str, detail: str = "") -> None:
        """Mark ``name`` as finished. Call it only after its data is synced.

        Raises
        ------
        DiskError
            The mark cannot be written; the block then counts as not done.
        """
        line = json.dumps({"name": name, "detail": detail}) + "\n"
        with self._lock, disk_errors(self.path), self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
            self._details[name] = detail

    def clear(self) -> None:
        """Forget all marks."""
        with self._lock:
            self._start_anew()

    def _start_anew(self) -> None:
        self._details = {}
        write_text(self.path, json.dumps({"key": self.key}) + "\n")

    def _load(self) -> dict[str, str]:
        with disk_errors(self.path):
            lines = self.path.read_bytes().splitlines(True) if self.path.is_file() else []
        records = [record for line in lines if (record := _parse(line)) is not None]
        if not records or records[0].get("key") != self.key:
            self._start_anew()
            return {}
        details = {r["name"]: r.get("detail", "") for r in records[1:] if "name" in r}
        if len(records) < len(lines):  # a killed writer left half a line: rewrite without it
            text = "".join(json.dumps(record) + "\n" for record in records)
            write_text(self.path, text)
        return details


def _parse(line: bytes) -> dict[str, str] | None:
    """Return the record of a whole line; ``None`` for half a line."""
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
