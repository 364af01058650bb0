"""Where a result comes from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def code_version() -> str:
    """Return the installed version of tomolith."""
    try:
        return version("tomolith")
    except PackageNotFoundError:
        return "0+unknown"


@cache
def code_digest(*rooms: str) -> str:
    """Return a hash of the code of some rooms, such as ``measure``.

    A release changes :func:`code_version`; work on a checkout does not.

    Examples
    --------
    >>> code_digest("core") == code_digest("core"), code_digest("core") == code_digest("errors.py")
    (True, False)
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for room in rooms:
        found = package / room
        for file in sorted(found.rglob("*.py")) if found.is_dir() else [found]:
            digest.update(str(file.relative_to(package)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which step made something, from what, with which settings and code.

    Parameters
    ----------
    step
        Name of the step.
    inputs
        What went in: file names with their fingerprints, or names of results.
    settings_hash
        Hash of the settings (see :func:`tomolith.config.settings_hash`).
    code_version
        Version of tomolith.
    created_utc
        Time of creation, ISO 8601. Never part of a hash.
    seed
        Random seed, where there is one.

    Examples
    --------
    >>> p = Provenance.now("predict", inputs=("scan-0",), settings_hash="00ff")
    >>> Provenance.from_dict(p.to_dict()) == p
    True
    """

    step: str
    inputs: tuple[str, ...] = ()
    settings_hash: str = ""
    code_version: str = ""
    created_utc: str = ""
    seed: int | None = None

    @classmethod
    def now(
        cls,
        step: str,
        *,
        inputs: tuple[str, ...] = (),
        settings_hash: str = "",
        seed: int | None = None,
    ) -> Provenance:
        """Return the provenance of something made now by this code."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(step, inputs, settings_hash, code_version(), created, seed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON or YAML."""
        return {**asdict(self), "inputs": list(self.inputs)}

    def identity(self) -> dict[str, Any]:
        """Return what may be part of a hash: all but the time of creation.

        Examples
        --------
        >>> Provenance("import", created_utc="2024").identity() == Provenance("import").identity()
        True
        """
        return {key: value for key, value in self.to_dict().items() if key != "created_utc"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Provenance:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**values, "inputs": tuple(values.get("inputs", ()))})
