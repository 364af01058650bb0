"""Optional libraries and progress bars."""

import io
import sys

import pytest

from tomolith.config import progress, require
from tomolith.errors import MissingExtraError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_require_returns_the_module():
    assert require("math", extra="none").pi > 3


def test_a_missing_library_is_answered_with_the_line_that_installs_it():
    with pytest.raises(MissingExtraError) as caught:
        require("no_such_library_here", extra="napari")
    assert "no_such_library_here" in caught.value.found
    assert caught.value.mend == "pip install 'tomolith[napari]'"
    assert caught.value.exit_code == 3


def test_progress_is_silent_where_no_terminal_looks(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("blocks", total=3) as bar:
        bar.advance(note="0_0_0")
        bar.advance(2)
    assert stream.getvalue() == ""


def test_progress_shows_title_and_note_on_a_terminal(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("blocks", total=2) as bar:
        bar.advance(2, note="shard 1")
    shown = stream.getvalue()
    assert "blocks" in shown
    assert "shard 1" in shown
    assert "100%" in shown
