"""Faraday's law for lithium: charge, amount, mass, volume and thickness of metal.

Every function takes numbers or arrays, in and out in the same shape; signs pass through, so charge
that comes back is a loss. A thickness is that of dense metal: what a porous deposit needs beyond it
is for the caller to know.

Notes
-----
Mass and volume follow from the rounded capacity that battery papers use, 3860 mAh/g; the Faraday
constant over the molar mass gives 3861.9 mAh/g, 0.05 % more. Source of the constants: CODATA 2018
(Faraday constant), CRC Handbook of Chemistry and Physics (molar mass; density at 20 °C).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

SPECIFIC_CAPACITY_MAH_G = 3860.0
DENSITY_G_CM3 = 0.534
MOLAR_MASS_G_MOL = 6.94
FARADAY_C_MOL = 96485.33212
COULOMB_PER_MAH = 3.6

# 1 cm of metal holds this much charge per cm²
_MAH_PER_CM3 = SPECIFIC_CAPACITY_MAH_G * DENSITY_G_CM3
_UM_PER_CM = 1e4
_UM3_PER_CM3 = 1e12
_UG_PER_G = 1e6
_UMOL_PER_MOL = 1e6

Number = TypeVar("Number", float, npt.NDArray[np.float64])


def charge_to_amount_umol(charge_mah: Number) -> Number:
    """Return the amount of lithium in µmol that a charge in mAh moves, one electron per atom.

    Examples
    --------
    >>> 0.125 * COULOMB_PER_MAH
    0.45
    >>> round(charge_to_amount_umol(0.125), 3)
    4.664
    """
    return charge_mah * (COULOMB_PER_MAH * _UMOL_PER_MOL / FARADAY_C_MOL)


def charge_to_mass_ug(charge_mah: Number) -> Number:
    """Return the mass of lithium in µg that a charge in mAh moves.

    Examples
    --------
    >>> round(charge_to_mass_ug(0.125), 2)
    32.38
    """
    return charge_mah * (_UG_PER_G / SPECIFIC_CAPACITY_MAH_G)


def charge_to_volume_um3(charge_mah: Number) -> Number:
    """Return the volume of dense lithium in µm³ that a charge in mAh moves.

    Examples
    --------
    >>> f"{charge_to_volume_um3(0.125):.3g}"
    '6.06e+07'
    """
    return charge_mah * (_UM3_PER_CM3 / _MAH_PER_CM3)


def volume_to_charge_mah(volume_um3: Number) -> Number:
    """Return the charge in mAh that moves a volume of dense lithium in µm³.

    Examples
    --------
    >>> round(volume_to_charge_mah(6.0643e7), 4)
    0.125
    """
    return volume_um3 * (_MAH_PER_CM3 / _UM3_PER_CM3)


def charge_to_thickness_um(charge_mah_cm2: Number) -> Number:
    """Return the thickness of dense lithium in µm that a charge in mAh per cm² moves.

    Examples
    --------
    0.125 mAh over 0.5 cm², and the capacity of a common electrode:

    >>> round(charge_to_thickness_um(0.125 / 0.5), 3)
    1.213
    >>> round(charge_to_thickness_um(3.0), 2)
    14.55
    """
    return charge_mah_cm2 * (_UM_PER_CM / _MAH_PER_CM3)


def thickness_to_charge_mah_cm2(thickness_um: Number) -> Number:
    """Return the charge in mAh per cm² that moves a thickness of dense lithium in µm.

    Examples
    --------
    >>> round(thickness_to_charge_mah_cm2(14.554), 3)
    3.0
    """
    return thickness_um * (_MAH_PER_CM3 / _UM_PER_CM)
