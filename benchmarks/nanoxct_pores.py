"""Faint pores: network against multi-Otsu, every class."""

from __future__ import annotations

from benchmarks.common import Result
from benchmarks.examples import page


def run(*, quick: bool) -> Result:
    """Train the example ``nanoxct-pores``, and return the page."""
    return page("nanoxct-pores", class_name="pore", wanted=0.60, quick=quick)
