"""A simulated operando Li cell with exact ground truth."""

from tomolith.phantom.cell import MATERIALS, Cell, Drawing
from tomolith.phantom.phantom import Phantom, label_values
from tomolith.phantom.scanner import Scanner
from tomolith.phantom.settings import PHANTOM_PRESETS, PhantomSettings
from tomolith.phantom.simulate import make_phantom, phantom_ids

__all__ = [
    "MATERIALS",
    "PHANTOM_PRESETS",
    "Cell",
    "Drawing",
    "Phantom",
    "PhantomSettings",
    "Scanner",
    "label_values",
    "make_phantom",
    "phantom_ids",
]
