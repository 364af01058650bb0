"""The exception tree: exit codes, messages, and travel between processes."""

import pickle

import pytest

from tomolith import errors
from tomolith.errors import (
    DiskError,
    IncompleteError,
    InputError,
    IntegrityError,
    LockedError,
    MemoryBudgetError,
    MismatchError,
    MissingExtraError,
    ReadError,
    RecipeError,
    ResourceError,
    TomolithError,
)

CODES = {
    TomolithError: 1,
    InputError: 2,
    RecipeError: 2,
    ReadError: 2,
    MismatchError: 2,
    ResourceError: 3,
    MemoryBudgetError: 3,
    DiskError: 3,
    MissingExtraError: 3,
    LockedError: 3,
    IntegrityError: 4,
    IncompleteError: 5,
}


def test_every_error_class_is_listed_here_with_its_exit_code():
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert defined == set(CODES)
    for kind, code in CODES.items():
        assert kind("x").exit_code == code
        assert issubclass(kind, TomolithError)


def test_the_message_says_found_expected_where_and_mend(tmp_path):
    error = ReadError("zero bytes", expected="a TIFF", where=tmp_path / "a.tif", mend="copy again")
    lines = str(error).splitlines()
    assert lines[0] == "zero bytes"
    assert lines[1].split(maxsplit=1) == ["expected:", "a TIFF"]
    assert lines[2].split(maxsplit=1) == ["where:", str(tmp_path / "a.tif")]
    assert lines[3].split("to mend:")[1].strip() == "copy again"
    assert error.where == str(tmp_path / "a.tif")


def test_parts_not_given_leave_no_line():
    assert str(IncompleteError("2 of 9 blocks failed")) == "2 of 9 blocks failed"
    assert "expected" not in str(InputError("x", mend="y"))


@pytest.mark.parametrize("kind", list(CODES))
def test_errors_survive_the_way_between_processes(kind):
    error = kind("found", expected="right", where="here", mend="so")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert (copy.found, copy.expected, copy.where, copy.mend) == ("found", "right", "here", "so")


def test_the_tree_in_the_docstring_names_every_class():
    for kind in CODES:
        assert kind.__name__ in (errors.__doc__ or "")
