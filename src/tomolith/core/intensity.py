"""Intensity statistics of a scan, and the normalisation drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tomolith.errors import InputError

PERCENTS = (0.1, 0.5, 1.0, 2.0, 5.0, 25.0, 50.0, 75.0, 95.0, 98.0, 99.0, 99.5, 99.9)


@dataclass(frozen=True, slots=True)
class IntensityStats:
    """Statistics of a strided sample of one scan, or of one section of it.

    Parameters
    ----------
    percentiles
        Grey values at :data:`PERCENTS`.
    mean, std
        Of the finite sampled values.
    n_sampled
        Number of finite values in the sample.
    """

    percentiles: tuple[float, ...]
    mean: float
    std: float
    n_sampled: int

    @classmethod
    def of_sample(cls, sample: npt.NDArray[Any]) -> IntensityStats:
        """Return the statistics of ``sample``; not-finite values are left out.

        Raises
        ------
        InputError
            No finite value, or all values the same.

        Examples
        --------
        >>> IntensityStats.of_sample(np.arange(101, dtype=np.uint8)).percentile(50)
        50.0
        """
        values = np.asarray(sample, dtype=np.float64).ravel()
        values = values[np.isfinite(values)]
        if values.size == 0 or values.min() == values.max():
            raise InputError(
                "the image is empty: all sampled grey values are "
                + ("not finite" if values.size == 0 else f"{values[0]:g}"),
                expected="an image with contrast",
            )
        percentiles = np.percentile(values, PERCENTS, method="linear")
        return cls(
            tuple(float(p) for p in percentiles),
            float(values.mean()),
            float(values.std()),
            int(values.size),
        )

    def percentile(self, percent: float) -> float:
        """Return the grey value at ``percent`` (between stored ones: interpolated)."""
        return float(np.interp(percent, PERCENTS, self.percentiles))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "percentiles": list(self.percentiles)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> IntensityStats:
        """Read what :meth:`to_dict` wrote."""
        return cls(**{**values, "percentiles": tuple(values["percentiles"])})


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How grey values become network input: always per scan, never per tile.

    Parameters
    ----------
    method
        ``"percentile"`` maps ``low_percent``..``high_percent`` to -1..1 without
        clipping; ``"zscore"`` subtracts the mean and divides by the deviation.

    Examples
    --------
    >>> stats = IntensityStats.of_sample(np.arange(101, dtype=np.uint8))
    >>> Normalisation().apply(np.array([[[50]]], np.uint8), (stats,))
    array([[[0.]]], dtype=float32)
    """

    method: Literal["percentile", "zscore"] = "percentile"
    low_percent: float = 1.0
    high_percent: float = 99.0

    def offset_scale(self, stats: IntensityStats) -> tuple[float, float]:
        """Return ``(offset, scale)`` such that input = (grey - offset) * scale."""
        if self.method == "zscore":
            return stats.mean, 1.0 / stats.std if stats.std > 0 else 1.0
        low, high = stats.percentile(self.low_percent), stats.percentile(self.high_percent)
        if high <= low:  # most of the sample has one value: fall back on its extremes
            low, high = stats.percentiles[0], stats.percentiles[-1]
        if high <= low:
            return stats.mean, 1.0 / stats.std if stats.std > 0 else 1.0
        return (low + high) / 2, 2.0 / (high - low)

    def apply(
        self, block: npt.NDArray[Any], stats: Sequence[IntensityStats], *, z_start: int = 0
    ) -> npt.NDArray[np.float32]:
        """Return ``block`` (z, y, x) as float32 network input.

        Parameters
        ----------
        block
            Grey values of any numeric type.
        stats
            One entry for the whole scan, or one per section.
        z_start
            Index in the scan of the block's first section.
        """
        out = np.empty(block.shape, np.float32)
        for k in range(block.shape[0]):
            offset, scale = self.offset_scale(stats[0 if len(stats) == 1 else z_start + k])
            # float32 holds every 16-bit grey value exactly, so all element types give one input
            np.subtract(block[k], np.float32(offset), out=out[k], dtype=np.float32)
            out[k] *= np.float32(scale)
        return out
