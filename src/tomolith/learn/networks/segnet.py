"""SegNet, which remembers where each maximum came from."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_counts, check_input
from tomolith.learn.networks.vgg import VGG_CHANNELS, VGG_CONVOLUTIONS, check_stages, stage


class SegNet(nn.Module):
    """SegNet: the convolutions of VGG-16 down and up, joined by pooling indices alone.

    Thirteen 3×3 convolutions with batch normalisation in five stages down; five stages up mirror
    them. On the way up each value goes back to where max-pooling took it from, and the convolutions
    fill in the rest; no map is passed across. Source: Badrinarayanan, Kendall and Cipolla, IEEE
    TPAMI 39 (2017); a baseline of MatPhase.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of the five stages.
    norm
        ``"batch"`` or ``"none"``.
    dropout
        Probability of dropping a channel between the halves, in training.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> import torch
    >>> net = SegNet(1, 3, channels=(4, 4, 8, 8, 8))
    >>> net(torch.zeros(1, 1, 64, 96)).shape, net.divisor
    (torch.Size([1, 3, 64, 96]), 32)
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: Sequence[int] = VGG_CHANNELS,
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes)
        widths = tuple(channels)
        check_stages(widths)
        self.in_channels, self.n_classes = in_channels, n_classes
        self.divisor, self.context_px = 32, _REACH_PX
        stages = list(zip((in_channels, *widths[:-1]), widths, VGG_CONVOLUTIONS, strict=True))
        self.down = nn.ModuleList(stage(n_in, n_out, n, norm=norm) for n_in, n_out, n in stages)
        self.dropout = nn.Dropout2d(dropout)
        up: list[nn.Module] = []
        for k in range(len(stages) - 1, 0, -1):
            n_in, n_out, n = stages[k]
            narrow = stage(n_out, n_in, 1, norm=norm)
            up.append(nn.Sequential(*stage(n_out, n_out, n - 1, norm=norm), *narrow))
        top = stage(widths[0], widths[0], VGG_CONVOLUTIONS[0] - 1, norm=norm)
        up.append(nn.Sequential(*top, nn.Conv2d(widths[0], n_classes, 3, padding=1)))
        self.up = nn.ModuleList(up)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        x, places = image, []
        for block in self.down:
            # the image's type is not bf16, of which OpenVINO gives no indices
            x = block(x).to(image.dtype)
            x, place = nn.functional.max_pool2d(x, 2, return_indices=True)
            places.append(place)
        x = self.dropout(x)
        for block in self.up:
            x = block(_unpool(x, places.pop()))
        return x


def _unpool(x: Tensor, places: Tensor) -> Tensor:
    """Put each value back where it was the largest of its 2×2 window; zeros elsewhere.

    By ``scatter``, since OpenVINO knows it and not PyTorch's own unpooling.
    """
    n, n_channels, height, width = x.shape
    empty = x.new_zeros(n, n_channels, 4 * height * width)
    filled = empty.scatter(2, places.flatten(2), x.flatten(2))
    return filled.view(n, n_channels, 2 * height, 2 * width)


# convolutions of both halves, and the windows of pooling
_REACH_PX = sum(2 * n * 2**k + 2**k for k, n in enumerate(VGG_CONVOLUTIONS))
