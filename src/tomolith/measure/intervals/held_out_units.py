"""Held-out slices sorted into units that err alike, and what their errors tell of a scan.

Neighbouring slices are nearly the same picture, and all slices of a scan share its contrast and
noise. So the unit that counts is not the pixel: it is a run of neighbouring slices where a scan is
judged by its own labels, and a whole scan where it is judged by the labels of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
from scipy import stats

from tomolith.measure.held_out import HeldOut, HeldOutSlice

Floats = npt.NDArray[np.float64]
_FEWEST = 5
LEVEL = 0.95
_DRAWS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Unit:
    """The held-out slices of one unit, as arrays.

    Parameters
    ----------
    counts
        (n, K, K), rows truth, columns prediction.
    expected, doubt
        (n, K): sums of p and of p (1 - p), in voxels; empty (n, 0) without probabilities.
    """

    counts: Floats
    expected: Floats
    doubt: Floats

    @classmethod
    def of(cls, slices: Sequence[HeldOutSlice]) -> Unit:
        """Return a unit of these slices."""
        return cls(
            np.array([s.counts for s in slices], np.float64),
            np.array([s.expected for s in slices], np.float64) / 255,
            np.array([s.doubt for s in slices], np.float64) / 255**2,
        )

    def sums(self, weights: Floats) -> Sums:
        """Return the sums over its slices, each as often as ``weights`` (..., n) says."""
        counts = np.tensordot(weights, self.counts, axes=1)
        return Sums(counts, weights @ self.expected, weights @ self.doubt)


@dataclass(frozen=True, slots=True)
class Sums:
    """What the slices of units add up to; the axis before the classes counts the units.

    Parameters
    ----------
    counts
        (..., K, K), rows truth, columns prediction.
    expected, doubt
        (..., K), in voxels.
    """

    counts: Floats
    expected: Floats
    doubt: Floats


@dataclass(frozen=True, slots=True)
class Units:
    """The units from which a scan is judged.

    Parameters
    ----------
    units
        At least one.
    is_own
        Whether they are of the scan itself; else each is one scan.
    is_whole
        Whether their differences show all that may differ: between places of the scan itself, or
        between scans. Slices of one scan do not show how scans differ.
    words
        What they are, for the method of an interval.
    """

    units: tuple[Unit, ...]
    is_own: bool
    is_whole: bool
    words: str

    def __len__(self) -> int:
        return len(self.units)

    @property
    def has_probabilities(self) -> bool:
        """Whether probabilities were stored for every slice."""
        k = self.units[0].counts.shape[-1]
        return all(u.expected.shape == (len(u.counts), k) for u in self.units)

    @property
    def t(self) -> float:
        """Student's t of as many units: half of a 95 % interval, in standard deviations."""
        return float(stats.t.ppf((1 + LEVEL) / 2, max(len(self) - 1, 1)))

    @property
    def never(self) -> float:
        """Upper 95 % bound of the share of places that show what none of the units shows.

        About 3 / n, the rule of three (Hanley and Lippman-Hand, JAMA 249, 1743, 1983).
        """
        return float(1 - (1 - LEVEL) ** (1 / len(self)))

    @property
    def sums(self) -> Sums:
        """The sums of each unit, (n_units, ...)."""
        return _stacked([u.sums(np.ones(len(u.counts))) for u in self.units])

    def bootstrap(
        self, statistic: Callable[[Sums], Floats], n_draws: int, *, seed: int = 0
    ) -> Floats:
        """Return how a statistic of M numbers varies over draws of units, and of slices in them.

        Parameters
        ----------
        statistic
            Gets the sums of drawn units, (n_draws, n_units, ...), and returns (n_draws, M).
        n_draws, seed
            How many draws, and of which random numbers.

        Returns
        -------
        Floats
            (R, M), R at most M: the principal axes of the draws, each as long as the standard
            deviation along it. The variance of a sum ``v`` of the numbers is ``|axes @ v|²``.

        Notes
        -----
        Source: two-stage bootstrap of clusters, Davison and Hinkley, Bootstrap Methods and their
        Application (1997), section 3.8.
        """
        rng, n = np.random.default_rng(seed), len(self)
        draws = []
        for start in range(0, n_draws, _DRAWS_AT_ONCE):
            chosen = rng.integers(0, n, (min(_DRAWS_AT_ONCE, n_draws - start), n))
            draws.append(statistic(self._drawn(chosen, rng)))
        found = np.concatenate(draws)
        _, deviations, axes = np.linalg.svd(found - found.mean(axis=0), full_matrices=False)
        along: Floats = deviations[:, None] * axes / np.sqrt(n_draws - 1)
        along[:, np.ptp(found, axis=0) == 0] = 0.0  # else what is the same in all draws gets dust
        return along

    def _drawn(self, chosen: npt.NDArray[np.int64], rng: np.random.Generator) -> Sums:
        """Return the sums of the chosen units, the slices of each drawn anew."""
        k = self.units[0].counts.shape[-1]
        p = self.units[0].expected.shape[-1]
        out = Sums(*(np.zeros((*chosen.shape, *shape)) for shape in ((k, k), (p,), (p,))))
        for i, unit in enumerate(self.units):
            here = chosen == i
            n = len(unit.counts)
            times = rng.multinomial(n, np.full(n, 1 / n), np.count_nonzero(here))
            found = unit.sums(times.astype(np.float64))
            out.counts[here], out.expected[here] = found.counts, found.expected
            out.doubt[here] = found.doubt
        return out


