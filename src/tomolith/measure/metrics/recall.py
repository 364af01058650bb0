"""Recall."""

from __future__ import annotations

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, class_ratio


class Recall(Metric):
    """Recall: of the pixels of a class, the part that was found, TP / (TP + FN).

    A class that was predicted and does not occur in the truth has recall 0.

    Examples
    --------
    >>> import numpy as np
    >>> Recall().of_classes(ClassCounts(np.array([[3, 1], [0, 1]]), np.array([0, 0])))
    array([0.75, 1.  ])
    """

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return TP / (TP + FN) per class."""
        return class_ratio(counts.n_true_positive, counts.n_truth, counts)
