"""Every error tomolith raises on purpose, and the exit code each gives.

::

    TomolithError                  1
    ├── InputError                 2   something the user gave is wrong
    │   ├── RecipeError                a recipe key, value or combination
    │   ├── ReadError                  an image, label or model file
    │   └── MismatchError              two inputs that do not belong together
    ├── ResourceError              3   this machine cannot do it as asked
    │   ├── MemoryBudgetError
    │   ├── DiskError                  full, read-only, not permitted
    │   ├── MissingExtraError          an optional library is not installed
    │   └── LockedError                somebody else is writing here
    ├── IntegrityError             4   a stored result is damaged
    └── IncompleteError            5   a result is not finished
"""

from __future__ import annotations

from pathlib import Path


class TomolithError(Exception):
    """Root of all errors that tomolith raises on purpose.

    Parameters
    ----------
    found
        What was found, as a sentence.
    expected
        What would have been right.
    where
        The file, recipe key or scan concerned.
    mend
        What to do about it.

    Examples
    --------
    >>> print(InputError("the file is empty", where="a.tif", mend="copy it again"))
    the file is empty
      where:    a.tif
      to mend:  copy it again
    """

    exit_code = 1

    def __init__(
        self,
        found: str,
        *,
        expected: str | None = None,
        where: str | Path | None = None,
        mend: str | None = None,
    ) -> None:
        self.found = found
        self.expected = expected
        self.where = None if where is None else str(where)
        self.mend = mend
        lines = [found]
        for title, text in (("expected", expected), ("where", self.where), ("to mend", mend)):
            if text:
                lines.append(f"  {title + ':':<9} {text}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.found, self.expected, self.where, self.mend)


def _rebuild(
    kind: type[TomolithError],
    found: str,
    expected: str | None,
    where: str | None,
    mend: str | None,
) -> TomolithError:
    return kind(found, expected=expected, where=where, mend=mend)


class InputError(TomolithError):
    """Something the user gave is wrong."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe key, value or combination is wrong."""


class ReadError(InputError):
    """An image, label or model file cannot be read as what it claims to be."""


class MismatchError(InputError):
    """Two inputs do not belong together (shape, voxel size, class schema)."""


class ResourceError(TomolithError):
    """The machine cannot do the work as asked."""

    exit_code = 3


class MemoryBudgetError(ResourceError):
    """The work does not fit the memory budget."""


class DiskError(ResourceError):
    """The disk is full, read-only or not permitted."""


class MissingExtraError(ResourceError):
    """An optional library is not installed."""


class LockedError(ResourceError):
    """Another process is writing here."""


class IntegrityError(TomolithError):
    """A stored result is damaged."""

    exit_code = 4


class IncompleteError(TomolithError):
    """A result is not finished."""

    exit_code = 5
