"""Methods without a network: baselines, free of torch."""

from tomolith.learn.classical.forest import Forest, ForestSettings, fit_forest
from tomolith.learn.classical.otsu import OtsuBaseline, OtsuThresholds, TrainingSlices

__all__ = [
    "Forest",
    "ForestSettings",
    "OtsuBaseline",
    "OtsuThresholds",
    "TrainingSlices",
    "fit_forest",
]
