"""The intervals of class volumes cover scans whose composition and confusion differ.

Scans as a cell gives them during a cycle: dendrites grow and go, the network misses more of small
ones than of large ones, each scan and each slice has a confusion of its own. The truth is known.
"""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.combine import Source, combine
from tomolith.measure.intervals.confusion import Confusion
from tomolith.measure.intervals.held_out_units import Units, units_for
from tomolith.measure.intervals.probabilities import ExpectedVoxels, Probabilities

CLASSES = ("background", "dendrite", "deposited")
N_SLICES, N_PX, N_HELD, N_SCANS = 40, 10_000, 4, 20
GOAL = (0.90, 0.99)


def scan(rng: np.random.Generator) -> np.ndarray:
    """Return the counts of all slices of a scan, (z, truth, prediction)."""
    dendrite = rng.uniform(0.0, 0.15)
    deposited = 0.2 - dendrite + rng.uniform(-0.03, 0.03)
    amounts = np.clip(
        np.array([dendrite, deposited]) * rng.lognormal(0, 0.15, (N_SLICES, 2)), 0, 0.4
    )
    truth = N_PX * np.column_stack([1 - amounts.sum(axis=1), amounts])
    missed = np.clip(0.5 - 2.5 * dendrite + rng.normal(0, 0.05), 0.05, 0.9)
    mixed, extra = (np.clip(rng.normal(m, m / 4), 0, 1) for m in (0.15, 0.02))
    rates = np.array(
        [[1 - extra, extra / 2, extra / 2], [missed, 1 - missed, 0], [0.1, mixed, 0.9 - mixed]]
    )
    noise = rng.lognormal(0, 0.1, (N_SLICES, 3, 3))
    rows = rates * noise / (rates * noise).sum(axis=2, keepdims=True)
    return np.rint(truth[:, :, None] * rows)


def shares_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what probabilities of 0.8 for the class found, and 0.1 for others, add up to."""
    found = counts.sum(axis=-2)
    n = found.sum(axis=-1, keepdims=True)
    return 0.8 * found + 0.1 * (n - found), 0.16 * found + 0.09 * (n - found)


def held_out(scans: list[np.ndarray]) -> Units:
    slices = []
    for i, counts in enumerate(scans):
        for z in range(N_SLICES // N_HELD // 2, N_SLICES, N_SLICES // N_HELD):
            here = counts[z].astype(int)
            expected, doubt = shares_of(counts[z])
            sums = (tuple(np.rint(x).astype(int)) for x in (255 * expected, 255**2 * doubt))
            slices.append(HeldOutSlice(f"scan-{i:02d}", z, tuple(map(tuple, here)), *sums))
    units = units_for(HeldOut("net", "test", CLASSES, tuple(slices)), "another")
    assert units is not None
    return units


def sources_of(predicted: np.ndarray, units: Units) -> list[Source]:
    expected, doubt = shares_of(np.diag(predicted))
    none = np.zeros((1, 3))
    found = ExpectedVoxels(expected, doubt, (1,), none, np.ones(3))
    return [Confusion(predicted, units), Probabilities(found, units)]


def coverage(n_trials: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the shares of covered truths, and the median half widths, by class and for a sum."""
    rng = np.random.default_rng(0)
    sums = {**{n: (n,) for n in CLASSES}, "all Li": CLASSES[1:]}
    covered, halves = ({n: [] for n in sums} for _ in range(2))
    for _ in range(n_trials):
        units = held_out([scan(rng) for _ in range(N_SCANS)])
        for counts in (scan(rng) for _ in range(8)):
            table = counts.sum(axis=0)
            predicted, truth = table.sum(axis=0), table.sum(axis=1)
            strata, sources = Strata(CLASSES, predicted), sources_of(predicted, units)
            for name, parts in sums.items():
                found = combine(strata.combine(dict.fromkeys(parts, 1.0)), predicted, sources)
                assert found is not None
                true = sum(truth[CLASSES.index(p)] for p in parts)
                covered[name].append(found.low <= true <= found.high)
                halves[name].append(found.half_width / truth.sum())
    return (
        {n: float(np.mean(v)) for n, v in covered.items()},
        {n: float(np.median(v)) for n, v in halves.items()},
    )


def test_each_class_is_covered_as_often_as_promised() -> None:
    covered, halves = coverage(40)
    assert {n: v for n, v in covered.items() if not GOAL[0] <= v <= GOAL[1]} == {}
    assert halves["all Li"] < 0.9 * np.hypot(halves["dendrite"], halves["deposited"])


def test_a_constant_correction_would_be_far_wider() -> None:
    """Olofsson's estimator alone takes the composition of all scans for that of each."""
    rng = np.random.default_rng(1)
    scans = [scan(rng) for _ in range(N_SCANS)]
    units = held_out(scans)
    tables = [counts.sum(axis=0) for counts in scans]
    shares = sum(tables) / sum(tables).sum(axis=0)
    alone = [(shares @ t.sum(axis=0) - t.sum(axis=1))[1] for t in tables]
    with_line = []
    for t in tables:
        predicted = t.sum(axis=0)
        dendrite = Strata(CLASSES, predicted).combine({"dendrite": 1.0})
        with_line.append(Confusion(predicted, units).of(dendrite).centre - t.sum(axis=1)[1])
    assert np.std(with_line) == pytest.approx(0, abs=0.6 * np.std(alone))
