"""Losses, chosen by name.

A loss is a :class:`~tomolith.learn.losses.base.Loss`, called with logits (B, C, H, W) and targets
(B, H, W) of channel numbers; targets of -1 are *unlabelled* and never count.  A batch without any
labelled pixel gives 0, with a gradient of 0.
"""

from __future__ import annotations

from tomolith.config import Registry

LOSSES = Registry(
    "loss",
    {
        "cross_entropy": "tomolith.learn.losses.cross_entropy:CrossEntropy",
        "weighted_cross_entropy": "tomolith.learn.losses.cross_entropy:WeightedCrossEntropy",
        "balanced_cross_entropy": "tomolith.learn.losses.cross_entropy:BalancedCrossEntropy",
        "binary_cross_entropy": ("tomolith.learn.losses.binary_cross_entropy:BinaryCrossEntropy"),
        "dice": "tomolith.learn.losses.dice:Dice",
        "tversky": "tomolith.learn.losses.tversky:Tversky",
        "focal_tversky": "tomolith.learn.losses.tversky:FocalTversky",
    },
    group="tomolith.losses",
)

__all__ = ["LOSSES"]
