"""F1 score."""

from __future__ import annotations

import numpy as np

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, divide
from tomolith.measure.metrics.precision import Precision
from tomolith.measure.metrics.recall import Recall


class F1(Metric):
    """F1 score: the harmonic mean of precision and recall, 2 P R / (P + R).

    Per class and pooled it equals the Dice coefficient; it is listed because papers name either.

    Source: C. J. van Rijsbergen, Information Retrieval (1979), chapter 7.

    Examples
    --------
    >>> import numpy as np
    >>> F1().of_classes(ClassCounts(np.array([[2, 1], [0, 1]]), np.array([0, 0]))).round(3)
    array([0.8  , 0.667])
    """

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return 2 P R / (P + R) per class; 0 where both are 0."""
        precision, recall = Precision().of_classes(counts), Recall().of_classes(counts)
        values = np.nan_to_num(divide(2 * precision * recall, precision + recall), nan=0.0)
        return np.where(counts.is_present, values, np.nan)