def _stacked(sums: Sequence[Sums]) -> Sums:
    return Sums(
        np.stack([s.counts for s in sums]),
        np.stack([s.expected for s in sums]),
        np.stack([s.doubt for s in sums]),
    )


def units_for(record: HeldOut, scan: str) -> Units | None:
    """Return what a scan is judged by: its own slices where there are enough, else all scans.

    How scans differ cannot be told from fewer than five: of two, Student's t is 12.7, and an
    interval would hold any volume. Their slices then tell of the confusion alone, as one of several
    causes.

    Parameters
    ----------
    record
        The held-out slices.
    scan
        Name of the scan that is measured.

    Returns
    -------
    Units or None
        ``None`` with less than two slices.

    Examples
    --------
    >>> slices = [HeldOutSlice(s, z, ((4, 0), (1, 3))) for s in "abc" for z in (2, 3, 9)]
    >>> record = HeldOut("unet", "test", ("x", "y"), tuple(slices))
    >>> units_for(record, "a").words
    '9 held-out slices of 3 scans, which do not show how scans differ'
    """
    runs = [s for s in _runs(record.slices) if s[0].scan == scan]
    if len(runs) >= _FEWEST:
        n = sum(map(len, runs))
        words = f"{n} held-out slices of this scan in {len(runs)} places"
        return Units(tuple(map(Unit.of, runs)), is_own=True, is_whole=True, words=words)
    n = len(record.slices)
    scans = [list(group) for _, group in groupby(record.slices, key=lambda s: s.scan)]
    if len(scans) >= _FEWEST:
        words = f"{n} held-out slices of {len(scans)} scans"
        return Units(tuple(map(Unit.of, scans)), is_own=False, is_whole=True, words=words)
    if n < 2:
        return None
    is_own = len(scans) == 1 and scans[0][0].scan == scan
    of = "one scan" if len(scans) == 1 else f"{len(scans)} scans"
    words = f"{n} held-out slices of {of}, which do not show how scans differ"
    each = tuple(Unit.of([s]) for s in record.slices)
    return Units(each, is_own=is_own, is_whole=False, words=words)


def _runs(slices: Sequence[HeldOutSlice]) -> list[list[HeldOutSlice]]:
    """Return runs of slices next to each other; ``slices`` are in order."""
    runs = [[s] for s in slices[:1]]
    for before, s in pairwise(slices):
        if (before.scan, before.z + 1) == (s.scan, s.z):
            runs[-1].append(s)
        else:
            runs.append([s])
    return runs
