"""The Li inventory against the charge: what the scans show of what the cycler passed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tomolith.core import Interval, Measurement, Provenance, volume_to_charge_mah
from tomolith.measure.electrochemistry.cell import CycledCell
from tomolith.measure.electrochemistry.faraday import (
    CYCLER_FRAC,
    CYCLER_WORDS,
    SeenVolume,
    capacity_ratios,
    expected_lithium,
    local_current_density_ma_cm2,
)
from tomolith.measure.electrochemistry.matching import MatchedScan
from tomolith.measure.intervals.propagate import difference, scaled, shifted
from tomolith.measure.quantities.frame import PLATING, STRIPPING

CELL, CELL_STRIPPING = "cell", "cell, stripping side"
_SIGNS = {PLATING: 1, STRIPPING: -1}  # of the Li that charging brings to a side
_SIGN_WORDS = {PLATING: "less", STRIPPING: "plus"}
_PARTS = {PLATING: CELL, STRIPPING: CELL_STRIPPING}
_NO_CHARGE_FRAC = 1e-6  # of the charge that flowed: less on balance is none


@dataclass(frozen=True, slots=True)
class Analysed:
    """What of the electrode a scan shows.

    Parameters
    ----------
    area_um2
        Plan area of all columns with labels.
    plated_frac, redeposited_frac
        Share of it that Li plated on charge (dendrites and deposit), or on discharge
        (redeposited), covers; ``None`` where the classes are lacking.
    plated_interval, redeposited_interval
        Of these shares.
    """

    area_um2: float
    plated_frac: float | None = None
    redeposited_frac: float | None = None
    plated_interval: Interval | None = None
    redeposited_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class SideRatio:
    """CT capacity over cycler capacity of one side, from a scan to the next.

    ``ratio`` is ``None`` where no charge passed on balance; ``cycler_mah`` is that on the analysed
    area.
    """

    side: str
    from_scan: MatchedScan
    to_scan: MatchedScan
    ct_mah: float | None
    cycler_mah: float
    ratio: float | None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class ScanBalance:
    """A scan: charge and expected Li on the analysed area since the first scan, and what is seen.

    ``travelling`` holds the measured travelling Li by side; a side without a number is left out.
    ``expected_interval`` is ``None`` as long as no charge has flowed.
    """

    scan: MatchedScan
    charge_mah: float
    expected_um3: float
    travelling: Mapping[str, Measurement]
    expected_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class CellNumbers:
    """What charge and scans say together.

    Parameters
    ----------
    analysed_area_cm2, analysed_frac
        Area that the scans show, and its share of the electrode.
    scans, ratios
        In the order of time.
    measurements
        The same as rows of the table, of the parts ``cell`` and ``cell, stripping side``.
    notes
        What had to be decided, one sentence each.
    """

    analysed_area_cm2: float
    analysed_frac: float
    scans: tuple[ScanBalance, ...]
    ratios: tuple[SideRatio, ...]
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...]


def close_inventory(
    cell: CycledCell,
    measurements: Sequence[Measurement],
    analysed: Mapping[str, Analysed],
    *,
    provenance: Provenance,
) -> CellNumbers:
    """Set the Li that scans show against the charge, by Faraday's law on the analysed area.

    ``pulse``
        How many pulses came before the scan.
    ``current_on_time``
        For how long current had flowed by then (min).
    ``charge_passed``, ``expected_li_volume``
        Charge on balance since the first scan, on the analysed area (mAh), and its Li (µm³).
    ``capacity_ratio``
        CT capacity over cycler capacity since the scan before: the change of all Li of the plating
        side as charge, over the charge; part ``cell, stripping side``: of the stripping side.
    ``inventory_closure``
        Travelling Li less what the charge says (µm³, since the first scan); 0 closes.
    ``plating_current_density``
        Current of the pulse before the scan, over the area that the Li of that half cycle covers.

    Parameters
    ----------
    cell
        The cycler file, matched.
    measurements
        With ``li_volume`` and ``travelling_li``; where they are lacking, so is what they give.
    analysed
        By scan. The area of the first scan counts for all.
    provenance
        What is written beside the numbers.

    Raises
    ------
    InputError
        The analysed area is larger than the electrode.

    Notes
    -----
    Source: Huang et al., npj Comput. Mater. 9, 93 (2023), capacity ratio; Faraday's law.
    """
    first = cell.match.scans[0]
    area_cm2 = analysed[first.name].area_um2 / 1e8
    share = expected_lithium(
        0.0, electrode_area_cm2=cell.electrode_area_cm2, analysed_area_cm2=area_cm2
    ).analysed_frac
    value = {(m.name, m.region): m for m in measurements if m.value is not None}
    scans = tuple(_balance(cell, scan, share, value) for scan in cell.match.scans)
    ratios = tuple(
        ratio
        for side in (PLATING, STRIPPING)
        for a, b in itertools.pairwise(cell.match.scans)
        if (ratio := _ratio(cell, side, (a, b), share, value)) is not None
    )
    rows = [
        row
        for balance in scans
        for row in _rows_of(cell, balance, analysed[balance.scan.name], provenance)
    ]
    rows += [_ratio_row(ratio, provenance) for ratio in ratios]
    notes = tuple(_notes(cell, share, analysed, ratios))
    return CellNumbers(area_cm2, share, scans, ratios, tuple(rows), notes)


def _balance(
    cell: CycledCell, scan: MatchedScan, share: float, value: Mapping[tuple[str, str], Measurement]
) -> ScanBalance:
    pulses = cell.pulses_between(cell.match.scans[0], scan)
    found, flowed = (
        expected_lithium(
            sum(charges),
            electrode_area_cm2=cell.electrode_area_cm2,
            analysed_area_cm2=share * cell.electrode_area_cm2,
        )
        for charges in ([p.charge_mah for p in pulses], [abs(p.charge_mah) for p in pulses])
    )
    travelling = {
        side: value["travelling_li", f"{scan.name}/{side}"]
        for side in (PLATING, STRIPPING)
        if ("travelling_li", f"{scan.name}/{side}") in value
    }
    expected, half = found.analysed_volume_um3, CYCLER_FRAC * flowed.analysed_volume_um3
    interval = Interval(expected - half, expected + half, CYCLER_WORDS) if half else None
    return ScanBalance(scan, found.analysed_charge_mah, expected, travelling, interval)


def _ratio(
    cell: CycledCell,
    side: str,
    pair: tuple[MatchedScan, MatchedScan],
    share: float,
    value: Mapping[tuple[str, str], Measurement],
) -> SideRatio | None:
    """Return the ratio of two scans; ``None`` where the Li of one was not measured."""
    pulses = cell.pulses_between(*pair)
    cycler_mah = share * sum(p.charge_mah for p in pulses)
    flowed_mah = share * sum(abs(p.charge_mah) for p in pulses)
    seen = [value.get(("li_volume", f"{scan.name}/all Li, {side}")) for scan in pair]
    if seen[0] is None or seen[1] is None:
        return None
    if abs(cycler_mah) <= _NO_CHARGE_FRAC * flowed_mah:
        return SideRatio(side, *pair, None, cycler_mah, None)
    volumes = [_seen(scan, m, _SIGNS[side]) for scan, m in zip(pair, seen, strict=True) if m]
    (found,) = capacity_ratios(pulses, volumes, analysed_frac=share)
    return SideRatio(side, *pair, found.ct_mah, found.cycler_mah, found.ratio, found.interval)


def _seen(scan: MatchedScan, found: Measurement, sign: int) -> SeenVolume:
    interval = found.interval and scaled(found.interval, sign)
    return SeenVolume(scan.after_pulse, sign * float(found.value or 0.0), interval)


def _rows_of(
    cell: CycledCell, balance: ScanBalance, analysed: Analysed, made: Provenance
) -> Iterator[Measurement]:
    scan, region = balance.scan, f"{balance.scan.name}/{CELL}"
    on_min = cell.current_on_s(scan.after_pulse) / 60
    read = "read from the cycler file"
    matched = f"matched by {cell.matched_by}"
    yield Measurement("pulse", scan.after_pulse, "1", region, None, made, matched)
    yield Measurement("current_on_time", on_min, "min", region, None, made, read)
    on_area = f"{read}, on the analysed area, since scan '{cell.match.scans[0].name}'"
    error = balance.expected_interval
    charge = error and scaled(error, volume_to_charge_mah(1.0))
    yield Measurement("charge_passed", balance.charge_mah, "mAh", region, charge, made, on_area)
    faraday = f"Faraday's law; charge {on_area}"
    yield Measurement(
        *("expected_li_volume", balance.expected_um3, "um3", region),
        *(balance.expected_interval, made, faraday),
    )
    yield _density_row(cell, scan, analysed, made)
    for side, found in balance.travelling.items():
        should = _SIGNS[side] * balance.expected_um3
        interval = found.interval and shifted(found.interval, -should)
        if interval is not None and balance.expected_interval is not None:
            error = shifted(balance.expected_interval, -balance.expected_um3)
            interval = difference(interval, error)
        yield Measurement(
            "inventory_closure",
            float(found.value or 0.0) - should,
            "um3",
            f"{scan.name}/{_PARTS[side]}",
            interval,
            made,
            f"travelling Li of the {side} {_SIGN_WORDS[side]} expected_li_volume",
        )


def _density_row(
    cell: CycledCell, scan: MatchedScan, analysed: Analysed, made: Provenance
) -> Measurement:
    name, unit, region = "plating_current_density", "mA/cm2", f"{scan.name}/{CELL}"
    if not scan.after_pulse:
        return Measurement(name, None, unit, region, None, made, "no current has flowed yet")
    pulse = cell.steps.pulses[scan.after_pulse - 1]
    what = "dendrites and deposit" if pulse.direction > 0 else "redeposited Li"
    covered, interval = analysed.plated_frac, analysed.plated_interval
    if pulse.direction < 0:
        covered, interval = analysed.redeposited_frac, analysed.redeposited_interval
    if not covered:
        return Measurement(name, None, unit, region, None, made, f"no {what} in the scan")

    def density(covered_frac: float) -> float:
        return local_current_density_ma_cm2(
            abs(pulse.current_ma),
            electrode_area_cm2=cell.electrode_area_cm2,
            covered_frac=covered_frac,
        )

    ends = None
    if interval is not None and interval.low > 0:
        words = f"covered area: {interval.method}"
        ends = Interval(density(interval.high), density(interval.low), words)
    method = f"current of pulse {pulse.number} over the area under {what}"
    return Measurement(name, density(covered), unit, region, ends, made, method)


def _ratio_row(ratio: SideRatio, made: Provenance) -> Measurement:
    first, last = ratio.from_scan, ratio.to_scan
    region = f"{last.name}/{_PARTS[ratio.side]}"
    method = (
        f"change of all Li of the {ratio.side} since scan '{first.name}' by Faraday's law, over "
        f"the charge of pulses {first.after_pulse + 1} to {last.after_pulse} on the analysed area"
    )
    if ratio.ratio is None:
        method = f"no charge passed on balance since scan '{first.name}'"
    return Measurement("capacity_ratio", ratio.ratio, "1", region, ratio.interval, made, method)


def _notes(
    cell: CycledCell,
    share: float,
    analysed: Mapping[str, Analysed],
    ratios: Sequence[SideRatio],
) -> Iterator[str]:
    areas = {scan.name: analysed[scan.name].area_um2 for scan in cell.match.scans}
    first = cell.match.scans[0].name
    yield (
        f"the charge is scaled to the analysed area, {areas[first] / 1e8:.4g} cm² or "
        f"{100 * share:.3g} % of the electrode, as if it were spread evenly"
    )
    others = [scan for scan, area in areas.items() if abs(area / areas[first] - 1) > 1e-6]
    if others:
        yield (
            f"the labels of {', '.join(others)} cover another area than those of '{first}', "
            "which is taken for all"
        )
    if not ratios and len(areas) > 1:
        yield "there is no capacity ratio: 'li_volume' was not measured on both of two scans"
    for ratio in ratios:
        if ratio.ratio is None and ratio.side == PLATING:
            yield (
                f"between '{ratio.from_scan.name}' and '{ratio.to_scan.name}' no charge passed on "
                "balance, so there is no capacity ratio"
            )
