"""The core types: small frozen values that every room shares."""

from tomolith.core.box import Box
from tomolith.core.cycler import CyclerRecord
from tomolith.core.grid import Grid
from tomolith.core.intensity import IntensityStats, Normalisation
from tomolith.core.labelmap import LabelMap
from tomolith.core.lithium import (
    charge_to_amount_umol,
    charge_to_mass_ug,
    charge_to_thickness_um,
    charge_to_volume_um3,
    thickness_to_charge_mah_cm2,
    volume_to_charge_mah,
)
from tomolith.core.measurement import Interval, Measurement
from tomolith.core.provenance import Provenance
from tomolith.core.schema import PRESETS, ClassSchema, LabelClass
from tomolith.core.volume import ArrayLike, Volume

__all__ = [
    "PRESETS",
    "ArrayLike",
    "Box",
    "ClassSchema",
    "CyclerRecord",
    "Grid",
    "IntensityStats",
    "Interval",
    "LabelClass",
    "LabelMap",
    "Measurement",
    "Normalisation",
    "Provenance",
    "Volume",
    "charge_to_amount_umol",
    "charge_to_mass_ug",
    "charge_to_thickness_um",
    "charge_to_volume_um3",
    "thickness_to_charge_mah_cm2",
    "volume_to_charge_mah",
]
