"""NMC cathode slices: network against multi-Otsu, every class."""

from __future__ import annotations

from benchmarks.common import Result
from benchmarks.examples import page


def run(*, quick: bool) -> Result:
    """Train the example ``nmc-cathode``, and return the page."""
    return page("nmc-cathode", class_name="nmc", wanted=0.90, quick=quick)
