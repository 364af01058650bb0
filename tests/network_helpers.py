"""Networks to test with: those that are large by default are built small."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tomolith.config import Component
from tomolith.errors import MissingExtraError
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import has_depth

TINY = "tu-test_resnet"  # an encoder that timm has for its own tests
VGG = [4, 4, 8, 8, 8]
DECODER = [16, 16, 8, 8, 8]
SMALL = {
    "deeplabv3": {"encoder": TINY, "channels": 16},
    "dynunet": {"channels": [4, 8, 8, 8, 8, 8]},
    "fcn": {"channels": VGG, "head_channels": 16},
    "manet": {"encoder": TINY, "channels": DECODER},
    "residual_unet": {"channels": [4, 8, 8, 8, 8, 8, 8]},
    "residual_unet_3d": {"channels": [2, 4, 4, 4, 4, 4, 4]},
    "segformer": {"channels": 16},
    "segnet": {"channels": VGG},
    "segresnet": {"channels": 4},
    "segresnet_ds": {"channels": 4},
    "swin_unetr": {"features": 12},
    "unet_plus_plus": {"encoder": TINY, "channels": DECODER},
    "upernet": {"encoder": TINY, "channels": 16},
}


def shaped(net: nn.Module, *shape: int) -> tuple[int, ...]:
    """Return a shape (B, C, H, W) for ``net``: for a 3-D one with the least depth."""
    return (*shape[:2], net.divisor, *shape[2:]) if has_depth(net) else shape


def component(name: str) -> Component:
    """Return the network ``name`` with options that make it small."""
    return Component(name=name, options=SMALL.get(name, {}))


def build(
    what: str | Component, in_channels: int = 1, n_classes: int = 3, *, seed: int = 0
) -> nn.Module:
    """Build a network in evaluation mode; skip the test where its library is missing."""
    torch.manual_seed(seed)
    chosen = component(what) if isinstance(what, str) else what
    try:
        return NETWORKS.build(chosen, in_channels, n_classes).eval()
    except MissingExtraError as error:
        pytest.skip(str(error).replace("\n", ";"))
