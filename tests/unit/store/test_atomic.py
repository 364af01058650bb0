from __future__ import annotations

import errno
import os

import pytest

from tomolith.errors import DiskError
from tomolith.store import atomic


def test_text_replaces_text(tmp_path):
    path = tmp_path / "new" / "a.txt"
    atomic.write_text(path, "first µ")
    atomic.write_text(path, "second µ")
    assert path.read_text() == "second µ"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")
    with pytest.raises(RuntimeError), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_files_and_folder_are_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    calls: list[str] = []
    sync, replace = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("sync"), sync(handle)))
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda a, b: (calls.append("rename"), replace(a, b))
    )
    atomic.write_bytes(tmp_path / "a", b"1")
    assert calls == ["sync", "rename", "sync"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "not permitted"),
        (errno.EFBIG, "larger than allowed"),
        (errno.ENOTDIR, "file is where a folder"),
        (errno.EISDIR, "folder is where a file"),
        (errno.EEXIST, "there already"),
        (errno.ENAMETOOLONG, "name is too long"),
        (errno.EMFILE, "too many files"),
        (errno.ENFILE, "too many files"),
    ],
)
def test_disk_errors_say_what_to_do(tmp_path, number, message):
    with pytest.raises(DiskError, match=message) as caught, atomic.disk_errors(tmp_path):
        raise OSError(number, "system says so")
    assert caught.value.exit_code == 3
    assert caught.value.where == str(tmp_path)
    assert caught.value.mend


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic.disk_errors(tmp_path):
        (tmp_path / "none").read_text()


def test_only_temporary_files_are_cleaned(tmp_path):
    stale = tmp_path / "c" / "0" / f"3.{'0a' * 16}.partial"
    label = tmp_path / "labels" / "truth.partial" / "c"
    for path in (stale, label):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    assert atomic.clean_stale(tmp_path) == 1
    assert not stale.exists()
    assert label.exists()


def test_what_zarr_leaves_behind_is_recognised(tmp_path, monkeypatch):
    """Should zarr change the names of its temporary files, this says so."""
    from pathlib import Path

    from zarr.storage import _local

    seen: list[Path] = []
    replace = Path.replace

    def spy(self, target):
        seen.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", spy)
    from zarr.core.buffer import cpu

    _local._put(tmp_path / "c" / "0", cpu.Buffer.from_bytes(b"123"))
    assert len(seen) == 1
    assert atomic.is_temporary(seen[0])


def test_a_removed_tree_loses_its_metadata_first(tmp_path, monkeypatch):
    folder = tmp_path / "a.zarr"
    (folder / "0").mkdir(parents=True)
    (folder / "zarr.json").write_text("{}")
    monkeypatch.setattr(atomic.shutil, "rmtree", lambda _: None)  # killed right there
    atomic.remove_tree(folder)
    assert not (folder / "zarr.json").exists()
    monkeypatch.undo()
    atomic.remove_tree(folder)
    atomic.remove_tree(folder)
    assert not folder.exists()


def test_syncing_leaves_out_what_is_absent(tmp_path):
    (tmp_path / "a").write_text("1")
    atomic.sync_files([tmp_path / "a", tmp_path / "none"])
    atomic.sync_tree(tmp_path)
