"""How strongly the materials of a cell attenuate X-rays.

Mass attenuation coefficients are those of J. H. Hubbell and S. M. Seltzer, *Tables of X-Ray Mass
Attenuation Coefficients*, NIST Standard Reference Database 126 (2004), table 3 (elements) and
table 4 (dry air). Between tabulated energies both logarithms are interpolated linearly, as is usual
away from absorption edges; none of these elements has an edge between 10 and 100 keV.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from tomolith.config import did_you_mean
from tomolith.errors import InputError

ENERGY_KEV = 27.5
"""Photon energy of the scans that the phantom imitates."""

_ENERGIES_KEV = (10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0)

# cm²/g at _ENERGIES_KEV
_CM2_PER_G: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "H": (0.3854, 0.3764, 0.3695, 0.3570, 0.3458, 0.3355, 0.3260, 0.3091, 0.2944),
        "Li": (0.3395, 0.2176, 0.1856, 0.1644, 0.1551, 0.1488, 0.1438, 0.1356, 0.1289),
        "C": (2.373, 0.8071, 0.4420, 0.2562, 0.2076, 0.1871, 0.1753, 0.1610, 0.1514),
        "N": (3.879, 1.236, 0.6178, 0.3066, 0.2288, 0.1980, 0.1817, 0.1639, 0.1529),
        "O": (5.952, 1.836, 0.8651, 0.3779, 0.2585, 0.2132, 0.1907, 0.1678, 0.1551),
        "F": (8.205, 2.492, 1.133, 0.4487, 0.2828, 0.2214, 0.1920, 0.1639, 0.1496),
        "Al": (26.23, 7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704),
        "S": (50.12, 15.50, 6.708, 2.113, 0.9872, 0.5849, 0.4053, 0.2585, 0.2020),
        "air": (5.120, 1.614, 0.7779, 0.3538, 0.2485, 0.2080, 0.1875, 0.1662, 0.1541),
    }
)

# standard atomic weights, abridged (IUPAC 2021), g/mol
_ATOMIC_WEIGHT: Mapping[str, float] = MappingProxyType(
    {
        "H": 1.008,
        "Li": 6.94,
        "C": 12.011,
        "N": 14.007,
        "O": 15.999,
        "F": 18.998,
        "Al": 26.982,
        "S": 32.06,
    }
)

# poly(ethylene oxide) with one LiTFSI, LiN(SO2CF3)2, per twelve ethylene oxide units
_PEO_LITFSI: Mapping[str, float] = MappingProxyType(
    {"C": 12 * 2 + 2, "H": 12 * 4, "O": 12 + 4, "Li": 1, "N": 1, "S": 2, "F": 6}
)
_POLYPROPYLENE: Mapping[str, float] = MappingProxyType({"C": 3, "H": 6})

# g/cm³. Li, Al and dry air at 20 °C: table 1 and 2 of the same source. The two polymers: assumed.
_DENSITY: Mapping[str, float] = MappingProxyType(
    {"lithium": 0.534, "polymer": 1.25, "pouch": 0.90, "aluminium": 2.699, "air": 1.205e-3}
)


def mass_attenuation(element: str, energy_kev: float) -> float:
    """Return the mass attenuation coefficient of an element in cm²/g.

    Parameters
    ----------
    element
        Chemical symbol: H, Li, C, N, O, F, Al or S; or ``air`` (dry).
    energy_kev
        Photon energy, 10 to 100 keV.

    Raises
    ------
    InputError
        There is no table of the element, or the energy lies outside it.

    Examples
    --------
    >>> mass_attenuation("Li", 30.0), round(mass_attenuation("Li", 27.5), 4)
    (0.1644, 0.1687)
    """
    if element not in _CM2_PER_G:
        raise InputError(
            f"there is no attenuation table of '{element}'",
            expected=f"one of {', '.join(_CM2_PER_G)}",
            mend=did_you_mean(element, _CM2_PER_G),
        )
    low, high = _ENERGIES_KEV[0], _ENERGIES_KEV[-1]
    if not low <= energy_kev <= high:
        raise InputError(
            f"attenuation was asked for at {energy_kev:g} keV",
            expected=f"an energy between {low:g} and {high:g} keV",
        )
    values = np.log(_CM2_PER_G[element])
    log_value = np.interp(np.log(energy_kev), np.log(_ENERGIES_KEV), values)
    return float(f"{np.exp(log_value):.12g}")


def compound_attenuation(formula: Mapping[str, float], energy_kev: float) -> float:
    """Return the mass attenuation coefficient of a compound in cm²/g.

    Parameters
    ----------
    formula
        Number of atoms of each element; the mixture rule weights them by their mass.
    energy_kev
        Photon energy, 10 to 100 keV.

    Raises
    ------
    InputError
        An element or the energy is not in the tables.

    Examples
    --------
    >>> round(compound_attenuation({"Li": 1, "F": 1}, 30.0), 4)  # the NIST table says 0.3727
    0.3726
    """
    strange = [element for element in formula if element not in _ATOMIC_WEIGHT]
    if strange:
        raise InputError(
            f"the formula holds '{strange[0]}'", expected=f"only {', '.join(_ATOMIC_WEIGHT)}"
        )
    mass = {element: n * _ATOMIC_WEIGHT[element] for element, n in formula.items()}
    weighted = sum(mass_attenuation(element, energy_kev) * m for element, m in mass.items())
    return weighted / sum(mass.values())


def linear_attenuation(energy_kev: float = ENERGY_KEV) -> Mapping[str, float]:
    """Return the linear attenuation coefficient of each material in 1/cm.

    ``lithium``; ``polymer``: PEO with LiTFSI, twelve ether oxygens per Li, 1.25 g/cm³ assumed;
    ``pouch``: polypropylene, 0.90 g/cm³ assumed; ``aluminium``: its foil; ``air``; ``void``.

    Examples
    --------
    >>> mu = linear_attenuation()
    >>> round(mu["lithium"], 4), round(mu["polymer"], 3), round(mu["aluminium"], 2)
    (0.0901, 0.713, 3.87)
    """
    per_g = {
        "lithium": mass_attenuation("Li", energy_kev),
        "polymer": compound_attenuation(_PEO_LITFSI, energy_kev),
        "pouch": compound_attenuation(_POLYPROPYLENE, energy_kev),
        "aluminium": mass_attenuation("Al", energy_kev),
        "air": mass_attenuation("air", energy_kev),
    }
    found = {name: value * _DENSITY[name] for name, value in per_g.items()}
    return MappingProxyType({**found, "void": 0.0})
