"""Whether probabilities keep their word: of what is 80 % sure, 80 % should be right.

Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equations 1 to 3:
pixels are sorted into bins by their confidence, the probability of the class they were given; the
expected calibration error is the mean gap between confidence and accuracy, weighted by pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tomolith.errors import MismatchError

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

N_BINS = 15


class ClassShares(Protocol):
    """Stored probabilities, axes (class, z, y, x), 0 to 255; read lazily."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis."""

    def __getitem__(self, index: Any, /) -> Any:
        """Read a part."""


class Reliability:
    """Confidence against correctness: update, merge, record.

    Confidences are bytes, so the counts of each of the 256 values hold all there is to know, and
    sums are exact whatever the blocks were.

    Examples
    --------
    >>> found = Reliability()
    >>> found.update(np.array([255, 255, 204, 204], np.uint8), np.array([1, 1, 1, 0], bool))
    >>> record = found.record("unet", "test")
    >>> record.n_pixels[-1], round(record.error or 0, 3)  # half of it is off by 0.3
    (2, 0.15)
    """

    def __init__(self) -> None:
        self._counts: Counts = np.zeros((2, 256), np.int64)

    def update(self, confidence: Bytes, right: npt.NDArray[np.bool_]) -> None:
        """Add pixels: 255 times the probability of their class, and whether it is the true one."""
        code = right.astype(np.int64) * 256 + confidence
        self._counts += np.bincount(code.ravel(), minlength=512).reshape(2, 256)

    def update_block(self, shares: Bytes, truth: Bytes, prediction: Bytes) -> None:
        """Add a block, given as class numbers; unlabelled pixels of either are left out.

        Parameters
        ----------
        shares
            (K, z, y, x), 0 to 255.
        truth, prediction
            (z, y, x), class numbers 0..K-1, or K for unlabelled.

        Raises
        ------
        MismatchError
            The shapes do not fit.
        """
        if shares.shape[1:] != truth.shape or truth.shape != prediction.shape:
            raise MismatchError(
                f"probabilities have shape {shares.shape}", expected=f"(classes, *{truth.shape})"
            )
        known = (truth < len(shares)) & (prediction < len(shares))
        confidence = shares.max(axis=0)
        self.update(confidence[known], (truth == prediction)[known])

    def merge(self, other: Reliability) -> None:
        """Add the pixels of ``other``."""
        self._counts += other._counts

    def record(self, system: str, subset: str, *, n_bins: int = N_BINS) -> ReliabilityRecord:
        """Return the counts in ``n_bins`` bins of equal width."""
        values = np.arange(256)
        bins = np.minimum(values * n_bins // 255, n_bins - 1)
        wrong, right = self._counts
        n = wrong + right

        def binned(weights: Counts) -> tuple[int, ...]:
            sums = np.zeros(n_bins, np.int64)
            np.add.at(sums, bins, weights)
            return tuple(int(v) for v in sums)

        return ReliabilityRecord(system, subset, binned(n), binned(right), binned(n * values))


@dataclass(frozen=True, slots=True)
class ReliabilityRecord:
    """The finished reliability of one system on one subset, as stored.

    Parameters
    ----------
    system, subset
        What was scored, on which subset.
    n_pixels, n_right
        Per bin of confidence: pixels, and those whose class is the true one.
    confidence_sum
        Per bin: the sum of the confidences, 255 for each pixel that is wholly sure.
    """

    system: str
    subset: str
    n_pixels: tuple[int, ...]
    n_right: tuple[int, ...]
    confidence_sum: tuple[int, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReliabilityRecord:
        """Return what was kept as JSON; ``KeyError``, ``TypeError`` or ``ValueError`` if damaged.

        Examples
        --------
        >>> from dataclasses import asdict
        >>> record = ReliabilityRecord("unet", "test", (0, 2), (0, 1), (0, 400))
        >>> ReliabilityRecord.from_dict(asdict(record)) == record
        True
        """
        names = ("n_pixels", "n_right", "confidence_sum")
        n_pixels, n_right, confidence_sum = (tuple(int(n) for n in values[k]) for k in names)
        return cls(str(values["system"]), str(values["subset"]), n_pixels, n_right, confidence_sum)

    def plus(self, other: ReliabilityRecord) -> ReliabilityRecord:
        """Return the counts of both together, under the name of this one.

        Examples
        --------
        >>> one = ReliabilityRecord("unet", "test", (0, 2), (0, 1), (0, 400))
        >>> one.plus(one).n_pixels
        (0, 4)
        """

        def sums(name: str) -> tuple[int, ...]:
            pairs = zip(getattr(self, name), getattr(other, name), strict=True)
            return tuple(a + b for a, b in pairs)

        return replace(
            self,
            n_pixels=sums("n_pixels"),
            n_right=sums("n_right"),
            confidence_sum=sums("confidence_sum"),
        )

    @property
    def error(self) -> float | None:
        """The expected calibration error, 0 to 1; ``None`` without pixels."""
        total = sum(self.n_pixels)
        if not total:
            return None
        gaps = (
            abs(right - confident / 255)
            for right, confident in zip(self.n_right, self.confidence_sum, strict=True)
        )
        return float(sum(gaps) / total)
