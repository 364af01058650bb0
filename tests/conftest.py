"""Fixtures that every test may use. Nothing heavy is imported here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data; skip the test where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TOMOLITH_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set TOMOLITH_DATA to its folder")
    return folder
