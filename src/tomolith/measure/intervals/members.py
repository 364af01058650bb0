"""What other trainings make of numbers that no rule gives an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from tomolith.config import Component
from tomolith.core import Interval, Measurement
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import QUANTITIES
from tomolith.store.scan import Scan


def spread_of_members(
    found: Sequence[Measurement], scan: Scan, settings: MeasureSettings
) -> list[Measurement]:
    """Return the numbers, those without an interval with the spread of other trainings.

    Only quantities are measured again that say that no rule gives them one (``no_interval``): how
    many dendrites there are depends on single voxels, which no border and no confusion tells, but
    other trainings decide them otherwise.

    Parameters
    ----------
    found
        Numbers of ``scan``, with the intervals that rules gave.
    scan
        It holds the label maps that ``settings.uncertainty.ensemble`` names.
    settings
        What was measured, and how.

    Notes
    -----
    Source: as :class:`~tomolith.measure.intervals.ensemble.Ensemble`.
    """
    members = settings.uncertainty.ensemble
    open_names = {m.name for m in found if m.value is not None and m.interval is None}
    chosen = [c for c in settings.chosen() if c.name in open_names and _is_open(c)]
    if len(members) < 2 or "ensemble" not in settings.uncertainty.sources or not chosen:
        return list(found)
    again = settings.model_copy(update={"quantities": tuple(chosen)})
    of_member = [
        {(m.name, m.region): m.value for m in measure(scan.labels(name), again)} for name in members
    ]
    return [_with_spread(m, [of.get(_key(m)) for of in of_member]) for m in found]


def _is_open(component: Component) -> bool:
    return bool(QUANTITIES.load(component.name).no_interval)


def _key(m: Measurement) -> tuple[str, str]:
    return m.name, "/" + m.region.rpartition("/")[2]


def _with_spread(m: Measurement, values: Sequence[float | int | None]) -> Measurement:
    """Return a number with where one more training would come out."""
    known = [float(v) for v in values if v is not None]
    n = len(known)
    if m.value is None or m.interval is not None or n < 2:
        return m
    middle = float(np.mean(known))
    half = float(stats.t.ppf(0.975, n - 1)) * float(np.std(known, ddof=1)) * math.sqrt(1 + 1 / n)
    low = max(middle - half, 0.0)  # counts, lengths, volumes and shares
    return replace(m, interval=Interval(low, middle + half, f"spread of {n} trainings"))
