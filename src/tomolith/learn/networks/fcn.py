"""FCN-8s, the first fully convolutional network for segmentation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_counts, check_input, make_norm
from tomolith.learn.networks.vgg import VGG_CHANNELS, VGG_CONVOLUTIONS, check_stages, stage


class FCN(nn.Module):
    """FCN-8s: VGG-16 without its classifier, and scores of three scales added.

    Thirteen 3×3 convolutions in five stages, each with max-pooling; a 7×7 and a 1×1 convolution of
    4096 channels with dropout; scores from strides 32, 16 and 8, added by transposed
    convolutions that start as bilinear interpolation. Source: Long, Shelhamer and Darrell, CVPR
    2015; a baseline of MatPhase.

    The original starts from weights of ImageNet and pads the image by 100 pixels. Here weights
    start from random numbers, which is why batch normalisation is added, and every convolution
    keeps the size.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of the five stages.
    head_channels
        Channels of the two convolutions that stand for VGG's dense layers; 4096, as published, is
        nine tenths of all weights.
    norm
        ``"batch"`` or ``"none"``.
    dropout
        Probability behind these two, in training.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> net = FCN(1, 3, channels=(4, 4, 8, 8, 8), head_channels=16)
    >>> net(torch.zeros(1, 1, 64, 96)).shape, net.divisor
    (torch.Size([1, 3, 64, 96]), 32)
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: Sequence[int] = VGG_CHANNELS,
        head_channels: int = 4096,
        norm: str = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes, head_channels=head_channels)
        widths = tuple(channels)
        check_stages(widths)
        self.in_channels, self.n_classes = in_channels, n_classes
        self.divisor, self.context_px = 32, _REACH_PX
        sources = (in_channels, *widths[:-1])
        self.stages = nn.ModuleList(
            stage(n_in, n_out, n, norm=norm)
            for n_in, n_out, n in zip(sources, widths, VGG_CONVOLUTIONS, strict=True)
        )
        layers: list[nn.Module] = []
        for n_in, side in ((widths[-1], 7), (head_channels, 1)):
            layers.append(nn.Conv2d(n_in, head_channels, side, padding=side // 2))
            layers += [make_norm(norm, head_channels), nn.ReLU(inplace=True), nn.Dropout2d(dropout)]
        self.head = nn.Sequential(*layers, nn.Conv2d(head_channels, n_classes, 1))
        self.scores = nn.ModuleList(nn.Conv2d(width, n_classes, 1) for width in widths[2:4])
        self.up = nn.ModuleList(_bilinear(n_classes, factor) for factor in (2, 2, 8))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        x, pooled = image, []
        for block in self.stages:
            x = nn.functional.max_pool2d(block(x), 2)
            pooled.append(x)
        x = self.up[0](self.head(x)) + self.scores[1](pooled[3])
        x = self.up[1](x) + self.scores[0](pooled[2])
        logits: Tensor = self.up[2](x)
        return logits


# convolutions and pooling of each stage, the 7×7 at stride 32, and the transposed convolutions
_REACH_PX = sum(n * 2**k + 2**k for k, n in enumerate(VGG_CONVOLUTIONS)) + 3 * 32 + 32 + 16 + 8


def _bilinear(n_channels: int, factor: int) -> nn.ConvTranspose2d:
    """Return a transposed convolution that starts as bilinear interpolation by ``factor``."""
    layer = nn.ConvTranspose2d(
        n_channels, n_channels, 2 * factor, stride=factor, padding=factor // 2, bias=False
    )
    at = (torch.arange(2 * factor) + 0.5) / factor
    ramp = 1 - (at - 1).abs()
    with torch.no_grad():
        layer.weight.zero_()
        for k in range(n_channels):
            layer.weight[k, k] = torch.outer(ramp, ramp)
    return layer
