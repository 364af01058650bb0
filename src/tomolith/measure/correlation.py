"""Correlation of two maps, tested with the neighbourhood of their columns in mind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, stats

from tomolith.core import Interval
from tomolith.errors import MismatchError

Map = npt.NDArray[Any]
_FEWEST = 4.0  # Fisher's z has no interval for fewer independent columns
_NORMAL_95 = 1.959963984540054


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
    about 20 arrays of the size of the map in float32.

    Parameters
    ----------
    values
        Shape (n_u, n_v).
    pixel_um
        Pixel size along u and v; only the ratio matters.
    """

    def __init__(self, values: Map, pixel_um: tuple[float, float] = (1.0, 1.0)) -> None:
        self.pixel_um = pixel_um
        self.shape = values.shape
        flat = values.astype(np.float32)
        self.rest = flat - flat.mean(dtype=np.float64).astype(np.float32)
        self.variance = float(np.mean(self.rest**2, dtype=np.float64))
        self._rings = _rings(self.shape, pixel_um)
        self.n_pairs = np.bincount(self._rings.ravel(), _n_pairs(self.shape).ravel())
        self.covariance = self._covariance()

    def _covariance(self) -> npt.NDArray[np.float64]:
        """Return the mean product of the columns of each ring; the last ring, too far, is 0."""
        spectrum = fft.rfft2(self.rest, _padded(self.shape))
        sums = fft.irfft2(spectrum * spectrum.conj(), _padded(self.shape))
        out = np.bincount(self._rings.ravel(), sums.ravel()) / np.maximum(self.n_pairs, 1)
        out[-1] = 0.0
        return out

    def row_sums(self) -> npt.NDArray[np.float32]:
        """Return, for each column, the sum of its covariances with all columns."""
        padded = _padded(self.shape)
        kernel = self.covariance.astype(np.float32)[self._rings]
        ones = fft.rfft2(np.ones(self.shape, np.float32), padded)
        whole = fft.irfft2(fft.rfft2(kernel) * ones, padded)
        found: npt.NDArray[np.float32] = whole[: self.shape[0], : self.shape[1]].astype(np.float32)
        return found


def correlate(a: SpatialMap, b: SpatialMap) -> Correlation | None:
    """Return Pearson's coefficient with Dutilleul's modified t-test; ``None`` for a constant map.

    With B the matrix that takes the mean away, the effective sample size is
    ``1 + tr(B Σa) tr(B Σb) / tr(B Σa B Σb)``, the test is Student's t with that many columns less
    two degrees of freedom, and the interval is Fisher's z with that many columns.

    Raises
    ------
    MismatchError
        The maps differ in shape or pixel size.

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
    if not a.variance or not b.variance:
        return None
    r = float(np.mean(a.rest * b.rest, dtype=np.float64)) / math.sqrt(a.variance * b.variance)
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


_METHOD = "Fisher z with {n:.0f} independent columns (Dutilleul 1993)"


def _n_effective(a: SpatialMap, b: SpatialMap) -> float:
    """Return the effective sample size, between 2 and the number of columns."""
    n = a.shape[0] * a.shape[1]
    rows_a, rows_b = a.row_sums(), b.row_sums()
    sum_a, sum_b = (float(rows.sum(dtype=np.float64)) for rows in (rows_a, rows_b))
    both = float((a.n_pairs * a.covariance * b.covariance).sum())
    both += sum_a * sum_b / n**2 - 2 * float(np.sum(rows_a * rows_b, dtype=np.float64)) / n
    alone_a = n * a.covariance[0] - sum_a / n
    alone_b = n * b.covariance[0] - sum_b / n
    if both <= 0 or alone_a <= 0 or alone_b <= 0:
        return 2.0
    return min(float(n), float(1 + alone_a * alone_b / both))


def _padded(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return a shape at which no two ends meet, and that the FFT likes."""
    return fft.next_fast_len(2 * shape[0] - 1, real=True), fft.next_fast_len(
        2 * shape[1] - 1, real=True
    )


def _lags(n: int, padded: int) -> npt.NDArray[np.int64]:
    """Return the signed lag of each place of a circular correlation; out of range stays so."""
    place = np.arange(padded)
    return np.where(place < n, place, place - padded)


def _n_pairs(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return how many pairs of columns lie each lag apart."""
    padded = _padded(shape)
    u, v = (np.maximum(n - np.abs(_lags(n, p)), 0.0) for n, p in zip(shape, padded, strict=True))
    return np.asarray(u[:, None] * v[None, :], np.float64)


def _rings(shape: tuple[int, ...], pixel_um: tuple[float, float]) -> npt.NDArray[np.intp]:
    """Return the ring of each lag; all beyond half of the shorter side are the last one."""
    padded, width = _padded(shape), max(pixel_um)
    u, v = (_lags(n, p) * size / width for n, p, size in zip(shape, padded, pixel_um, strict=True))
    ring = np.rint(np.hypot(u[:, None], v[None, :])).astype(np.intp)
    last = max(1, int(min(n * size / width for n, size in zip(shape, pixel_um, strict=True)) / 2))
    return np.asarray(np.minimum(ring, last + 1), np.intp)
