"""Class volumes corrected by what held-out labels tell of the confusion of classes."""

from __future__ import annotations

import numpy as np

from tomolith.measure.intervals.combination import Combination
from tomolith.measure.intervals.combine import Estimate
from tomolith.measure.intervals.error_line import ErrorLine
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

    A scan that has held-out slices of its own is corrected by these alone. Uncertain is what they
    say of the confusion: a bootstrap over places and the slices in them, never over pixels. Where
    nothing in them that was labelled as a class was right, no draw has any of it; by the rule of
    three up to about 3 / n of it may be, of n places.

    A scan that is judged by others may have another confusion than they. Each of them is corrected
    by the rest; what that misses gives a line over the volume that was predicted, by which the scan
    is corrected further and its interval found, see
    :class:`~tomolith.measure.intervals.error_line.ErrorLine`.
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
    Source: estimator of Olofsson et al. (2014), as in :func:`corrected_counts`.

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
        self._shares = user_shares(each.sum(axis=0))
        if units.is_own:
            self._axes = units.bootstrap(_all_shares, n_draws, seed=seed)
        else:
            self._by_others = user_shares(each.sum(axis=0) - each)

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
        worth, units, predicted = combination.worth, self._units, self._predicted
        centre = float((self._shares * worth).sum(axis=0) @ predicted)
        side = float((self._shares * combination.side_doubt).sum(axis=0) @ predicted)
        if units.is_own:  # no other scan is judged by these
            common = units.t * (self._axes @ (worth * predicted).ravel())
            own = float(np.linalg.norm([*common, side, self._never_right(worth)]))
            return Estimate(centre, own, np.zeros(0))
        found = self._line(combination).carried_to(
            float(combination.by_class @ predicted),
            float(_doubts(self._shares, worth, predicted)),
            estimated=centre,
        )
        return Estimate(found.centre, float(np.hypot(found.own, side)), found.shared)

    def _never_right(self, worth: Floats) -> float:
        """Return what it may change that labels which were all wrong are right elsewhere."""
        change = np.diag(worth) - (self._shares * worth).sum(axis=0)
        wrong = np.diag(self._shares) == 0
        return self._units.never * float(np.abs(change[wrong]) @ self._predicted[wrong])

    def _line(self, combination: Combination) -> ErrorLine:
        """Return what each scan misses when corrected by the others, were all like its slices."""
        worth, predicted = combination.worth, self._each.sum(axis=1)
        estimated = ((worth * self._by_others).sum(axis=1) * predicted).sum(axis=1)
        one_voxel = np.abs(worth).max()
        return ErrorLine(
            predicted @ combination.by_class,
            (worth * self._each).sum(axis=(1, 2)) - estimated,
            _doubts(self._by_others, worth, predicted) + (one_voxel**2 or 1.0),
            largest=float(one_voxel * self._predicted.sum()),
            has_slope=self._units.is_whole,
        )


def _all_shares(drawn: Sums) -> Floats:
    shares = user_shares(drawn.counts.sum(axis=-3))
    return shares.reshape(len(shares), -1)


def _doubts(shares: Floats, worth: Floats, predicted: Floats) -> Floats:
    """Return the variance of corrected sums, were voxels independent: (...) of (..., K)."""
    mean = (worth * shares).sum(axis=-2)
    variance = np.maximum((worth**2 * shares).sum(axis=-2) - mean**2, 0.0)
    found: Floats = (variance * predicted).sum(axis=-1)
    return found
