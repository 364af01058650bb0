"""Dead Li as the paper counts it: what was plated and is still there when the cycle is over."""

from __future__ import annotations

from collections.abc import Sequence

from tomolith.core import Interval, Measurement, Provenance
from tomolith.measure.colocalisation import PLATED
from tomolith.measure.electrochemistry import CycledCell

LI_LEFT = "li_left"
ALL_PLATED = "all plated Li"
_OF_LAST = "li_volume of the last scan; no cycler's file says whether it is full cycle"


def full_cycles(scans: Sequence[str], cell: CycledCell | None) -> tuple[str, ...]:
    """Return the scans at the end of a discharge; without a cycler's file the last one.

    Examples
    --------
    >>> full_cycles(["fresh", "charged", "discharged"], None)
    ('discharged',)
    """
    if cell is None:
        return tuple(scans[-1:]) if len(scans) > 1 else ()
    pulses = cell.steps.pulses
    last_of = {pulse.half_cycle: pulse for pulse in pulses if pulse.direction < 0}
    ends = {pulse.number for pulse in last_of.values()}
    return tuple(s.name for s in cell.match.scans if s.after_pulse in ends)


def li_left(
    measurements: Sequence[Measurement],
    at: Sequence[str],
    *,
    is_known: bool = True,
    provenance: Provenance,
) -> list[Measurement]:
    """Return the Li of dendrites and deposit that is left in some scans, and their sum.

    Whether it still connects to its electrode is not asked: that is ``dead_li_volume``.

    Parameters
    ----------
    measurements
        Those of ``li_volume`` are used, with their intervals.
    at
        Names of the scans at full cycle.
    is_known
        Whether a cycler's file says that they are.
    provenance
        What is written beside the numbers.

    Returns
    -------
    list of Measurement
        ``li_left`` (µm³) of each class and of all plated Li, whose half widths are those of the
        classes added: both may be wrong together; a class that was not found adds none. Empty
        where ``li_volume`` was not measured.

    Notes
    -----
    Source: dead Li of Huang et al., npj Comput. Mater. 9, 93 (2023).

    Examples
    --------
    >>> found = [Measurement("li_volume", v, "um3", f"t24/{p}")
    ...          for p, v in (("dendrite", 3.0), ("deposited", 1.0))]
    >>> rows = li_left(found, ["t24"], provenance=Provenance("measure"))
    >>> [(row.region, row.value) for row in rows]
    [('t24/dendrite', 3.0), ('t24/deposited', 1.0), ('t24/all plated Li', 4.0)]
    """
    of_region = {m.region: m for m in measurements if m.name == "li_volume"}
    how = "li_volume at full cycle" if is_known else _OF_LAST
    rows = []
    for scan in at:
        parts = [of_region[r] for r in (f"{scan}/{name}" for name in PLATED) if r in of_region]
        if not parts or any(part.value is None for part in parts):
            continue
        rows += [
            Measurement(LI_LEFT, part.value, "um3", part.region, part.interval, provenance, how)
            for part in parts
        ]
        together = sum(part.value or 0.0 for part in parts)
        region = f"{scan}/{ALL_PLATED}"
        rows.append(
            Measurement(LI_LEFT, together, "um3", region, _sum(parts), provenance, f"sum, {how}")
        )
    return rows


def _sum(parts: Sequence[Measurement]) -> Interval | None:
    there = [part for part in parts if part.value or part.interval]
    found = [part.interval for part in there if part.interval is not None]
    if not found or len(found) < len(there):
        return None
    methods = "; ".join(dict.fromkeys(interval.method for interval in found))
    return Interval(sum(i.low for i in found), sum(i.high for i in found), methods)
