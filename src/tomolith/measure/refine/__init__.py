"""Refining label maps: what is known of the cell mends what a network could not know."""

from tomolith.measure.refine.effects import Effect
from tomolith.measure.refine.refine import Refined, refine
from tomolith.measure.refine.settings import RefineSettings

__all__ = ["Effect", "RefineSettings", "Refined", "refine"]
