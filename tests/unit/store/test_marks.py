from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tomolith.errors import DiskError
from tomolith.store.marks import Marks


def test_marks_survive_and_die_with_their_key(tmp_path):
    marks = Marks(tmp_path / "m", "key-1")
    marks.done("block-0", "17")
    marks.done('odd "name"\n')
    again = Marks(tmp_path / "m", "key-1")
    assert again.is_done("block-0")
    assert again.detail("block-0") == "17"
    assert again.is_done('odd "name"\n')
    assert not again.is_done("block-1")
    assert len(again) == 2
    assert not Marks(tmp_path / "m", "key-2").is_done("block-0")
    assert not Marks(tmp_path / "m", "key-1").is_done("block-0")


def test_clear_forgets_all(tmp_path):
    marks = Marks(tmp_path, "k")
    marks.done("a")
    marks.clear()
    assert not marks.is_done("a")
    assert not Marks(tmp_path, "k").is_done("a")


@pytest.mark.parametrize("n_lost", [1, 2, 9, 20])
def test_half_a_line_of_a_killed_writer_does_not_count(tmp_path, n_lost):
    marks = Marks(tmp_path, "k")
    marks.done("a")
    marks.done("b")
    content = marks.path.read_bytes()
    marks.path.write_bytes(content[:-n_lost])
    again = Marks(tmp_path, "k")
    assert again.is_done("a")
    assert not again.is_done("b")
    again.done("c")
    last = Marks(tmp_path, "k")
    assert last.is_done("c")
    assert not last.is_done("b")


def test_half_a_key_voids_the_journal(tmp_path):
    marks = Marks(tmp_path, "k")
    marks.done("a")
    marks.path.write_bytes(b'{"key"\n' + marks.path.read_bytes().split(b"\n", 1)[1])
    assert len(Marks(tmp_path, "k")) == 0


def test_threads_do_not_mix_their_lines(tmp_path):
    marks = Marks(tmp_path, "k")
    names = [f"block-{i}" for i in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(marks.done, names))
    again = Marks(tmp_path, "k")
    assert all(again.is_done(name) for name in names)


def test_a_hundred_thousand_marks_are_one_file(tmp_path):
    marks = Marks(tmp_path, "k")
    lines = "".join(f'{{"name": "block-{i}", "detail": ""}}\n' for i in range(100_000))
    marks.path.write_text(marks.path.read_text() + lines)
    again = Marks(tmp_path, "k")
    assert len(again) == 100_000
    assert again.is_done("block-99999")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_mark_that_cannot_be_written_does_not_count(tmp_path):
    marks = Marks(tmp_path / "m", "k")
    marks.path.unlink()
    marks.path.parent.rmdir()
    (tmp_path / "m").write_text("a file in the way")
    with pytest.raises((DiskError, OSError)):
        marks.done("a")
    assert not marks.is_done("a")
