"""Cycler files: one module per vendor, each with `sniff` and `read`.

To add one: a module with a class that has both methods, and a line in ``CYCLERS``.
"""

from tomolith.store.cyclers.base import CyclerReader
from tomolith.store.cyclers.headings import CyclerUnits
from tomolith.store.cyclers.open_cycler import CYCLERS, read_cycler, sniff_cycler

__all__ = ["CYCLERS", "CyclerReader", "CyclerUnits", "read_cycler", "sniff_cycler"]
