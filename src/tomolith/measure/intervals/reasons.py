"""Why a number has no interval, in words for the table."""

from __future__ import annotations

from collections.abc import Mapping

from tomolith.core import Measurement
from tomolith.measure.quantities import QUANTITIES
from tomolith.measure.series_quantities import SERIES_QUANTITIES

NOTHING_FOUND = "nothing was found whose border could lie elsewhere"
NO_SOURCE = "no source of intervals that is allowed and there speaks of it"


def reasons() -> dict[str, str]:
    """Return what each quantity says of numbers without an interval; empty where a rule gives one.

    Examples
    --------
    >>> reasons()["volume"], reasons()["dendrite_number"][:34]
    ('', 'single voxels join dendrites or pa')
    """
    found = {one.name: one.no_interval for one in SERIES_QUANTITIES}
    return found | {name: QUANTITIES.load(name).no_interval for name in QUANTITIES.names()}


def why_no_interval(m: Measurement, known: Mapping[str, str]) -> str:
    """Return why a number has none; empty where it has one, or where there is no number.

    Parameters
    ----------
    m
        The number.
    known
        Of :func:`reasons`.

    Examples
    --------
    >>> why_no_interval(Measurement("pulse", 3, "1", "a/cell"), {"pulse": "it is counted"})
    'it is counted'
    """
    if m.value is None or m.interval is not None or m.name not in known:
        return ""
    if known[m.name]:
        return known[m.name]
    return NOTHING_FOUND if m.value == 0 else NO_SOURCE
