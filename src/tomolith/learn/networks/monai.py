"""Networks that MONAI brings (extra ``zoo``); its residual U-Nets have a file of their own.

All of them normalise by batches, whatever MONAI's or the paper's default is: the statistics of
instance or group normalisation come from the tile, so that the labels of a volume would depend on
how it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tomolith.config import require
from tomolith.learn.networks.blocks import check_counts
from tomolith.learn.networks.wrapped import WHOLE_PATCH_PX, Wrapped


def monai_networks() -> Any:
    """Return MONAI's module of networks; ``MissingExtraError`` where it is not installed."""
    return require("monai.networks.nets", extra="zoo")


class SegResNet(Wrapped):
    """SegResNet: a deep residual encoder and a light decoder (MONAI).

    Source: Myronenko, BrainLes 2018, without its variational branch: 32 channels at full size,
    1, 2, 2 and 4 residual blocks down, one a level up, additive skips, dropout 0.2 behind the first
    convolution. The paper normalises by groups; batch normalisation is our choice.
    :class:`SegResNetDS` has deep supervision.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels at full size; doubled at each level below.
    blocks_down
        Residual blocks of each level on the way down, from the top.
    dropout
        Probability of dropping a channel, in training.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        MONAI is not installed.
    InputError
        On a call: sides that are not multiples of ``divisor``, 8 for four levels.

    Examples
    --------
    >>> SegResNet(1, 3, channels=8).divisor
    8
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: int = 32,
        blocks_down: Sequence[int] = (1, 2, 2, 4),
        dropout: float = 0.2,
    ) -> None:
        check_counts(in_channels, n_classes)
        depth = _depth(channels, blocks_down)
        net = monai_networks().SegResNet(
            spatial_dims=2,
            init_filters=channels,
            in_channels=in_channels,
            out_channels=n_classes,
            dropout_prob=dropout,
            norm="batch",
            blocks_down=tuple(blocks_down),
            blocks_up=(1,) * depth,
        )
        super().__init__(
            net,
            in_channels=in_channels,
            n_classes=n_classes,
            divisor=2**depth,
            context_px=_residual_reach_px(blocks_down, step_up=2),
        )


class SegResNetDS(Wrapped):
    """SegResNet with deep supervision: heads at its lower levels too, in training (MONAI).

    Source: MONAI's ``SegResNetDS`` by its defaults, but for the heads: the levels and blocks of
    :class:`SegResNet`, learnt steps up instead of interpolation, no dropout, batch normalisation.
    In training it returns (B, S, n_classes, H, W): the logits, and those of the S - 1 heads below,
    scaled up to full size; the trainer weighs them 1, 1/2, 1/4, …

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels at full size; doubled at each level below.
    blocks_down
        Residual blocks of each level on the way down, from the top.
    heads
        Heads below the top in training, fewer than there are levels less one (MONAI has none by
        default; all that there can be are our choice); 0: no deep supervision.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        MONAI is not installed.
    InputError
        On a call: sides that are not multiples of ``divisor``, 8 for four levels.

    Examples
    --------
    >>> SegResNetDS(1, 3, channels=8).divisor
    8
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: int = 32,
        blocks_down: Sequence[int] = (1, 2, 2, 4),
        heads: int = 2,
    ) -> None:
        check_counts(in_channels, n_classes)
        depth = _depth(channels, blocks_down)
        if not 0 <= heads < depth:
            raise ValueError(f"heads is {heads}; 0 to {depth - 1} with {depth + 1} levels")
        net = monai_networks().SegResNetDS(
            spatial_dims=2,
            init_filters=channels,
            in_channels=in_channels,
            out_channels=n_classes,
            norm="batch",
            blocks_down=tuple(blocks_down),
            dsdepth=1 + heads,
        )
        super().__init__(
            net,
            in_channels=in_channels,
            n_classes=n_classes,
            divisor=2**depth,
            context_px=_residual_reach_px(blocks_down, step_up=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W); in training (B, S, n_classes, H, W)."""
        heads: Tensor | list[Tensor] = super().forward(image)
        if isinstance(heads, Tensor):
            return heads
        size = heads[0].shape[-2:]
        return torch.stack([functional.interpolate(head, size) for head in heads], dim=1)


def _depth(channels: int, blocks_down: Sequence[int]) -> int:
    """Return the steps down of a SegResNet whose sizes make sense."""
    if channels < 1 or len(blocks_down) < 2 or min(blocks_down) < 1:
        raise ValueError(f"channels is {channels} and blocks_down {list(blocks_down)}")
    return len(blocks_down) - 1


def _residual_reach_px(blocks_down: Sequence[int], *, step_up: int) -> int:
    """Reach of two convolutions a block, and one more before each step down.

    A step up reaches ``step_up`` pixels of the level it leads to: 2 by interpolation, 1 by a
    transposed convolution.
    """
    depth = len(blocks_down) - 1
    down = sum(2 * n * 2**k for k, n in enumerate(blocks_down)) + 2**depth - 1
    up = sum(2 * 2**k + step_up * 2**k for k in range(depth))
    return 1 + down + up


class DynUNet(Wrapped):
    """nnU-Net's network: plain U-Net, leaky ReLU, deep supervision (MONAI).

    Source: Isensee et al., Nature Methods 18 (2021), as MONAI's ``DynUNet``: two 3×3 convolutions a
    level, strided convolutions down, transposed convolutions up, 32 channels doubling up to 512.
    Six levels are what nnU-Net plans for patches of 128 pixels (it halves down to 4×4).

    nnU-Net normalises by instances; batch normalisation is our choice. In training the network
    returns (B, S, n_classes, H, W): the logits, and those of the heads of the S - 1 levels below,
    scaled up to full size; the trainer weighs them 1, 1/2, 1/4, … as nnU-Net does. Nothing
    else of nnU-Net (its planning, its augmentation, its ensemble) is meant by this name.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of each level, from the top; three levels or more.
    heads
        Heads below the top in training, fewer than there are levels less one; 0: no deep
        supervision. nnU-Net has them at all levels but the two lowest.
    dropout
        Probability of dropping a value, in training.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        MONAI is not installed.
    InputError
        On a call: sides that are not multiples of ``divisor``, 32 for six levels.

    Examples
    --------
    >>> DynUNet(1, 3, channels=(4, 8, 8), heads=1).divisor
    4
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 512, 512),
        heads: int = 3,
        dropout: float = 0.0,
    ) -> None:
        check_counts(in_channels, n_classes)
        levels = len(channels)
        if levels < 3 or min(channels) < 1 or not 0 <= heads < levels - 1:
            raise ValueError(f"channels is {list(channels)} and heads {heads}; levels: 3 or more")
        net = monai_networks().DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=n_classes,
            kernel_size=(3,) * levels,
            strides=(1,) + (2,) * (levels - 1),
            upsample_kernel_size=(2,) * (levels - 1),
            filters=tuple(channels),
            dropout=dropout or None,
            norm_name="batch",
            deep_supervision=heads > 0,
            deep_supr_num=max(heads, 1),
        )
        # MONAI registers these under a second name, inside 'skip_layers', which is what runs
        for alias in ("input_block", "downsamples", "bottleneck", "upsamples"):
            delattr(net, alias)
        if heads:
            del net.deep_supervision_heads
        super().__init__(
            net,
            in_channels=in_channels,
            n_classes=n_classes,
            divisor=2 ** (levels - 1),
            context_px=_plain_reach_px(levels - 1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W); in training (B, S, n_classes, H, W)."""
        logits = super().forward(image)
        heads = self.net.heads
        heads[:] = [None] * len(heads)  # else they keep the step's whole graph alive
        return logits


def _plain_reach_px(depth: int) -> int:
    """Reach of two convolutions a level; the first of a level down strides over the one above."""
    down = 2 + sum(2**k + 2 ** (k + 1) for k in range(depth))
    up = sum(2 * 2**k for k in range(depth)) + 2**depth - 1
    return down + up


class SwinUNETR(Wrapped):
    """Swin UNETR in 2-D: shifted-window transformer encoder, CNN decoder (MONAI).

    Source: Hatamizadeh et al., BrainLes 2021: 48 features, two blocks a stage, 3, 6, 12 and 24
    heads, windows of 7. The paper's decoder normalises by instances; batch normalisation is our
    choice. The transformer normalises each token by itself.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    features
        Channels of the first stage, a multiple of 12; doubled at each stage below.
    window
        Side of the windows, in tokens.
    dropout
        Probability of dropping a value in the transformer, in training.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        MONAI is not installed.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> SwinUNETR(1, 3, features=12).divisor
    32
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        features: int = 48,
        window: int = 7,
        dropout: float = 0.0,
    ) -> None:
        check_counts(in_channels, n_classes)
        if features < 12 or features % 12 or window < 2:
            raise ValueError(
                f"features is {features} and window {window}; features is a multiple of 12"
            )
        require("einops", extra="zoo")  # MONAI asks for it only when the network runs
        net = monai_networks().SwinUNETR(
            in_channels=in_channels,
            out_channels=n_classes,
            feature_size=features,
            window_size=window,
            norm_name="batch",
            drop_rate=dropout,
            spatial_dims=2,
        )
        super().__init__(
            net,
            in_channels=in_channels,
            n_classes=n_classes,
            divisor=32,
            context_px=WHOLE_PATCH_PX,
        )
