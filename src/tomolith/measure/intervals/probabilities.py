"""Expected class volumes from stored probabilities, with errors that hang together in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from tomolith.core import Box, Grid
from tomolith.measure.intervals.combination import Combination
from tomolith.measure.intervals.combine import Estimate
from tomolith.measure.intervals.error_line import ErrorLine
from tomolith.measure.intervals.held_out_units import Floats, Sums, Units
from tomolith.measure.reliability import ClassShares

Counts = npt.NDArray[np.int64]
Deviations = npt.NDArray[np.int32]
FULL = 255
SIDE_VOX = 64  # of the boxes read; whole blocks and whole lags fit into it
_MOST_BOXES = 256  # in which the correlation is looked for, spread evenly over the scan
BLOCK_SIDES = (1, 2, 4, 8, 16, 32, 64)
_DEVIATION = np.rint(  # of one voxel, sqrt(p (1 - p)), 255 for 1
    FULL * np.sqrt(np.arange(FULL + 1) / FULL * (1 - np.arange(FULL + 1) / FULL))
).astype(np.int32)


@dataclass(frozen=True, slots=True)
class ExpectedVoxels:
    """What the probabilities of a scan add up to, per class.

    Parameters
    ----------
    expected, doubt
        (K,): sums of p and of p (1 - p), in voxels.
    block_sides
        Sides of the cubes over which deviations were added, in voxels.
    block_variance
        (n_sides, K): sum over the cubes of the squared sum of deviations sqrt(p (1 - p)).
    correlation_vox
        (K,): side of the cubes within which voxels hang together.
    """

    expected: Floats
    doubt: Floats
    block_sides: tuple[int, ...]
    block_variance: Floats
    correlation_vox: Floats

    @property
    def variance(self) -> Floats:
        """Variance (K,) of the number of voxels: cubes as large as the correlation are one draw.

        Between two sides of cubes it is interpolated, in the logarithm.
        """
        sides = np.log(self.block_sides)
        found = [
            np.interp(np.log(max(length, 1.0)), sides, np.log(column + 1e-30))
            for length, column in zip(self.correlation_vox, self.block_variance.T, strict=True)
        ]
        variance: Floats = np.exp(np.array(found))
        return variance


def expected_voxels(shares: ClassShares, grid: Grid) -> ExpectedVoxels:
    """Add up stored probabilities, out of core, in integers: the order changes no digit.

    Voxels of one doubtful place are wrong together. Deviations sqrt(p (1 - p)) are therefore added
    first within cubes, as if each cube were right or wrong as a whole, and squared then; cubes are
    independent of each other. How large the cubes must be is told by the deviations themselves: by
    their integral range, the area below their autocorrelation along the axes. Of large scans both
    are drawn from 256 boxes of 64³ voxels, spread evenly.

    Parameters
    ----------
    shares
        (K, z, y, x), 0 to 255.
    grid
        Of the scan.

    Notes
    -----
    Source: variance of block sums under correlation, Lahiri, Resampling Methods for Dependent Data
    (2003), section 2.5; integral range: Lantuéjoul, Geostatistical Simulation (2002), chapter 4.
    Memory: the probabilities of 64³ voxels.

    Examples
    --------
    >>> shares = np.full((2, 4, 4, 4), 128, np.uint8)
    >>> found = expected_voxels(shares, Grid((4, 4, 4), None))
    >>> found.expected.round(1).tolist(), found.doubt.round(1).tolist()
    ([32.1, 32.1], [16.0, 16.0])
    """
    k = shares.shape[0]
    bins: Counts = np.zeros((k, FULL + 1), np.int64)
    sampled: Counts = np.zeros((k, FULL + 1), np.int64)
    blocks: Counts = np.zeros((len(BLOCK_SIDES), k), np.int64)
    lags: Counts = np.zeros((len(BLOCK_SIDES) + 1, 5, k), np.int64)
    boxes = _boxes(grid)
    every = -(-len(boxes) // _MOST_BOXES)
    for i, box in enumerate(boxes):
        for c in range(k):
            p = np.asarray(shares[(slice(c, c + 1), *box.slices)])[0]
            here = np.bincount(p.ravel(), minlength=FULL + 1)
            bins[c] += here
            if i % every == 0 and here[1:FULL].any():
                sampled[c] += here
                blocks[:, c] += [_block_squares(_DEVIATION[p], side) for side in BLOCK_SIDES]
                lags[:, :, c] += [_lag_sums(_DEVIATION[p], lag) for lag in (0, *BLOCK_SIDES)]
    values = np.arange(FULL + 1)
    spread = values * (FULL - values)
    doubt = bins @ spread / FULL**2
    seen = sampled @ spread / FULL**2
    # what the sample shows of cubes holds for the rest in proportion to its doubt; of a class that
    # it does not show, each cube is right or wrong as a whole
    cubes = np.array(BLOCK_SIDES, np.float64)[:, None] ** 3
    known = blocks / FULL**2 / np.maximum(seen, 1e-9)
    ranges = np.array([_integral_range(lags[:, :, c]) for c in range(k)])
    return ExpectedVoxels(
        bins @ values / FULL,
        doubt,
        BLOCK_SIDES,
        np.where(seen > 0, known, cubes) * doubt,
        np.where(seen > 0, ranges, BLOCK_SIDES[-1]),
    )


def _boxes(grid: Grid) -> list[Box]:
    depth = 1 if grid.sections else SIDE_VOX
    return list(grid.box.tiles((depth, SIDE_VOX, SIDE_VOX)))


def _block_squares(deviation: Deviations, side: int) -> int:
    """Return the sum over cubes of the squared sum of deviations; the last cubes may be cut."""
    for axis in range(3):
        starts = np.arange(0, deviation.shape[axis], side)
        deviation = np.add.reduceat(deviation, starts, axis=axis)
    return int((deviation.astype(np.int64) ** 2).sum())


def _lag_sums(deviation: Deviations, lag: int) -> list[int]:
    """Return sums of xy, x², y², x + y, and pairs, of voxels ``lag`` apart along any axis."""
    total = [0, 0, 0, 0, 0]
    for axis in range(3):
        across = np.moveaxis(deviation, axis, 0)
        if len(across) <= lag:
            continue
        x, y = across[: len(across) - lag], across[lag:]
        products = (x * y, x * x, y * y, x + y)
        here = [int(product.sum(dtype=np.int64)) for product in products]
        total = [a + b for a, b in zip(total, [*here, x.size], strict=True)]
    return total


def _integral_range(lags: Counts) -> float:
    """Return twice the area below the autocorrelation up to its first zero, in voxels."""
    area = at_before = 0.0
    before = 1.0
    for lag, (xy, xx, yy, total, n) in zip((0, *BLOCK_SIDES), lags.tolist(), strict=True):
        if n == 0:
            break
        mean = float(total) / (2 * n)
        variance = float(xx + yy) / (2 * n) - mean * mean
        if variance <= 0:  # the same everywhere, or nowhere
            return float(BLOCK_SIDES[-1]) if total else 1.0
        here = float(xy / n - mean * mean) / variance
        step = lag - at_before
        if here <= 0:
            area += step * before * before / (before - here) / 2
            break
        area += step * (before + here) / 2
        before, at_before = here, float(lag)
    return float(max(2 * area, 1.0))


class Probabilities:
    """Sums of the expected voxels of classes.

    Alone, the probabilities are taken at their word. Where held-out slices have them too, they are
    held to it. Slices of the scan itself: the difference of true and expected voxels of each place,
    over the square root of its doubt, gives by its mean how much is to be added. Other scans: the
    differences give a line over the volume expected, by which the scan is corrected and its
    interval found, see :class:`~tomolith.measure.intervals.error_line.ErrorLine`.

    Parameters
    ----------
    found
        The sums over the scan that is measured.
    units
        Held-out slices; ``None`` where there are none.
    n_draws, seed
        Of the bootstrap over units, and slices within them.

    Examples
    --------
    >>> from tomolith.measure.intervals.combination import Strata
    >>> shares = np.full((2, 8, 8, 8), 128, np.uint8)
    >>> found = expected_voxels(shares, Grid((8, 8, 8), None))
    >>> first = Strata(("a", "b"), found.expected).combine({"a": 1.0})
    >>> round(Probabilities(found).of(first).centre)
    257
    """

    def __init__(
        self,
        found: ExpectedVoxels,
        units: Units | None = None,
        *,
        n_draws: int = 400,
        seed: int = 0,
    ) -> None:
        self._found = found
        self._units = units if units is not None and units.has_probabilities else None
        if self._units is None:
            return
        if not self._units.is_own:
            return
        n_voxels = float(found.expected.sum())

        def mean_error(drawn: Sums) -> Floats:
            total: Floats = _scaled_errors(drawn, n_voxels).mean(axis=-2)
            return total

        self._mean = mean_error(self._units.sums)
        self._axes = self._units.bootstrap(mean_error, n_draws, seed=seed)

    @property
    def words(self) -> str:
        """What it means."""
        if self._units is None:
            return "probabilities at their word, voxels within a correlation length wrong together"
        return f"probabilities held to {self._units.words}"

    @property
    def is_whole(self) -> bool:
        """Whether they were held to labels that show all that may differ."""
        return self._units is not None and self._units.is_whole

    def of(self, combination: Combination) -> Estimate:
        """Return the expected sum."""
        w, units = combination.by_class, self._units
        centre = float(w @ self._found.expected)
        if units is None:
            return Estimate(centre, self._at_their_word(w), np.zeros(0))
        # of the electrode's doubtful voxels it is not known which are wrong on which side
        side = float(combination.side_doubt.max(axis=1) @ self._found.doubt) / 2
        if units.is_own:  # no other scan is judged by these
            scaled = w * np.sqrt(self._found.doubt)
            half = np.linalg.norm([*units.t * (self._axes @ scaled), side])
            return Estimate(centre + float(self._mean @ scaled), float(half), np.zeros(0))
        line = self._line(w, units)
        found = line.carried_to(centre, float(w**2 @ self._found.doubt), estimated=centre)
        return Estimate(found.centre, float(np.hypot(found.own, side)), found.shared)

    def _line(self, w: Floats, units: Units) -> ErrorLine:
        """Return by how much each scan differs from what is expected, were all like its slices."""
        n_voxels, one_voxel = float(self._found.expected.sum()), float(np.abs(w).max())
        sums = units.sums
        truth = sums.counts.sum(axis=-1)
        scale = n_voxels / truth.sum(axis=-1)
        return ErrorLine(
            sums.expected @ w * scale,
            (truth - sums.expected) @ w * scale,
            sums.doubt @ w**2 * scale + (one_voxel**2 or 1.0),
            largest=one_voxel * n_voxels,
            has_slope=units.is_whole,
        )

    def _at_their_word(self, w: Floats) -> float:
        """Return a half width that is never too narrow, however the classes' errors hang together.

        All voxels together are known, so a worth that all classes have in common counts nothing.
        """
        half = stats.norm.ppf(0.975) * np.sqrt(self._found.variance)
        return float(min(np.abs(w - common) @ half for common in {0.0, *w.tolist()}))


def _scaled_errors(sums: Sums, n_voxels: float) -> Floats:
    """Return true less expected voxels over the root of the doubt, as if a unit were a scan."""
    truth = sums.counts.sum(axis=-1)
    scale = n_voxels / truth.sum(axis=-1, keepdims=True)
    found: Floats = (truth - sums.expected) * scale / np.sqrt(sums.doubt * scale + 1)
    return found
