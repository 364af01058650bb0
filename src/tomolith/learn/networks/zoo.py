"""Networks that segmentation-models-pytorch brings (extra ``zoo``).

Weights always start from random numbers: nothing is downloaded. ``encoder`` takes any name of
segmentation-models-pytorch, or ``tu-`` and a name of timm, if it normalises by batches or tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tomolith.config import require
from tomolith.learn.networks.blocks import check_counts
from tomolith.learn.networks.wrapped import WHOLE_PATCH_PX, Wrapped
from tomolith.learn.torchvision import mend_torchvision


def _library() -> Any:
    mend_torchvision()
    return require("segmentation_models_pytorch", extra="zoo")


class _Zoo(Wrapped):
    """A network that ``make`` builds around an encoder which halves the image five times."""

    def __init__(
        self,
        make: Callable[..., nn.Module],
        in_channels: int,
        n_classes: int,
        *,
        encoder: str,
        divisor: int = 32,
    ) -> None:
        try:
            net = make(
                encoder_name=encoder,
                encoder_weights=None,
                in_channels=in_channels,
                classes=n_classes,
            )
        except (KeyError, RuntimeError) as error:
            why = str(error.args[0]).partition(", supported")[0]
            raise ValueError(
                f"encoder '{encoder}' cannot be had ({why}); segmentation-models-pytorch lists "
                "its own by 'segmentation_models_pytorch.encoders.get_encoder_names()'"
            ) from error
        super().__init__(
            net,
            in_channels=in_channels,
            n_classes=n_classes,
            divisor=divisor,
            context_px=WHOLE_PATCH_PX,
        )


class _Pooled(_Zoo):
    """A network in which a branch pools over the whole patch."""

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        if self.training and len(image) == 1:
            # that branch has one value per image and channel: no variance in one image
            return super().forward(torch.cat([image, image]))[:1]
        return super().forward(image)


class UNetPlusPlus(_Zoo):
    """U-Net++: nested, dense skips between encoder and decoder (smp).

    Source: Zhou et al., IEEE TMI 39 (2020). MatPhase, whose baseline it is, does not state the
    encoder; ResNet-34 is the library's default and our choice.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    encoder
        Name of the encoder; a transformer (``mit_``) does not fit.
    channels
        Channels of the decoder, from the lowest stage up; five.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        segmentation-models-pytorch is not installed.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> UNetPlusPlus(1, 3, encoder="resnet18").divisor
    32
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        encoder: str = "resnet34",
        channels: Sequence[int] = (256, 128, 64, 32, 16),
    ) -> None:
        check_counts(in_channels, n_classes, channels=channels)
        make = partial(_library().UnetPlusPlus, decoder_channels=tuple(channels))
        super().__init__(make, in_channels, n_classes, encoder=encoder)


class DeepLabV3(_Pooled):
    """DeepLabV3: dilated encoder, atrous spatial pyramid pooling (smp).

    Source: Chen et al., arXiv:1706.05587: ResNet-50, output stride 8, rates 12, 24 and 36, 256
    channels. One branch of the pyramid is the mean over the whole patch.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    encoder
        Name of the encoder, one that can be dilated, such as ``"resnet18"``.
    channels
        Channels of the pyramid.
    rates
        Dilations of its branches.
    dropout
        Probability of dropping a value behind the pyramid, in training.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        segmentation-models-pytorch is not installed.
    InputError
        On a call: sides that are not multiples of 8.

    Examples
    --------
    >>> DeepLabV3(1, 3, encoder="resnet18", channels=32).divisor
    8
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        encoder: str = "resnet50",
        channels: int = 256,
        rates: Sequence[int] = (12, 24, 36),
        dropout: float = 0.5,
    ) -> None:
        check_counts(in_channels, n_classes, channels=channels, rates=rates)
        if len(rates) != 3:
            raise ValueError(f"rates is {list(rates)}; it holds three numbers, one a branch")
        make = partial(
            _library().DeepLabV3,
            decoder_channels=channels,
            decoder_atrous_rates=tuple(rates),
            decoder_aspp_dropout=dropout,
        )
        super().__init__(make, in_channels, n_classes, encoder=encoder, divisor=8)


class MANet(_Zoo):
    """MA-Net: position-wise and multi-scale attention in a U-Net's decoder (smp).

    Source: Fan et al., IEEE Access 8 (2020). MatPhase, whose baseline it is, does not state the
    encoder; ResNet-34 is the library's default and our choice.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    encoder
        Name of the encoder.
    channels
        Channels of the decoder, from the lowest stage up; five.
    attention_channels
        Channels of the position-wise attention.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        segmentation-models-pytorch is not installed.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> MANet(1, 3, encoder="resnet18").divisor
    32
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        encoder: str = "resnet34",
        channels: Sequence[int] = (256, 128, 64, 32, 16),
        attention_channels: int = 64,
    ) -> None:
        check_counts(
            in_channels, n_classes, channels=channels, attention_channels=attention_channels
        )
        make = partial(
            _library().MAnet,
            decoder_channels=tuple(channels),
            decoder_pab_channels=attention_channels,
        )
        super().__init__(make, in_channels, n_classes, encoder=encoder)


class SegFormer(_Zoo):
    """SegFormer: hierarchical transformer and an all-linear decoder (smp).

    Source: Xie et al., NeurIPS 2021: encoder MiT-B0, its smallest (up to ``mit_b5``), and a decoder
    of 256 channels. Logits come at a quarter of the input's size and are scaled up.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    encoder
        ``"mit_b0"`` to ``"mit_b5"``, or another encoder.
    channels
        Channels of the decoder.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        segmentation-models-pytorch is not installed.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> SegFormer(1, 3).divisor
    32
    """

    def __init__(
        self, in_channels: int, n_classes: int, *, encoder: str = "mit_b0", channels: int = 256
    ) -> None:
        check_counts(in_channels, n_classes, channels=channels)
        make = partial(_library().Segformer, decoder_segmentation_channels=channels)
        super().__init__(make, in_channels, n_classes, encoder=encoder)


class UPerNet(_Pooled):
    """UPerNet on a Swin transformer: pyramid pooling over all scales (smp, timm).

    Source: Xiao et al., ECCV 2018, and Liu et al., ICCV 2021 (Swin-T, windows of 7), whose decoder
    has 512 channels. Logits come at a quarter of the input's size and are scaled up. One branch
    pools over the whole patch.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    encoder
        Name of the encoder.
    channels
        Channels of the decoder.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        segmentation-models-pytorch is not installed.
    InputError
        On a call: sides that are not multiples of 32.

    Examples
    --------
    >>> UPerNet(1, 3, encoder="resnet18", channels=32).divisor
    32
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        encoder: str = "tu-swin_tiny_patch4_window7_224",
        channels: int = 512,
    ) -> None:
        check_counts(in_channels, n_classes, channels=channels)
        # Swin is drawn for one size of image unless told otherwise
        any_size = {"strict_img_size": False} if encoder.startswith("tu-swin") else {}
        make = partial(_library().UPerNet, decoder_channels=channels, **any_size)
        super().__init__(make, in_channels, n_classes, encoder=encoder)
