"""What all networks have in common that a library brings."""

from __future__ import annotations

from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_input

# These networks see a whole patch: by attention, by pooling over the image, or because their
# convolutions reach further than any usual patch. As context they state the largest usual side.
WHOLE_PATCH_PX = 512


class Wrapped(nn.Module):
    """A network of a library that keeps the contract of the registry.

    Parameters
    ----------
    net
        Maps (B, in_channels, H, W) to logits (B, n_classes, H, W); where the class states
        ``is_3d``, both with a depth before the height.
    in_channels, n_classes
        Channels of the input, and of the logits.
    divisor, context_px
        See :mod:`tomolith.learn.networks`.

    Examples
    --------
    >>> import torch
    >>> net = Wrapped(nn.Conv2d(1, 2, 1), in_channels=1, n_classes=2, divisor=1, context_px=0)
    >>> net(torch.zeros(1, 1, 5, 7)).shape
    torch.Size([1, 2, 5, 7])
    """

    is_3d = False

    def __init__(
        self, net: nn.Module, *, in_channels: int, n_classes: int, divisor: int, context_px: int
    ) -> None:
        super().__init__()
        self.in_channels, self.n_classes = in_channels, n_classes
        self.divisor, self.context_px = divisor, context_px
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor, is_3d=self.is_3d)
        logits: Tensor = self.net(image)
        return logits
