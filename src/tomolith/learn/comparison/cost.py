"""How large a network is, and how much it computes."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tomolith.learn.optimise import has_depth


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained numbers of a network.

    Examples
    --------
    >>> count_parameters(nn.Conv2d(1, 2, 3))
    20
    """
    return sum(p.numel() for p in network.parameters())


def count_flops(network: nn.Module, patch_px: int, *, in_channels: int = 1) -> int:
    """Return the operations for one patch (1, in_channels, patch_px, patch_px), or a cube.

    Convolutions, matrix products and attention count, a multiplication and an addition as two;
    nothing is computed, only shapes are followed.

    Source: ``torch.utils.flop_counter``. It does not know the fused attention of the CPU, so
    attention is taken apart into its matrix products.

    Examples
    --------
    >>> count_flops(nn.Conv2d(1, 2, 3, padding=1), 8) == 8 * 8 * 2 * 9 * 2
    True
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        sides = (patch_px,) * (3 if has_depth(network) else 2)
        shadow(torch.zeros(1, in_channels, *sides, device="meta"))
    return int(counter.get_total_flops())
