"""Metadata that notices its own damage: each ``zarr.json`` carries its checksum.

The chunks of an array have checksums by the format; its description has none, and one
flipped bit there turns a voxel size of 1.0 µm into 1.4 µm. The checksum stands in the
document itself (``attributes.tomolith.check``), so that a file is sealed in one write.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from tomolith.errors import IntegrityError, ReadError


def seal(document: dict[str, Any]) -> str:
    """Return ``document`` as JSON text with its checksum inside.

    Examples
    --------
    >>> check = json.loads(seal({"node_type": "group"}))["attributes"]["tomolith"]["check"]
    >>> len(check)
    8
    """
    attributes = dict(document.get("attributes") or {})
    attributes["tomolith"] = {**attributes.get("tomolith", {}), "check": _checksum(document)}
    return json.dumps({**document, "attributes": attributes}, indent=1, allow_nan=False) + "\n"


def is_sealed(document: dict[str, Any]) -> bool:
    """Tell whether ``document`` carries a checksum."""
    return "check" in _own(document)


def read_document(path: Path, *, unchecked: bool = False) -> dict[str, Any]:
    """Read a ``zarr.json``; where it is sealed, check it (unless ``unchecked``).

    Raises
    ------
    ReadError
        There is no such file.
    IntegrityError
        The file is no JSON, or does not match its checksum.
    """
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise ReadError("the metadata file is missing", where=path) from None
    except OSError as error:
        raise ReadError(f"the metadata file cannot be read: {error}", where=path) from error
    except ValueError as error:
        raise IntegrityError(
            f"the metadata file is damaged: {error}",
            where=path,
            mend="restore it from a copy, or run the step that made it again",
        ) from error
    if not isinstance(document, dict):
        raise IntegrityError("the metadata file is damaged: it holds no mapping", where=path)
    check = _own(document).get("check")
    if check is not None and not unchecked and check != _checksum(document):
        raise IntegrityError(
            "the metadata file was changed after it was written",
            where=path,
            mend="restore it from a copy, or run the step that made it again",
        )
    return document


def _own(document: dict[str, Any]) -> dict[str, Any]:
    attributes = document.get("attributes")
    own = attributes.get("tomolith") if isinstance(attributes, dict) else None
    return own if isinstance(own, dict) else {}


def _checksum(document: dict[str, Any]) -> str:
    own = {key: value for key, value in _own(document).items() if key != "check"}
    attributes = {**(document.get("attributes") or {}), "tomolith": own}
    text = json.dumps({**document, "attributes": attributes}, sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"
