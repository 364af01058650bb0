"""What changes from scan to scan of one cell: swelling, and Li that travels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tomolith.core import Interval, Measurement, Provenance
from tomolith.errors import InputError
from tomolith.measure.intervals.propagate import difference
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import electrode_part

_SIDES = (STRIPPING, PLATING)


def series_changes(
    measurements: Sequence[Measurement], scans: Sequence[str], *, provenance: Provenance
) -> list[Measurement]:
    """Return how far each scan of a series differs from the first.

    ``swelling``
        Growth of the gap and of the cell since the first scan (µm), from ``gap`` and
        ``cell_thickness``.
    ``li_change``
        Net change of all Li, and of all Li of each side, since the first scan (µm³).
    ``travelling_li``
        All Li of a side less the electrode of that side in the first scan (µm³): what came, or
        below zero what went.

    From one scan to the next the difference of two of these is what moved in that pulse. Where both
    scans have intervals, what both share cancels, and the rest is taken as independent.

    Parameters
    ----------
    measurements
        Of :func:`~tomolith.measure.quantify.measure`; those of ``li_volume``, ``gap`` and
        ``cell_thickness`` are used.
    scans
        Names of the scans, in the order in which they were taken; the first is the reference.
    provenance
        What is written beside the numbers.

    Returns
    -------
    list of Measurement
        Empty for quantities that were not measured; a value is ``None`` where either scan lacks it.

    Raises
    ------
    InputError
        A scan is named twice, or was not measured at all.

    Notes
    -----
    Source: Li inventory of Huang et al., npj Comput. Mater. 9, 93 (2023).

    Examples
    --------
    >>> found = [Measurement("gap", v, "um", f"{s}/electrodes") for s, v in (("a", 9.0), ("b", 12))]
    >>> changes = series_changes(found, ["a", "b"], provenance=Provenance("measure"))
    >>> [(m.name, m.region, m.value) for m in changes]
    [('swelling', 'a/gap', 0.0), ('swelling', 'b/gap', 3.0)]
    """
    known = {m.region.rpartition("/")[0] for m in measurements}
    for i, scan in enumerate(scans):
        if scan in scans[:i] or scan not in known:
            raise InputError(
                f"the scan '{scan}' of the series is "
                + ("named twice" if scan in scans[:i] else "not measured"),
                expected="each scan of one cell once, in the order in which they were taken",
                mend=f"measured are {', '.join(sorted(known)) or 'none'}",
            )
    of_part = {(m.name, *m.region.rpartition("/")[::2]): m for m in measurements}
    found = []
    for scan in scans:
        for name, of, part, base, unit, shown in _wanted():
            now, first = of_part.get((of, scan, part)), of_part.get((of, scans[0], base))
            if now is not None and first is not None:
                change, interval = _difference(now, first, is_first=scan == scans[0])
                region = f"{scan}/{shown}"
                found.append(Measurement(name, change, unit, region, interval, provenance))
    return found


def _wanted() -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield name, the quantity it is of, part now, part in the first scan, unit, region."""
    yield "swelling", "gap", "electrodes", "electrodes", "um", "gap"
    yield "swelling", "cell_thickness", "cell", "cell", "um", "cell"
    for part in (*(f"all Li, {side}" for side in _SIDES), "all Li"):
        yield "li_change", "li_volume", part, part, "um3", part
    for side in _SIDES:
        part = f"all Li, {side}"
        yield "travelling_li", "li_volume", part, electrode_part(side), "um3", side


def _difference(
    now: Measurement, first: Measurement, *, is_first: bool
) -> tuple[float | None, Interval | None]:
    if now.value is None or first.value is None:
        return None, None
    if is_first and now.value == first.value:  # all Li of a side may be its electrode alone
        return 0.0, now.interval and Interval(0.0, 0.0, "exact, held against itself")
    change = float(now.value - first.value)
    if now.interval is None or first.interval is None:
        return change, None
    return change, difference(now.interval, first.interval)
