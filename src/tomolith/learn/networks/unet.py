"""The U-Net of the TransforCNN paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tomolith.learn.networks.blocks import DoubleConv, check_counts, check_input


class UNet(nn.Module):
    """U-Net: 16 channels at 128×128, doubling to 256 at 8×8, and back with skips.

    Two 3×3 convolutions with ReLU per level, max-pooling down, transposed convolutions up,
    concatenated skips.  Source: the U-Net of the TransforCNN paper (Methods), after
    Ronneberger et al., MICCAI 2015.

    The paper does not speak of normalisation; batch normalisation is our choice, since it
    trains faster and, unlike instance normalisation, does not make the labels of a volume
    depend on how it is cut into tiles.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of the first level; doubled at each level below.
    depth
        How often the image is halved; ``divisor`` is ``2**depth``.
    norm
        ``"batch"`` or ``"none"``.
    dropout
        Probability of dropping a channel in the lowest level, in training.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of ``divisor``.

    Examples
    --------
    >>> net = UNet(1, 3)
    >>> net(torch.zeros(1, 1, 64, 96)).shape, net.divisor
    (torch.Size([1, 3, 64, 96]), 16)
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: int = 16,
        depth: int = 4,
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes, channels=channels)
        if not 1 <= depth <= 8:
            raise ValueError(f"depth is {depth}; it may be 1 to 8")
        self.in_channels, self.n_classes = in_channels, n_classes
        self.divisor = 2**depth
        self.context_px = _context_px(depth)
        widths = [channels * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            DoubleConv(n_in, n_out, norm=norm, dropout=dropout if n_out == widths[-1] else 0.0)
            for n_in, n_out in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:-1])
        )
        self.merge = nn.ModuleList(
            DoubleConv(2 * width, width, norm=norm, dropout=0.0) for width in reversed(widths[:-1])
        )
        self.head = nn.Conv2d(channels, n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        skips = []
        x = image
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = merge(torch.cat([skip, up(x)], dim=1))
        return self.head(x)


def _context_px(depth: int) -> int:
    """Reach of the convolutions, and of the pooling windows, over all levels."""
    convolutions = 2 * (2 ** (depth + 1) - 1) + 2 * (2**depth - 1)
    pooling = 2**depth - 1
    return convolutions + pooling
