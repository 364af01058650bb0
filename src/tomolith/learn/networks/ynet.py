"""The Y-Net of the TransforCNN paper."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_counts, check_input, make_norm

SIZE_PX, N_HALVINGS, DILATED_CHANNELS = 128, 4, 16  # 128 × 128 comes down to 8 × 8


class YNet(nn.Module):
    """Y-Net: a regular and a dilated branch with pyramid pooling, and one decoder for both.

    The regular convolution module starts with 24 channels of 3×3 kernels and doubles them,
    convolution and max-pooling in turn, down to 8×8 (for a 128×128 input). The dilated
    convolution module has 16 channels of 3×3 kernels throughout and comes down to 8×8 by
    convolutions of stride 2. The pyramid pooling module pools its result at several scales;
    its layers are concatenated with the dilated module's. Both branches are joined and decoded.
    Source: the Y-Net of the TransforCNN paper (Methods), after Mehta et al., MICCAI 2018
    (arXiv:1806.01313), and Quenum et al., 2021 (arXiv:2102.06868); pyramid pooling after
    Zhao et al., CVPR 2017.

    Where the papers are silent we chose, and kept settable where it matters:

    - *dilated*: one dilated convolution before each of stride 2, all of the same ``dilation``;
      dilation and stride in one convolution would skip pixels.
    - *pyramid*: average pooling to ``bins`` × ``bins`` cells, a 1×1 convolution to 16 channels,
      ReLU, and bilinear interpolation back. No normalisation there: of one cell and one image
      there is nothing to normalise by.
    - *joint decoder*: a convolution over both branches; then at each stage a transposed
      convolution that halves the channels, and a convolution over its result and the regular
      module's maps of the same size (``skips``), as in a U-Net.
    - batch normalisation and ReLU after each convolution.

    The pyramid pools over the whole input, so ``context_px`` is the side of the input the
    network was drawn for (128), as for TransforCNN: predict with the patch size it was trained
    on, which ``predict`` does unless told otherwise.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of the regular module at full size; doubled at each level below.
    dilation
        Of the dilated module.
    bins
        Cells along each side, one number per pyramid layer.
    norm
        ``"batch"`` or ``"none"``.
    dropout
        Probability of dropping a channel where both branches meet, in training.
    skips
        Whether the regular module's maps are concatenated on the way up.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of 16.

    Examples
    --------
    >>> net = YNet(1, 3)
    >>> net(torch.zeros(1, 1, 64, 96)).shape, net.divisor
    (torch.Size([1, 3, 64, 96]), 16)
    """

    divisor = 2**N_HALVINGS
    context_px = SIZE_PX

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: int = 24,
        dilation: int = 2,
        bins: Sequence[int] = (1, 2, 4),
        norm: str = "batch",
        dropout: float = 0.0,
        skips: bool = True,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes)
        if min(channels, dilation, *bins) < 1:
            raise ValueError(
                f"channels is {channels}, dilation {dilation} and bins {list(bins)}; "
                "all must be at least 1"
            )
        self.in_channels, self.n_classes, self.skips = in_channels, n_classes, skips
        widths = [channels * 2**level for level in range(N_HALVINGS + 1)]
        self.regular = nn.ModuleList(
            _conv(n_in, n_out, norm=norm)
            for n_in, n_out in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.dilated = _dilated_module(in_channels, dilation=dilation, norm=norm)
        self.pyramid = Pyramid(DILATED_CHANNELS, bins=bins)
        n_joint = widths[-1] + DILATED_CHANNELS * (1 + len(bins))
        self.join = _conv(n_joint, widths[-1], norm=norm)
        self.drop = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:-1])
        )
        self.merge = nn.ModuleList(
            _conv(2 * width if skips else width, width, norm=norm)
            for width in reversed(widths[:-1])
        )
        self.head = nn.Conv2d(channels, n_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        regular, maps = image, []
        for level, block in enumerate(self.regular):
            regular = block(regular if level == 0 else nn.functional.max_pool2d(regular, 2))
            maps.append(regular)
        dilated = self.dilated(image)
        x = self.drop(self.join(torch.cat([regular, dilated, *self.pyramid(dilated)], dim=1)))
        for up, merge, skip in zip(self.up, self.merge, reversed(maps[:-1]), strict=True):
            x = merge(torch.cat([skip, up(x)], dim=1) if self.skips else up(x))
        logits: Tensor = self.head(x)
        return logits


class Pyramid(nn.Module):
    """Averages over a few large cells, spread over the map again, one layer for each cell size.

    Examples
    --------
    >>> [layer.shape for layer in Pyramid(16, bins=(1, 2))(torch.zeros(1, 16, 8, 8))]
    [torch.Size([1, 16, 8, 8]), torch.Size([1, 16, 8, 8])]
    """

    def __init__(self, channels: int, *, bins: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(n), nn.Conv2d(channels, channels, 1), nn.ReLU(inplace=True)
            )
            for n in bins
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return one map of the shape of ``x`` for each layer."""
        return [
            nn.functional.interpolate(
                layer(x), size=x.shape[2:], mode="bilinear", align_corners=False
            )
            for layer in self.layers
        ]


def _dilated_module(n_in: int, *, dilation: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    width = DILATED_CHANNELS
    for level in range(N_HALVINGS):
        layers.append(_conv(width if level else n_in, width, norm=norm, dilation=dilation))
        layers.append(_conv(width, width, norm=norm, stride=2))
    return nn.Sequential(*layers)


def _conv(n_in: int, n_out: int, *, norm: str, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a 3×3 convolution, normalisation and ReLU."""
    convolution = nn.Conv2d(
        n_in, n_out, 3, stride=stride, padding=dilation, dilation=dilation, bias=norm == "none"
    )
    return nn.Sequential(convolution, make_norm(norm, n_out), nn.ReLU(inplace=True))
