"""Units of length as other programs write them, in µm."""

from __future__ import annotations

import math

_UM = {
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometers": 1.0,
    "micrometre": 1.0,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "angstrom": 1e-4,
    "å": 1e-4,
    "Å".lower(): 1e-4,
    "pm": 1e-6,
    "picometer": 1e-6,
}


def unit_um(unit: str | None) -> float | None:
    r"""Return how many µm one ``unit`` is; ``None`` for no unit of length.

    ``inch`` is no unit here: it only ever comes from a print resolution (72 dpi).

    Examples
    --------
    >>> unit_um("micron"), unit_um("nm"), unit_um("pixel"), unit_um("\\u00B5m")
    (1.0, 0.001, None, 1.0)
    """
    if unit is None:
        return None
    text = unit.strip().strip("\x00").replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    return _UM.get(text.lower())


def length_um(value: float | None, unit: str | None) -> float | None:
    """Return ``value`` in µm; ``None`` where it or its unit says nothing.

    Examples
    --------
    >>> length_um(650, "nm"), length_um(1, None), length_um(0, "um")
    (0.65, None, None)
    """
    factor = unit_um(unit)
    if factor is None or value is None or not math.isfinite(value) or value <= 0:
        return None
    # a length from another unit carries float noise that would show in every table
    return float(f"{value * factor:.12g}")
