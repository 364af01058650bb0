"""Metrics: how well a prediction agrees with the truth.

To add one: a file with a class derived from :class:`~tomolith.measure.metrics.base.Metric`, and
one line here. It is then computed in both conventions, out of core, and tested by the contract
tests.
"""

from tomolith.config import Registry
from tomolith.measure.metrics.base import ClassCounts, Metric, MetricValues

METRICS = Registry(
    "metric",
    {
        "iou": "tomolith.measure.metrics.iou:IoU",
        "dice": "tomolith.measure.metrics.dice:Dice",
        "precision": "tomolith.measure.metrics.precision:Precision",
        "recall": "tomolith.measure.metrics.recall:Recall",
        "f1": "tomolith.measure.metrics.f1:F1",
        "pixel_accuracy": "tomolith.measure.metrics.pixel_accuracy:PixelAccuracy",
        "fw_iou": "tomolith.measure.metrics.fw_iou:FrequencyWeightedIoU",
    },
    group="tomolith.metrics",
)

__all__ = ["METRICS", "ClassCounts", "Metric", "MetricValues"]
