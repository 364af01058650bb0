"""A simulated operando Li cell, or a cathode, with exact ground truth."""

from tomolith.phantom.cathode import CATHODE_MATERIALS, Cathode
from tomolith.phantom.cathode_settings import CathodeSettings
from tomolith.phantom.cell import Cell
from tomolith.phantom.drawing import MATERIALS, Drawing
from tomolith.phantom.history import State
from tomolith.phantom.phantom import Phantom, label_values
from tomolith.phantom.scanner import Scanner
from tomolith.phantom.settings import PHANTOM_PRESETS, PhantomSettings
from tomolith.phantom.simulate import make_phantom, simulate_series

__all__ = [
    "CATHODE_MATERIALS",
    "MATERIALS",
    "PHANTOM_PRESETS",
    "Cathode",
    "CathodeSettings",
    "Cell",
    "Drawing",
    "Phantom",
    "PhantomSettings",
    "Scanner",
    "State",
    "label_values",
    "make_phantom",
    "simulate_series",
]
