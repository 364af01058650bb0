"""Stages of convolutions as in VGG-16, which FCN and SegNet are built on."""

from __future__ import annotations

from torch import nn

from tomolith.learn.networks.blocks import make_norm

VGG_CHANNELS = (64, 128, 256, 512, 512)
VGG_CONVOLUTIONS = (2, 2, 3, 3, 3)


def stage(n_in: int, n_out: int, n_convolutions: int, *, norm: str) -> nn.Sequential:
    """Return ``n_convolutions`` 3×3 convolutions, each with normalisation and ReLU.

    Examples
    --------
    >>> import torch
    >>> stage(1, 4, 2, norm="batch")(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """
    layers: list[nn.Module] = []
    for source in (n_in, *[n_out] * (n_convolutions - 1)):
        layers.append(nn.Conv2d(source, n_out, 3, padding=1, bias=norm == "none"))
        layers += [make_norm(norm, n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def check_stages(channels: tuple[int, ...]) -> None:
    """Raise ``ValueError`` unless there are five stages with one channel or more each."""
    if len(channels) != len(VGG_CHANNELS) or min(channels) < 1:
        raise ValueError(f"channels is {list(channels)}; it holds five numbers, 1 or more each")
