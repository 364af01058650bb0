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
_FEWEST_OWN = 5
_LEVEL = 0.95


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

    def drawn(self, rng: np.random.Generator) -> Unit:
        """Return as many of its slices, drawn with replacement."""
        chosen = rng.integers(0, len(self.counts), len(self.counts))
        return Unit(self.counts[chosen], self.expected[chosen], self.doubt[chosen])


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

    def half_width(self, variance: Floats) -> Floats:
        """Return half of a 95 % interval: Student's t of as many units, times the deviation."""
        t = stats.t.ppf((1 + _LEVEL) / 2, max(len(self) - 1, 1))
        half: Floats = t * np.sqrt(variance)
        return half

    def bootstrap(
        self, statistic: Callable[[Sequence[Unit]], Floats], n_draws: int, *, seed: int = 0
    ) -> Floats:
        """Return the variance of a statistic over draws of units, and of slices within them.

        Source: two-stage bootstrap of clusters, Davison and Hinkley, Bootstrap Methods and their
        Application (1997), section 3.8.
        """
        rng, n = np.random.default_rng(seed), len(self)
        draws = []
        for _ in range(n_draws):
            chosen = rng.integers(0, n, n)
            draws.append(statistic([self.units[i].drawn(rng) for i in chosen]))
        found: Floats = np.var(draws, axis=0, ddof=1)
        return found


def units_for(record: HeldOut, scan: str) -> Units | None:
    """Return what a scan is judged by: its own slices where there are enough, else all scans.

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
    '9 held-out slices of 3 scans'
    """
    runs = [s for s in _runs(record.slices) if s[0].scan == scan]
    if len(runs) >= _FEWEST_OWN:
        n = sum(map(len, runs))
        words = f"{n} held-out slices of this scan in {len(runs)} places"
        return Units(tuple(map(Unit.of, runs)), is_own=True, is_whole=True, words=words)
    n = len(record.slices)
    scans = [list(group) for _, group in groupby(record.slices, key=lambda s: s.scan)]
    if len(scans) > 1:
        words = f"{n} held-out slices of {len(scans)} scans"
        return Units(tuple(map(Unit.of, scans)), is_own=False, is_whole=True, words=words)
    if n < 2:
        return None
    is_own = record.slices[0].scan == scan
    words = f"{n} held-out slices of one scan only, so too narrow if anything"
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
