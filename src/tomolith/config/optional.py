"""The one place where optional libraries are imported."""

from __future__ import annotations

import importlib
from typing import Any

from tomolith.errors import MissingExtraError


def require(module: str, *, extra: str) -> Any:
    """Import an optional library, or say which line installs it.

    Raises
    ------
    MissingExtraError
        The library is not installed.

    Examples
    --------
    >>> require("json", extra="none").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"the optional library '{module}' cannot be imported ({error})",
            mend=f"pip install 'tomolith[{extra}]'",
        ) from error
