"""What every metric gets and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Confusion matrices of one or many regions, as a metric sees them.

    Parameters
    ----------
    counts
        (..., K, K) int64: rows truth, columns prediction.
    n_missed
        (..., K) int64: pixels of each true class left without a class by the prediction.

    Examples
    --------
    >>> counts = ClassCounts.of(np.array([[3, 1, 0], [0, 4, 2], [9, 9, 9]]))
    >>> counts.n_true_positive.tolist(), counts.n_false_positive.tolist()
    ([3, 4], [0, 1])
    >>> counts.n_false_negative.tolist()
    [1, 2]
    """

    counts: Counts
    n_missed: Counts

    @classmethod
    def of(cls, joint: Counts) -> ClassCounts:
        """Split counts (..., K + 1, K + 1) whose last row and column mean *unlabelled*."""
        return cls(joint[..., :-1, :-1], joint[..., :-1, -1])

    def select(self, regions: npt.NDArray[np.bool_]) -> ClassCounts:
        """Return the regions that the mask selects."""
        return ClassCounts(self.counts[regions], self.n_missed[regions])

    @property
    def n_true_positive(self) -> Counts:
        """Pixels (..., K) whose class was found."""
        return np.diagonal(self.counts, axis1=-2, axis2=-1)

    @property
    def n_false_positive(self) -> Counts:
        """Pixels (..., K) given to the class that belong to another."""
        return np.asarray(self.counts.sum(axis=-2) - self.n_true_positive, np.int64)

    @property
    def n_false_negative(self) -> Counts:
        """Pixels (..., K) of the class that were given to another, or to none."""
        return np.asarray(self.n_truth - self.n_true_positive, np.int64)

    @property
    def n_truth(self) -> Counts:
        """Pixels (..., K) of the class in the truth."""
        return np.asarray(self.counts.sum(axis=-1) + self.n_missed, np.int64)

    @property
    def is_present(self) -> npt.NDArray[np.bool_]:
        """Whether (..., K) the class occurs in truth or prediction."""
        return (self.n_truth + self.n_false_positive) > 0


@dataclass(frozen=True, slots=True)
class MetricValues:
    """A metric per class and overall; ``None`` where it does not exist."""

    of_classes: tuple[float | None, ...]
    overall: float | None


class Metric(ABC):
    """A number between 0 and 1 computed from a confusion matrix.

    Values that do not exist are NaN here and ``None`` in results.
    """

    has_classes: bool = True
    """Whether the metric exists per class (pixel accuracy does not)."""

    @abstractmethod
    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return the metric (..., K) per class; NaN for absent classes."""

    def overall(self, counts: ClassCounts) -> Floats:
        """Return the metric (...): the mean over the classes that are present."""
        values = self.of_classes(counts)
        known = np.isfinite(values)
        return divide(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def class_ratio(numerator: Counts, denominator: Counts, counts: ClassCounts) -> Floats:
    """Divide per class: NaN for absent classes, 0 for 0/0 of present ones.

    A class that is in the truth but never predicted has precision 0/0; it counts as 0 (as in
    scikit-learn and torchmetrics), since leaving it out would reward not predicting it.
    """
    values = np.nan_to_num(divide(numerator, denominator), nan=0.0)
    return np.where(counts.is_present, values, np.nan)


def divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """Divide; NaN where the denominator is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.asarray(numerator, np.float64) / np.asarray(denominator, np.float64)
    return np.where(np.asarray(denominator) == 0, np.nan, values)


def none_if_nan(values: Floats) -> tuple[float | None, ...]:
    """Return plain floats, with ``None`` for NaN."""
    return tuple(None if np.isnan(v) else float(v) for v in values)
