"""Precision."""

from __future__ import annotations

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, class_ratio


class Precision(Metric):
    """Precision: of the pixels given to a class, the part that belongs to it, TP / (TP + FP).

    A class of the truth that was never predicted has precision 0.

    Examples
    --------
    >>> import numpy as np
    >>> Precision().of_classes(ClassCounts(np.array([[2, 1], [0, 1]]), np.array([0, 0])))
    array([1. , 0.5])
    """

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return TP / (TP + FP) per class."""
        hit = counts.n_true_positive
        return class_ratio(hit, hit + counts.n_false_positive, counts)
