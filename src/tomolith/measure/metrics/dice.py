"""Dice coefficient."""

from __future__ import annotations

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, class_ratio


class Dice(Metric):
    """Dice coefficient: 2 TP / (2 TP + FP + FN).

    Source: L. R. Dice, Ecology 26, 297 (1945).

    Examples
    --------
    >>> import numpy as np
    >>> Dice().of_classes(ClassCounts(np.array([[2, 1], [0, 1]]), np.array([0, 0]))).round(3)
    array([0.8  , 0.667])
    """

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return 2 TP / (2 TP + FP + FN) per class."""
        hit = counts.n_true_positive
        return class_ratio(2 * hit, counts.n_truth + hit + counts.n_false_positive, counts)
