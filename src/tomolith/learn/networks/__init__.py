"""Segmentation networks, chosen by name.

A network is an ``nn.Module`` built as ``Net(in_channels, n_classes, *, options)``.  It maps
images (B, in_channels, H, W) to logits (B, n_classes, H, W) and states two facts:

``divisor``
    Both sides of its input must be multiples of it (``InputError`` otherwise).
``context_px``
    How far from a pixel the input can still change that pixel's logits.
"""

from __future__ import annotations

from tomolith.config import Registry

NETWORKS = Registry(
    "network",
    {
        "unet": "tomolith.learn.networks.unet:UNet",
        "transforcnn": "tomolith.learn.networks.transforcnn:TransforCNN",
        "ensemble": "tomolith.learn.networks.ensemble:Ensemble",
    },
    group="tomolith.networks",
)

__all__ = ["NETWORKS"]
