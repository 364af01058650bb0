"""Fixtures that every test may use. Nothing heavy is imported here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# a busy machine must not fail a test, and a failure must come back when run again
settings.register_profile("tomolith", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tomolith")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the folder of real data; skip the test where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TOMOLITH_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set TOMOLITH_DATA to its folder")
    return folder
