"""Methods without a network: baselines, free of torch."""

from tomolith.learn.classical.otsu import OtsuBaseline, OtsuThresholds

__all__ = ["OtsuBaseline", "OtsuThresholds"]
