"""Correlation of two maps, tested with the neighbourhood of their columns in mind."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, stats

from tomolith.core import Interval
from tomolith.errors import MismatchError

Map = npt.NDArray[Any]
_FEWEST = 4.0  # Fisher's z has no interval for fewer independent columns
_NORMAL_95 = 1.959963984540054
_ROWS = 256


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's coefficient of two maps, and what it is worth.

    Parameters
    ----------
    r
        Pearson's coefficient.
    n_effective
        As many independent columns would give the same spread of ``r`` if the maps had nothing
        to do with each other.
    p
        Chance of such an ``r``, or a larger one of either sign, if they had nothing to do with each
        other; ``None`` where fewer than four columns are independent.
    interval
        95 % interval of ``r``; ``None`` in the same case.
    """

    r: float
    n_effective: float
    p: float | None
    interval: Interval | None


class SpatialMap:
    """A map less its mean, and its covariance from column to column.

    The covariance is taken over rings of one pixel, up to half of the shorter side, by FFT. Memory:
    about 20 arrays of the size of the map in float32 while it is made, two afterwards.

    Parameters
    ----------
    values
        Shape (n_u, n_v).
    pixel_um
        Pixel size along u and v; only the ratio matters.
    known
        Which columns count, shape (n_u, n_v); ``None``: all.
    """

    def __init__(
        self,
        values: Map,
        pixel_um: tuple[float, float] = (1.0, 1.0),
        known: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self.pixel_um = pixel_um
        self.shape = (int(values.shape[0]), int(values.shape[1]))
        self.known = np.ones(self.shape, np.bool_) if known is None else known
        self.n = int(np.count_nonzero(self.known))
        flat, n = values.astype(np.float32), max(self.n, 1)
        middle = np.float32(np.sum(flat, dtype=np.float64, where=self.known) / n)
        self.rest = np.where(self.known, flat - middle, np.float32(0))
        self.variance = float(np.sum(self.rest**2, dtype=np.float64)) / n
        self._lags = _Lags(self.shape, pixel_um)
        pairs = None if self.n == self.known.size else self._products(self.known)
        sums, self.n_pairs = self._lags.sums(self._products(self.rest), pairs)
        self.covariance = sums / np.maximum(self.n_pairs, 1)
        self.covariance[-1] = 0.0  # too far apart to say

    def _products(self, values: Map) -> npt.NDArray[np.float32]:
        """Return, at each lag, the sum of the products of all columns so far apart."""
        spectrum = fft.rfft2(values.astype(np.float32), self._lags.padded)
        found: npt.NDArray[np.float32] = fft.irfft2(spectrum * spectrum.conj(), self._lags.padded)
        return found

    @cached_property
    def row_sums(self) -> npt.NDArray[np.float32]:
        """For each column that counts, the sum of its covariances with all such; else 0."""
        padded = self._lags.padded
        ones = fft.rfft2(self.known.astype(np.float32), padded)
        whole = fft.irfft2(fft.rfft2(self._lags.kernel(self.covariance)) * ones, padded)
        found = whole[: self.shape[0], : self.shape[1]].astype(np.float32)
        return np.where(self.known, found, np.float32(0))


class _Lags:
    """All lags between the columns of a map, as a circular correlation lays them out, in rings.

    The rings are as wide as the larger side of a pixel; all lags beyond half of the shorter side of
    the map are the last one.
    """

    def __init__(self, shape: tuple[int, int], pixel_um: tuple[float, float]) -> None:
        # at this shape no two ends meet, and the FFT likes it
        self.padded = tuple(fft.next_fast_len(2 * n - 1, real=True) for n in shape)
        lags = [np.arange(padded) for padded in self.padded]
        lags = [np.minimum(lag, len(lag) - lag) for lag in lags]
        self._n_pairs = [np.maximum(n - lag, 0.0) for n, lag in zip(shape, lags, strict=True)]
        sizes = [size / max(pixel_um) for size in pixel_um]
        self._lengths = [lag * size for lag, size in zip(lags, sizes, strict=True)]
        reach = min(n * size for n, size in zip(shape, sizes, strict=True)) / 2
        self._last = max(1, int(reach)) + 1

    def _rings(self) -> Iterator[tuple[slice, npt.NDArray[np.intp]]]:
        """Yield the ring of each lag, some rows at a time."""
        for start in range(0, self.padded[0], _ROWS):
            rows = slice(start, start + _ROWS)
            length = np.hypot(self._lengths[0][rows, None], self._lengths[1])
            yield rows, np.minimum(np.rint(length).astype(np.intp), self._last)

    def sums(
        self, products: npt.NDArray[Any], n_pairs_at: npt.NDArray[Any] | None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the sum of products over each ring, and how many pairs of columns it holds.

        ``n_pairs_at``: how many there are at each lag; ``None`` where all columns count.
        """
        total, n_pairs = np.zeros((2, self._last + 1))
        for rows, ring in self._rings():
            flat = ring.ravel()
            if n_pairs_at is None:
                pairs = self._n_pairs[0][rows, None] * self._n_pairs[1]
            else:
                pairs = np.rint(n_pairs_at[rows])
            total += np.bincount(flat, products[rows].ravel(), self._last + 1)
            n_pairs += np.bincount(flat, pairs.ravel(), self._last + 1)
        return total, n_pairs

    def kernel(self, covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Return the covariance at each lag."""
        out = np.zeros(self.padded, np.float32)
        for rows, ring in self._rings():
            out[rows] = covariance[ring]
        return out


def correlate(a: SpatialMap, b: SpatialMap) -> Correlation | None:
    """Return Pearson's coefficient with Dutilleul's modified t-test; ``None`` for a constant map.

    With B the matrix that takes the mean away, the effective sample size is
    ``1 + tr(B Σa) tr(B Σb) / tr(B Σa B Σb)``, the test is Student's t with that many columns less
    two degrees of freedom, and the interval is Fisher's z with that many columns.

    Raises
    ------
    MismatchError
        The maps differ in shape, pixel size or columns that count.

    Notes
    -----
    Source: Clifford, Richardson and Hémon, Biometrics 45, 123 (1989); Dutilleul, Biometrics 49,
    305 (1993), equation for M̂. Both assume covariances that depend on distance alone: a slope
    across the whole of both maps counts as more than the one observation that it is.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(2, 32, 32))
    >>> found = correlate(SpatialMap(noise[0]), SpatialMap(noise[0] + noise[1]))
    >>> round(found.r, 2), found.p < 1e-6
    (0.65, True)
    """
    if a.shape != b.shape or a.pixel_um != b.pixel_um:
        raise MismatchError(
            f"maps of {a.shape} pixels of {a.pixel_um} µm and {b.shape} of {b.pixel_um} µm",
            expected="two maps of the same columns",
            mend="measure label maps of one registered series",
        )
    if not np.array_equal(a.known, b.known):
        raise MismatchError(
            f"maps in which {a.n} and {b.n} columns count, and not the same ones",
            expected="two maps of the same columns",
            mend="let those count that both maps know",
        )
    if not a.variance or not b.variance:
        return None
    r = float(np.sum(a.rest * b.rest, dtype=np.float64)) / a.n
    r /= math.sqrt(a.variance * b.variance)
    r = min(max(r, -1.0), 1.0)
    n = _n_effective(a, b)
    if n < _FEWEST:
        return Correlation(r, n, None, None)
    if abs(r) > 1 - 1e-12:
        return Correlation(r, n, 0.0, Interval(r, r, _METHOD.format(n=n)))
    t = abs(r) * math.sqrt((n - 2) / (1 - r * r))
    half = _NORMAL_95 / math.sqrt(n - 3)
    low, high = math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)
    return Correlation(
        r, n, float(2 * stats.t.sf(t, n - 2)), Interval(low, high, _METHOD.format(n=n))
    )


_METHOD = (
    "Fisher z with {n:.0f} independent columns (Dutilleul 1993); errors of the labels are not in it"
)


def _n_effective(a: SpatialMap, b: SpatialMap) -> float:
    """Return the effective sample size, between 2 and the number of columns."""
    n = a.n
    rows_a, rows_b = a.row_sums, b.row_sums
    sum_a, sum_b = (float(rows.sum(dtype=np.float64)) for rows in (rows_a, rows_b))
    both = float((a.n_pairs * a.covariance * b.covariance).sum())
    both += sum_a * sum_b / n**2 - 2 * float(np.sum(rows_a * rows_b, dtype=np.float64)) / n
    alone_a = n * a.covariance[0] - sum_a / n
    alone_b = n * b.covariance[0] - sum_b / n
    if both <= 0 or alone_a <= 0 or alone_b <= 0:
        return 2.0
    return min(float(n), float(1 + alone_a * alone_b / both))
