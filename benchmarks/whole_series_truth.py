"""The true numbers of a series of scans of a simulated cell, by the shortest way on whole arrays.

Nothing of ``tomolith.measure`` is used, and the cycler's file is not read: Li and columns are
counted with NumPy, charge is the simulated current times its time, Faraday's law is written out,
and maps are shifted against each other one shift after the other. All columns hold labels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, stats

from benchmarks.whole_array_truth import (
    GROWN,
    PLATING,
    STRIPPING,
    Truth,
    WholeScan,
    metal,
    surfaces,
    thicknesses,
)

MAH_PER_G, G_PER_CM3, UM3_PER_CM3 = 3860.0, 0.534, 1e12
CLASSES = ("dendrite", "deposited", "pit", "redeposited")
SIDES = (STRIPPING, PLATING)
SERIES = "series"
GROWTH = "dendrite or deposited, at its most ~ redeposited, last scan"
FEWEST = 4  # independent columns, below which a coefficient is not tested
# As for those of single scans: a share of the true number, or of what Truth.of says; all others are
# exact. Swelling is true where the simulated layers meet; of maps the measured sums are in single
# precision; growth is found by iteration.
SERIES_TOLERANCES = {
    "swelling": 0.05,
    "thickness_growth": 1e-4,
    "pearson": 1e-5,
    "pearson_n": 1e-3,
    "pearson_p": 1e-3,
}
Key = tuple[str, str, str]
Found = Iterator[tuple[str, str, str, "float | Truth | None"]]


@dataclass(frozen=True)
class WholeSeries:
    """Whole scans of one cell by name, in the order of time."""

    scans: Mapping[str, WholeScan]

    @property
    def names(self) -> list[str]:
        """Names of the scans."""
        return list(self.scans)

    @property
    def pulse(self) -> dict[str, int]:
        """How many pulses came before each scan."""
        return {name: scan.pulse for name, scan in self.scans.items()}

    @property
    def n_pulses(self) -> int:
        """Number of pulses of charge, and of discharge."""
        return next(iter(self.scans.values())).cell.settings.n_pulses

    @cached_property
    def li_um3(self) -> dict[str, dict[str, float]]:
        """Li metal of each scan by part."""
        return {
            name: {part: float(volume) for _, part, volume in metal(scan)}
            for name, scan in self.scans.items()
        }

    @cached_property
    def columns(self) -> dict[str, dict[str, np.ndarray]]:
        """Voxels of each class in each column of each scan, over (z, x)."""
        return {
            name: {kind: scan.has(kind).sum(axis=1) for kind in CLASSES}
            for name, scan in self.scans.items()
        }

    def moved_um3(self, before: str, now: str, side: str) -> float:
        """Return the Li that came to a side between two scans."""
        return self.li_um3[now][f"all Li, {side}"] - self.li_um3[before][f"all Li, {side}"]

    def travelling_um3(self, name: str, side: str) -> float:
        """Return the Li of a side beyond its first electrode."""
        first = self.li_um3[self.names[0]][f"electrode, {side}"]
        return self.li_um3[name][f"all Li, {side}"] - first


def series_truth(series: WholeSeries) -> dict[Key, Truth]:
    """Return every number of a series by scan, quantity and part."""
    found: dict[Key, Truth] = {}
    for make in (changes, left, rates, correlations, places, sites, charge):
        for scan, quantity, part, truth in make(series):
            found[scan, quantity, part] = truth if isinstance(truth, Truth) else Truth(truth)
    return found


def changes(series: WholeSeries) -> Found:
    """Subtract what the first scan holds, and what the scan before does."""
    first, li = series.names[0], series.li_um3
    layers = {n: {part: t for _, part, t in surfaces(s)} for n, s in series.scans.items()}
    for name in series.names:
        for part, of in (("gap", "electrodes"), ("cell", "cell")):
            grown = layers[name][of] - layers[first][of]
            yield name, "swelling", part, Truth(grown, series.scans[name].size_um)
        for part in (*(f"all Li, {side}" for side in SIDES), "all Li"):
            change = li[name][part] - li[first][part]
            yield name, "li_change", part, Truth(change, li[first][part])
        for side in SIDES:
            whole = li[first][f"all Li, {side}"]
            came = series.travelling_um3(name, side)
            yield name, "travelling_li", side, Truth(came, whole)
    for (before, now), side in itertools.product(itertools.pairwise(series.names), SIDES):
        whole, came = li[first][f"all Li, {side}"], series.moved_um3(before, now, side)
        n_between = series.pulse[now] - series.pulse[before]
        yield now, "li_moved", side, Truth(came, whole)
        yield now, "li_moved_per_pulse", side, Truth(came / n_between, whole)


def left(series: WholeSeries) -> Found:
    """Give what was plated and is there after the last pulse, and pits over those of half cycle."""
    n, pulse = series.n_pulses, series.pulse
    for name in series.names:
        if pulse[name] == 2 * n:
            plated = {kind: series.li_um3[name][kind] for kind in GROWN[PLATING]}
            for kind, volume in plated.items():
                yield name, "li_left", kind, volume
            yield name, "li_left", "all plated Li", sum(plated.values())
    n_pit = {name: int(series.columns[name]["pit"].sum()) for name in series.names}
    at_half = [name for name in series.names if pulse[name] == n] or series.names
    half = max(at_half, key=lambda name: n_pit[name])
    later = [name for name in series.names if pulse[name] >= n and pulse[name] > pulse[half]]
    if n_pit[half] and later:
        for name in (half, *later):
            yield name, "pits_left", "pit", n_pit[name] / n_pit[half]


def rates(series: WholeSeries) -> Found:
    """Fit a line and an exponential through the thicknesses of each half cycle."""
    n, thick = series.n_pulses, {}
    for name, scan in series.scans.items():
        found = thicknesses(scan)
        thick[name] = {part: float(t) for q, part, t in found if q == "effective_thickness"}
    for stretch, low, high in (("charge", 0, n), ("discharge", n, 2 * n)):
        names = [name for name in series.names if low <= series.pulse[name] <= high]
        x = np.array([series.pulse[name] for name in names], np.float64)
        for part in thick[series.names[0]]:
            y, region = np.array([thick[name][part] for name in names]), f"{part}, {stretch}"
            if part == "background" or len(x) < 2:
                continue
            slope = float(np.polyfit(x, y, 1)[0])
            yield SERIES, "thickness_rate", region, Truth(slope, float(y.max()))
            if len(x) > 2 and np.count_nonzero(y) > 1:
                yield SERIES, "thickness_growth", region, Truth(_growth(x, y), 1 / n)


def _growth(x: np.ndarray, y: np.ndarray) -> float:
    """Return the k of ``a exp(k x)``: for any k the best ``a`` is known; try many, then refine."""

    def misfit(k: float) -> float:
        e = np.exp(k * (x - x.mean()))
        return float(((y - (y @ e) / (e @ e) * e) ** 2).sum())

    tried = np.linspace(-20, 20, 4001) / np.ptp(x)
    i = int(np.argmin([misfit(k) for k in tried]))
    between = (tried[i - 1], tried[i + 1])
    found = optimize.minimize_scalar(
        misfit, bounds=between, method="bounded", options={"xatol": 1e-12}
    )
    return float(found.x)


def correlations(series: WholeSeries) -> Found:
    """Correlate the columns of any two classes, and old growth with new."""
    for name, columns in series.columns.items():
        spreads = {kind: Spread(counts) for kind, counts in columns.items()}
        for a, b in itertools.combinations(CLASSES, 2):
            yield from _correlation(name, f"{a} ~ {b}", spreads[a], spreads[b])
    if pair := _growth_scans(series):
        old, new = (series.columns[name] for name in pair)
        plated = Spread(old["dendrite"] + old["deposited"])
        yield from _correlation(SERIES, GROWTH, plated, Spread(new["redeposited"]))


def _growth_scans(series: WholeSeries) -> tuple[str, str] | None:
    """Return the scan with most plated voxels and the last one."""
    n_plated = {
        name: int(columns["dendrite"].sum() + columns["deposited"].sum())
        for name, columns in series.columns.items()
    }
    half, last = max(series.names, key=lambda name: n_plated[name]), series.names[-1]
    return (half, last) if n_plated[half] and half != last else None


class Spread:
    """A map less its mean, and its covariance from column to column, lag by lag.

    As many columns apart as half of the shorter side are taken for independent.
    """

    def __init__(self, counts: np.ndarray) -> None:
        self.rest = counts - counts.mean()
        reach = max(1, min(counts.shape) // 2)
        around = itertools.product(range(-reach, reach + 1), repeat=2)
        lags = [(du, dv, round(math.hypot(du, dv))) for du, dv in around]
        self.lags = [lag for lag in lags if lag[2] <= reach] if self.rest.any() else []
        sums, self.n_pairs = np.zeros((2, reach + 1))
        for du, dv, ring in self.lags:
            products = _shifted(self.rest, du, dv) * _shifted(self.rest, -du, -dv)
            sums[ring] += products.sum()
            self.n_pairs[ring] += products.size
        self.covariance = sums / np.maximum(self.n_pairs, 1)
        self.row_sums = np.zeros(counts.shape)  # of the matrix of covariances
        for du, dv, ring in self.lags:
            _shifted(self.row_sums, du, dv)[...] += self.covariance[ring]


def _shifted(values: np.ndarray, du: int, dv: int) -> np.ndarray:
    """Return the columns that have a neighbour so far away; that with ``-du, -dv`` are these."""
    n_u, n_v = values.shape
    return values[max(du, 0) : n_u + min(du, 0), max(dv, 0) : n_v + min(dv, 0)]


def n_effective(a: Spread, b: Spread) -> float:
    """Return how many columns are as good as independent: 1 + tr(BΣa) tr(BΣb) / tr(BΣa BΣb).

    B takes the mean away. Source: Dutilleul, Biometrics 49, 305 (1993).
    """
    n, sums = a.rest.size, [one.row_sums.sum() for one in (a, b)]
    both = (a.n_pairs * a.covariance * b.covariance).sum()
    both += sums[0] * sums[1] / n**2 - 2 * (a.row_sums * b.row_sums).sum() / n
    alone = [n * one.covariance[0] - total / n for one, total in zip((a, b), sums, strict=True)]
    if both <= 0 or min(alone) <= 0:
        return 2.0
    return float(min(n, 1 + alone[0] * alone[1] / both))


def _correlation(scan: str, part: str, a: Spread, b: Spread) -> Found:
    r = p = n = None
    if a.rest.any() and b.rest.any():
        r, n = float(np.corrcoef(a.rest.ravel(), b.rest.ravel())[0, 1]), n_effective(a, b)
        if n >= FEWEST:
            p = float(2 * stats.t.sf(abs(r) * math.sqrt((n - 2) / (1 - r * r)), n - 2))
    yield scan, "pearson", part, Truth(r, 1.0)
    yield scan, "pearson_p", part, Truth(p, 1.0)
    yield scan, "pearson_n", part, n


def places(series: WholeSeries) -> Found:
    """Count the columns that were plated at most, and hold redeposited Li in the last scan."""
    if pair := _growth_scans(series):
        old, new = (series.columns[name] for name in pair)
        was, grew = old["dendrite"] + old["deposited"] > 0, new["redeposited"] > 0
        yield SERIES, "growth_share", "neither", float((~was & ~grew).mean())
        yield SERIES, "growth_share", "only dendrite or deposited", float((was & ~grew).mean())
        yield SERIES, "growth_share", "only redeposited", float((~was & grew).mean())
        yield SERIES, "growth_share", "both", float((was & grew).mean())
        chance = float(was.mean() * grew.mean())
        yield SERIES, "growth_share", "both, expected by chance", chance


def sites(series: WholeSeries) -> Found:
    """Hold the columns of a class, as a set, against those of the first scan that shows it."""
    for kind in ("dendrite", "deposited", "redeposited"):
        held = {name: series.columns[name][kind] > 0 for name in series.names}
        first = next((name for name in series.names if held[name].any()), None)
        if first is None:
            continue
        early = set(np.flatnonzero(held[first]).tolist())
        for name in series.names[series.names.index(first) + 1 :]:
            late, part = set(np.flatnonzero(held[name]).tolist()), f"{kind} since {first}"
            both = len(early & late)
            yield name, "persistence_jaccard", part, both / len(early | late)
            yield name, "persistence_dice", part, 2 * both / (len(early) + len(late))
            yield name, "persistence_share", part, both / len(early)
            yield name, "persistence_share_by_chance", part, float(held[name].mean())
            yield name, "persistence_p", part, _shifts_as_good(held[first], held[name])


def _shifts_as_good(early: np.ndarray, late: np.ndarray) -> float:
    """Return the share of all shifts around the edges that overlap at least as much."""
    n_u, n_v = early.shape
    twice = np.tile(late, (2, 2))
    found = [
        np.count_nonzero(early & twice[du : du + n_u, dv : dv + n_v])
        for du, dv in np.ndindex(n_u, n_v)
    ]
    return float(np.mean([n >= found[0] for n in found]))


def charge(series: WholeSeries) -> Found:
    """Count pulses of the simulated current, and hold their Li against that of the labels."""
    first, n, pulse, li = series.names[0], series.n_pulses, series.pulse, series.li_um3
    scan = series.scans[first]
    s, n_columns = scan.cell.settings, scan.labels.shape[0] * scan.labels.shape[2]
    area_cm2 = n_columns * (scan.size_um * 1e-4) ** 2
    one_mah = s.current_density_ma_cm2 * area_cm2 * s.pulse_min / 60
    um3_per_mah = UM3_PER_CM3 / (MAH_PER_G * G_PER_CM3)
    net = {name: min(k, n) - max(k - n, 0) for name, k in pulse.items()}
    for name in series.names:
        mah = (net[name] - net[first]) * one_mah
        yield name, "pulse", "cell", pulse[name]
        yield name, "current_on_time", "cell", pulse[name] * s.pulse_min
        yield name, "charge_passed", "cell", Truth(mah, one_mah)
        yield name, "expected_li_volume", "cell", Truth(mah * um3_per_mah, one_mah * um3_per_mah)
        yield name, "plating_current_density", "cell", _density(series, name)
        for side, part, sign in ((PLATING, "cell", 1), (STRIPPING, "cell, stripping side", -1)):
            off = series.travelling_um3(name, side) - sign * mah * um3_per_mah
            whole = li[first][f"all Li, {side}"]
            yield name, "inventory_closure", part, Truth(off, whole)
    for before, now in itertools.pairwise(series.names):
        mah = (net[now] - net[before]) * one_mah
        for side, part, sign in ((PLATING, "cell", 1), (STRIPPING, "cell, stripping side", -1)):
            seen_mah = sign * series.moved_um3(before, now, side) / um3_per_mah
            yield now, "capacity_ratio", part, seen_mah / mah if mah else None


def _density(series: WholeSeries, name: str) -> float | None:
    """Return the current density over the columns that the Li of the half cycle stands in."""
    pulse, columns = series.pulse[name], series.columns[name]
    plated = columns["dendrite"] + columns["deposited"]
    covered = float(((plated if pulse <= series.n_pulses else columns["redeposited"]) > 0).mean())
    density = series.scans[name].cell.settings.current_density_ma_cm2
    return density / covered if pulse and covered else None
