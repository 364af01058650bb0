"""Pixel accuracy."""

from __future__ import annotations

import numpy as np

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, divide


class PixelAccuracy(Metric):
    """Pixel accuracy: the part of all labelled pixels that got their class.

    Has no value per class. Flatters where one class fills the image.

    Examples
    --------
    >>> import numpy as np
    >>> float(PixelAccuracy().overall(ClassCounts(np.array([[2, 1], [0, 1]]), np.array([0, 0]))))
    0.75
    """

    has_classes = False

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return NaN: the metric has no value per class."""
        return np.full(counts.n_truth.shape, np.nan)

    def overall(self, counts: ClassCounts) -> Floats:
        """Return the sum of TP over the number of labelled pixels."""
        return divide(counts.n_true_positive.sum(axis=-1), counts.n_truth.sum(axis=-1))
