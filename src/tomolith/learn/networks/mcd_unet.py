"""U-Net with Monte-Carlo dropout, which is never switched off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_input
from tomolith.learn.networks.unet import UNet

MASK_SEED = 20221
SMALLEST_SHARE = 1e-6  # so that the logarithm of a probability stays finite


class McdUNet(UNet):
    """MCD-U-Net: a U-Net whose dropout stays on at prediction, averaged over passes.

    The UGSM of MatPhase, and one of its baselines.  Monte-Carlo dropout after Gal and
    Ghahramani, ICML 2016: each pass drops other channels, the probabilities of all passes are
    averaged, and the entropy of the mean is the predictive uncertainty
    (:func:`predictive_entropy`).

    The MatPhase paper does not say where units are dropped.  We drop whole channels, after the
    lowest level and after each level on the way up, so that the way down is computed only once.
    In training they are drawn anew for each batch.  At prediction the masks are fixed: drawn from
    a seed of their own when the network is built, and stored with the weights.  Since a mask holds
    for a whole map, labels depend neither on the batch nor on how a volume is cut into tiles.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels, depth, norm
        As for the U-Net.
    dropout
        Probability of dropping a channel.
    passes
        Number of passes at prediction.

    Raises
    ------
    ValueError
        An option out of range.
    InputError
        On a call: sides that are not multiples of ``divisor``.

    Examples
    --------
    >>> net = McdUNet(1, 3, channels=4, depth=2, passes=3).eval()
    >>> image = torch.randn(1, 1, 8, 8)
    >>> torch.equal(net(image), net(image))
    True
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: int = 16,
        depth: int = 4,
        norm: str = "batch",
        dropout: float = 0.2,
        passes: int = 10,
    ) -> None:
        super().__init__(in_channels, n_classes, channels=channels, depth=depth, norm=norm)
        if not 0 <= dropout < 1 or passes < 1:
            raise ValueError(
                f"dropout is {dropout} and passes {passes}; dropout may be 0 to below 1"
            )
        self.weights = (1 / passes,) * passes if dropout else (1.0,)
        rng = torch.Generator().manual_seed(MASK_SEED)
        self.drops = nn.ModuleList(
            FixedDropout(channels * 2**level, dropout, passes, rng)
            for level in reversed(range(depth + 1))
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W).

        In training those of one pass with new masks; else the logarithm of the mean
        probabilities of all passes.
        """
        skips = self._sink(image)
        if self.training:
            return self._rise(skips, 0)
        shares = [self._rise(skips, i).float().softmax(dim=1) for i in range(len(self.weights))]
        return (sum(shares[1:], shares[0]) / len(shares)).clamp(min=SMALLEST_SHARE).log()

    def of_members(self, image: Tensor) -> list[Tensor]:
        """Return the log-probabilities (B, n_classes, H, W) of each pass, all in evaluation mode.

        Without dropout all passes are one.
        """
        skips = self._sink(image)
        passes = [self._rise(skips, i) for i in range(len(self.weights))]
        return [nn.functional.log_softmax(logits.float(), dim=1) for logits in passes]

    def _sink(self, image: Tensor) -> list[Tensor]:
        """Return the maps of all levels on the way down."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        skips = []
        x = image
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        return skips

    def _rise(self, skips: Sequence[Tensor], which: int) -> Tensor:
        """Return the logits of pass ``which``, from the maps on the way down."""
        x = self.drops[0](skips[-1], which)
        levels = zip(self.up, self.merge, self.drops[1:], reversed(skips[:-1]), strict=True)
        for up, merge, drop, skip in levels:
            x = drop(merge(torch.cat([skip, up(x)], dim=1)), which)
        return self.head(x)


class FixedDropout(nn.Module):
    """Dropout of whole channels: random in training, one of a few fixed masks otherwise.

    Examples
    --------
    >>> drop = FixedDropout(4, 0.5, 2, torch.Generator().manual_seed(0)).eval()
    >>> drop(torch.ones(1, 4, 1, 1), 0).flatten().tolist()
    [0.0, 2.0, 0.0, 0.0]
    """

    masks: Tensor

    def __init__(
        self, n_channels: int, dropout: float, n_masks: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.dropout = dropout
        keep = torch.rand((n_masks, n_channels), generator=generator) >= dropout
        self.register_buffer("masks", keep.float() / (1 - dropout))

    def forward(self, image: Tensor, which: int) -> Tensor:
        """Return ``image`` (B, C, H, W) with some channels zero and the others scaled up."""
        if self.training:
            return nn.functional.dropout2d(image, self.dropout)
        return image * self.masks[which].view(1, -1, 1, 1)


def predictive_entropy(logits: Tensor) -> Tensor:
    """Return the entropy (B, H, W) of logits (B, C, H, W), as a share of the largest possible.

    Examples
    --------
    >>> predictive_entropy(torch.zeros(1, 3, 1, 1)).item()
    1.0
    """
    logs = logits.float().log_softmax(dim=1)
    return -(logs.exp() * logs).sum(dim=1) / math.log(logits.shape[1])
