"""How much of the pits that charging left is still empty as the cell discharges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tomolith.core import Interval, Measurement, Provenance
from tomolith.measure.electrochemistry import CycledCell
from tomolith.measure.intervals.propagate import change_frac, clipped

PITS_LEFT, PIT = "pits_left", "pit"


def pits_left(
    measurements: Sequence[Measurement],
    scans: Sequence[str],
    cell: CycledCell | None,
    *,
    provenance: Provenance,
) -> list[Measurement]:
    """Return the volume of the pits during discharge over that at half cycle.

    Half cycle is the scan at the end of a charge; where the cycler's file knows of none, or there
    is no file, the scan with the largest volume of pits.

    Parameters
    ----------
    measurements
        Those of ``volume`` are used, with their intervals.
    scans
        Names, in the order of time.
    cell
        The cycler's file, matched to these scans.
    provenance
        What is written beside the numbers.

    Returns
    -------
    list of Measurement
        ``pits_left`` of the part ``pit``, from half cycle, where it is 1, through each discharge.
        Empty where there is no pit at half cycle, or no scan after it.

    Notes
    -----
    Huang et al., npj Comput. Mater. 9, 93 (2023), speak of pits that remain unfilled during
    discharge; over what these are counted, a formula does not say. ``pits_left`` takes all pits of
    the half cycle. ``unfilled_pits`` takes what is pit or redeposited Li in the scan itself; as
    redeposited Li also grows outside of pits, it may fall while no pit is filled, and it needs no
    other scan. ``pits_left`` falls only as pits become smaller, and exceeds 1 where they grow.

    Examples
    --------
    >>> found = [Measurement("volume", v, "um3", f"{s}/pit") for s, v in zip("abc", (1, 8, 2))]
    >>> rows = pits_left(found, "abc", None, provenance=Provenance("measure"))
    >>> [(row.region, row.value) for row in rows]
    [('b/pit', 1.0), ('c/pit', 0.25)]
    """
    pits = {
        m.region.rpartition("/")[0]: m
        for m in measurements
        if m.name == "volume" and m.region.endswith(f"/{PIT}") and m.value is not None
    }
    rows: list[Measurement] = []
    for at_half, during, what in _discharges([scan for scan in scans if scan in pits], cell):
        if not at_half:
            continue
        half = max(at_half, key=lambda scan: pits[scan].value or 0.0)
        later = [scan for scan in during if scans.index(scan) > scans.index(half)]
        whole = float(pits[half].value or 0.0)
        if not whole or not later:
            continue
        how = f"volume of pits over that of scan '{half}', {what}"
        for scan in (half, *later):
            left = float(pits[scan].value or 0.0) / whole
            interval = _interval(pits[scan], pits[half])
            region = f"{scan}/{PIT}"
            rows.append(Measurement(PITS_LEFT, left, "1", region, interval, provenance, how))
    return rows


def _discharges(
    scans: Sequence[str], cell: CycledCell | None
) -> Iterator[tuple[Sequence[str], Sequence[str], str]]:
    """Yield, per discharge, scans of which one is half cycle, its own scans, and which it is."""
    largest = "the largest of the series"
    if cell is None:
        yield scans, scans, largest
        return
    pulse_of = {s.name: s.after_pulse for s in cell.match.scans if s.name in scans}
    half_cycles: dict[int, list[int]] = {}
    for pulse in cell.steps.pulses:
        if pulse.direction < 0:
            half_cycles.setdefault(pulse.half_cycle, []).append(pulse.number)
    for numbers in half_cycles.values():
        first, last = numbers[0] - 1, numbers[-1]
        at_end = [scan for scan, n in pulse_of.items() if n == first]
        before = [scan for scan, n in pulse_of.items() if n <= last]
        during = [scan for scan, n in pulse_of.items() if first <= n <= last]
        yield (at_end, during, "the end of charge") if at_end else (before, during, largest)


def _interval(now: Measurement, half: Measurement) -> Interval | None:
    if now is half:
        return now.interval and Interval(1.0, 1.0, "exact, held against itself")
    if now.interval is None or half.interval is None:
        return None
    found = change_frac(now.interval, half.interval)
    return None if found is None else clipped(found, 0.0)
