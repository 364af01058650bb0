"""Class volumes corrected by what held-out labels tell of the confusion of classes."""

from __future__ import annotations

import numpy as np

from tomolith.measure.intervals.combination import Combination
from tomolith.measure.intervals.combine import Estimate
from tomolith.measure.intervals.held_out_units import Floats, Sums, Units


def user_shares(counts: Floats) -> Floats:
    """Return of what is labelled j the share that truly is c: (..., K, K), rows c, columns j.

    A class that was never predicted keeps its name: nothing is known of its confusion.

    Examples
    --------
    >>> user_shares(np.array([[8.0, 1, 0], [2, 3, 0], [0, 0, 0]])).tolist()
    [[0.8, 0.25, 0.0], [0.2, 0.75, 0.0], [0.0, 0.0, 1.0]]
    """
    n = counts.sum(axis=-2, keepdims=True)
    shares: Floats = np.where(n > 0, counts / np.where(n > 0, n, 1), np.eye(n.shape[-1]))
    return shares


def corrected_counts(counts: Floats, predicted: Floats) -> Floats:
    """Return how many voxels of each class there are behind those predicted, (..., K).

    The stratified estimator: what was labelled as class j is a stratum, and the held-out labels in
    it tell how it divides into true classes.

    Parameters
    ----------
    counts
        (..., K, K), held-out voxels, rows truth, columns prediction.
    predicted
        (K,), voxels of each predicted class in the whole scan.

    Notes
    -----
    Source: Olofsson et al., Remote Sensing of Environment 148, 42 (2014), equations 8 and 9.

    Examples
    --------
    >>> corrected_counts(np.array([[8.0, 1], [2, 3]]), np.array([100.0, 40])).tolist()
    [90.0, 50.0]
    """
    found: Floats = user_shares(counts) @ predicted
    return found


class Confusion:
    """Sums of classes corrected by the confusion in held-out slices.

    Two things are uncertain. What the held-out labels say of the confusion: a bootstrap over the
    units and the slices within them, never over pixels; all scans that are judged by them share
    this. And where a scan is judged by others, how far its own confusion is from theirs: each
    held-out scan is corrected by the rest, and the errors, in units of the binomial deviation of
    the same correction, give a factor of overdispersion that is carried over to the scan measured.
    Held-out slices do not tell by side where the electrode is taken for background, or background
    for it: of one side's sum it may be all or nothing.

    Parameters
    ----------
    predicted
        (K,), voxels of each predicted class in the whole scan.
    units
        The held-out slices.
    n_draws, seed
        Of the bootstrap.

    Notes
    -----
    Source: estimator of Olofsson et al. (2014); variance in proportion to the binomial one:
    McCullagh and Nelder, Generalized Linear Models (1989), section 4.5.

    Examples
    --------
    >>> from tomolith.measure.intervals.combination import Strata
    >>> from tomolith.measure.intervals.held_out_units import Unit
    >>> rng = np.random.default_rng(0)
    >>> slices = rng.binomial(1000, 0.8, (6, 1, 1)) * np.eye(2) + 100.0
    >>> units = Units(tuple(Unit(s[None], np.zeros((1, 0)), np.zeros((1, 0))) for s in slices),
    ...               is_own=False, is_whole=True, words="6 scans")
    >>> predicted = np.array([5e5, 5e5])
    >>> first = Strata(("a", "b"), predicted).combine({"a": 1.0})
    >>> found = Confusion(predicted, units).of(first)
    >>> round(found.centre, -4), found.half < 1e4
    (500000.0, True)
    """

    def __init__(
        self, predicted: Floats, units: Units, *, n_draws: int = 400, seed: int = 0
    ) -> None:
        self._predicted, self._units = predicted, units
        each = units.sums.counts
        self._each = each * (predicted.sum() / each.sum(axis=(1, 2), keepdims=True))
        self._others = each.sum(axis=0) - each
        self._shares = user_shares(each.sum(axis=0))
        self._axes = units.bootstrap(_all_shares, n_draws, seed=seed)

    @property
    def words(self) -> str:
        """What it means."""
        return f"correction by the confusion in {self._units.words}"

    @property
    def is_whole(self) -> bool:
        """Whether the units show all that may differ."""
        return self._units.is_whole

    def of(self, combination: Combination) -> Estimate:
        """Return the corrected sum."""
        worth, units = combination.worth, self._units
        centre = float((self._shares * worth).sum(axis=0) @ self._predicted)
        common = units.t * (self._axes @ (worth * self._predicted).ravel())
        side = float((self._shares * combination.side_doubt).sum(axis=0) @ self._predicted)
        if units.is_own:  # no other scan is judged by these
            return Estimate(centre, float(np.linalg.norm([*common, side])), np.zeros(0))
        variance = 0.0
        if len(units) > 1:
            variance = self._overdispersion(worth) * _doubt(self._shares, worth, self._predicted)
        return Estimate(centre, float(np.hypot(units.t * np.sqrt(variance), side)), common)

    def _overdispersion(self, worth: Floats) -> float:
        """Return the mean square error of each scan corrected by the others, over its variance.

        Each counts as if all of the scan were like its slices.
        """
        one_voxel = np.abs(worth).max() ** 2
        if not one_voxel:
            return 0.0
        found = []
        for here, others in zip(self._each, self._others, strict=True):
            shares, predicted = user_shares(others), here.sum(axis=0)
            error = (worth * (here - shares * predicted)).sum()
            found.append(error**2 / (_doubt(shares, worth, predicted) + one_voxel))
        return float(np.mean(found))


def _all_shares(drawn: Sums) -> Floats:
    shares = user_shares(drawn.counts.sum(axis=-3))
    return shares.reshape(len(shares), -1)


def _doubt(shares: Floats, worth: Floats, predicted: Floats) -> float:
    """Return the variance of a corrected sum, were voxels independent."""
    mean = (worth * shares).sum(axis=0)
    variance = (worth**2 * shares).sum(axis=0) - mean**2
    return float(np.maximum(variance, 0.0) @ predicted)
