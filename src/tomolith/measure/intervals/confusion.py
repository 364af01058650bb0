"""Class volumes corrected by what held-out labels tell of the confusion of classes."""

from __future__ import annotations

import numpy as np

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


def confusion_interval(
    predicted: Floats, units: Units, *, n_draws: int = 400, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return centre and half width of the 95 % interval of each class, in voxels.

    Two things are uncertain. What the held-out labels say of the confusion: a bootstrap over the
    units and the slices within them, never over pixels. And where a scan is judged by others, how
    far its own confusion is from theirs: each held-out scan is corrected by the rest, and the
    errors, in units of the binomial deviation of the same correction, give a factor of
    overdispersion that is carried over to the scan measured.

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
    >>> from tomolith.measure.intervals.held_out_units import Unit
    >>> rng = np.random.default_rng(0)
    >>> slices = rng.binomial(1000, 0.8, (6, 1, 1)) * np.eye(2) + 100.0
    >>> units = Units(tuple(Unit(s[None], np.zeros((1, 0)), np.zeros((1, 0))) for s in slices),
    ...               is_own=False, is_whole=True, words="6 scans")
    >>> centre, half = confusion_interval(np.array([5e5, 5e5]), units)
    >>> centre.round(-4).tolist(), bool((half < 1e4).all())
    ([500000.0, 500000.0], True)
    """

    def statistic(drawn: Sums) -> Floats:
        return corrected_counts(drawn.counts.sum(axis=-3), predicted)

    pooled = units.sums.counts.sum(axis=0)
    variance = units.bootstrap(statistic, n_draws, seed=seed)
    if not units.is_own and len(units) > 1:
        variance += _overdispersion(units, predicted.sum()) * _doubt(pooled, predicted)
    return corrected_counts(pooled, predicted), units.half_width(variance)


def _overdispersion(units: Units, n_voxels: float) -> Floats:
    """Return the mean square error of each scan corrected by the others, over its variance."""
    each = units.sums.counts
    found = []
    for here in each:
        others = each.sum(axis=0) - here
        scaled = here * (n_voxels / here.sum())  # as if all of the scan were like its slices
        error = scaled.sum(axis=1) - corrected_counts(others, scaled.sum(axis=0))
        found.append(error**2 / (_doubt(others, scaled.sum(axis=0)) + 1))
    mean: Floats = np.mean(found, axis=0)
    return mean


def _doubt(counts: Floats, predicted: Floats) -> Floats:
    """Return the binomial variance of the corrected counts, were voxels independent."""
    shares = user_shares(counts)
    found: Floats = (shares * (1 - shares)) @ predicted
    return found
