"""Frequency-weighted intersection over union."""

from __future__ import annotations

import numpy as np

from tomolith.measure.metrics.base import ClassCounts, Floats, Metric, divide
from tomolith.measure.metrics.iou import IoU


class FrequencyWeightedIoU(Metric):
    """Frequency-weighted IoU: the IoU of each class weighted by its share of the truth.

    Has no value per class.

    Source: J. Long, E. Shelhamer, T. Darrell, CVPR (2015), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> counts = ClassCounts(np.array([[2, 1], [0, 1]]), np.array([0, 0]))
    >>> float(FrequencyWeightedIoU().overall(counts))  # (3 * 2/3 + 1 * 1/2) / 4
    0.625
    """

    has_classes = False

    def of_classes(self, counts: ClassCounts) -> Floats:
        """Return NaN: the metric has no value per class."""
        return np.full(counts.n_truth.shape, np.nan)

    def overall(self, counts: ClassCounts) -> Floats:
        """Return the weighted mean."""
        iou = np.nan_to_num(IoU().of_classes(counts), nan=0.0)
        return divide((iou * counts.n_truth).sum(axis=-1), counts.n_truth.sum(axis=-1))
