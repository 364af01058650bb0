"""Intersection over union."""

from __future__ import annotations

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, class_ratio


class IoU(Metric):
    """Intersection over union (Jaccard index): TP / (TP + FP + FN).

    Source: P. Jaccard, New Phytologist 11, 37 (1912).

    Examples
    --------
    >>> import numpy as np
    >>> IoU().of_classes(ClassCounts(np.array([[2, 1], [0, 1]]), np.array([0, 0]))).round(3)
    array([0.667, 0.5  ])
    """

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return TP / (TP + FP + FN) per class."""
        hit = counts.n_true_positive
        return class_ratio(hit, counts.n_truth + counts.n_false_positive, counts)
