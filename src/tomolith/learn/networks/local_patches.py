"""Networks that see a pixel's local patch, for all pixels of an image at once.

A classifier of local patches slides over the image.  Where its convolutions are not padded and
its pooling windows do not overlap, the patches of neighbouring pixels share nearly all of their
maps: convolving and pooling the whole image *without* stride, but with twice the dilation after
each pooling, gives the same numbers.

::

    one patch      conv 3 - conv 3 - pool 2, stride 2 - conv 3 ...
    all patches    conv 3 - conv 3 - pool 2, stride 1 - conv 3, dilation 2 ...
"""

from __future__ import annotations

from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_counts, check_input, make_norm
from tomolith.learn.networks.unet import UNet

Pixels = tuple[Tensor, Tensor, Tensor]  # index in the batch, y, x; each (N,)


def pad_local(image: Tensor, local_px: int) -> Tensor:
    """Return ``image`` (B, C, H, W) with its edges repeated, so that each pixel has a patch.

    The patch of pixel (y, x) covers ``y - local_px // 2`` up to, not including,
    ``y - local_px // 2 + local_px``.

    Examples
    --------
    >>> import torch
    >>> pad_local(torch.zeros(1, 1, 5, 6), 4).shape
    torch.Size([1, 1, 8, 9])
    """
    before, after = local_px // 2, local_px - 1 - local_px // 2
    return nn.functional.pad(image, (before, after, before, after), mode="replicate")


def take_patches(image: Tensor, pixels: Pixels, local_px: int) -> Tensor:
    """Return the local patches (N, C, local_px, local_px) of ``pixels``.

    Examples
    --------
    >>> import torch
    >>> image = torch.arange(9.0).view(1, 1, 3, 3)
    >>> where = tuple(torch.tensor([i]) for i in (0, 0, 1))
    >>> take_patches(image, where, 2)
    tensor([[[[0., 1.],
              [0., 1.]]]])
    """
    windows = pad_local(image, local_px).unfold(2, local_px, 1).unfold(3, local_px, 1)
    batch, y, x = pixels
    return windows[batch, :, y, x]


class Lcgar(nn.Module):
    """The aggregator of MatPhase: a classifier of a pixel's local patch and its UGSM logits.

    Conv 3×3 with 32, 32 channels, max-pooling, conv 3×3 with 16, 16, max-pooling, conv 1×1 with
    8, 8, flattened; the UGSM's logits of the pixel are concatenated; dense 128, dropout 0.2, batch
    normalisation, and the classes; LeakyReLU throughout.  Source: the MatPhase paper, Table I of
    its appendix.

    The table does not give the patch's side, nor the padding.  Nothing is padded here, so that
    nothing but the patch is seen and all patches of an image can be computed at once, exactly
    (:meth:`forward`); the side is 20 pixels, the second smallest that leaves something to flatten.

    Parameters
    ----------
    in_channels, n_out
        Channels of the image, and of the output.
    n_logits
        Channels of the logits that are concatenated; 0: none.
    local_px
        Side of the local patch: 16 or more, a multiple of 4.
    norm
        ``"batch"`` or ``"none"``, after the dense layer.
    dropout
        Probability of dropping a value of the dense layer, in training.

    Raises
    ------
    ValueError
        An option out of range.

    Examples
    --------
    >>> import torch
    >>> net = Lcgar(1, 3, n_logits=3)
    >>> net(torch.zeros(1, 1, 24, 30), torch.zeros(1, 3, 24, 30)).shape
    torch.Size([1, 3, 24, 30])
    >>> net.of_patches(torch.zeros(5, 1, 20, 20), torch.zeros(5, 3)).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        in_channels: int,
        n_out: int,
        *,
        n_logits: int = 0,
        local_px: int = 20,
        norm: str = "batch",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if local_px < 16 or local_px % 4:
            raise ValueError(f"local_px is {local_px}; it must be a multiple of 4, at least 16")
        self.local_px = local_px
        self.features = nn.Sequential(
            *_conv(in_channels, 32, 3),
            *_conv(32, 32, 3),
            nn.MaxPool2d(2, stride=1),
            *_conv(32, 16, 3, dilation=2),
            *_conv(16, 16, 3, dilation=2),
            nn.MaxPool2d(2, stride=1, dilation=2),
            *_conv(16, 8, 1),
            *_conv(8, 8, 1),
        )
        # a dense layer over the flattened patch and the logits is the sum of two
        self.dense_patch = nn.Conv2d(8, 128, (local_px - 12) // 4, dilation=4)
        self.dense_logits = nn.Conv2d(n_logits, 128, 1, bias=False) if n_logits else None
        self.decide = nn.Sequential(
            nn.LeakyReLU(), nn.Dropout(dropout), make_norm(norm, 128), nn.Conv2d(128, n_out, 1)
        )

    def forward(self, image: Tensor, logits: Tensor | None = None) -> Tensor:
        """Return the output (B, n_out, H, W) for all pixels.

        Parameters
        ----------
        image
            (B, in_channels, H, W).
        logits
            (B, n_logits, H, W).
        """
        x = self.dense_patch(self.features(pad_local(image, self.local_px)))
        if self.dense_logits is not None:
            x = x + self.dense_logits(logits)
        return self.decide(x)

    def of_patches(self, patches: Tensor, logits: Tensor | None = None) -> Tensor:
        """Return the output (N, n_out) of single patches; the same numbers as :meth:`forward`.

        Parameters
        ----------
        patches
            (N, in_channels, local_px, local_px).
        logits
            (N, n_logits), of the patches' pixels.
        """
        x = patches
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                x = nn.functional.conv2d(x, layer.weight, layer.bias)
            elif isinstance(layer, nn.MaxPool2d):
                x = nn.functional.max_pool2d(x, 2)
            else:
                x = layer(x)
        x = nn.functional.conv2d(x, self.dense_patch.weight, self.dense_patch.bias)
        if self.dense_logits is not None and logits is not None:
            x = x + self.dense_logits(logits[:, :, None, None])
        return self.decide(x)[:, :, 0, 0]


def _conv(n_in: int, n_out: int, kernel: int, *, dilation: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(n_in, n_out, kernel, dilation=dilation), nn.LeakyReLU()


class AdaptedLcgar(nn.Module):
    """Adapted-LCGAR: the aggregator of MatPhase by itself, on local patches alone.

    A baseline of MatPhase, whose paper does not say what is adapted.  Our reading: the layers of
    its Table I (:class:`Lcgar`) without the UGSM's logits, trained on randomly drawn pixels
    (``train.pixels`` local patches a step) without curriculum or abstention.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    local_px, norm, dropout
        As for :class:`Lcgar`.

    Raises
    ------
    ValueError
        An option out of range.

    Examples
    --------
    >>> import torch
    >>> AdaptedLcgar(1, 3)(torch.zeros(1, 1, 7, 9)).shape
    torch.Size([1, 3, 7, 9])
    """

    trainer = "tomolith.learn.pixels:train"
    divisor = 1

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        local_px: int = 20,
        norm: str = "batch",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes)
        self.in_channels, self.n_classes = in_channels, n_classes
        self.context_px = local_px // 2
        self.lcgar = Lcgar(in_channels, n_classes, local_px=local_px, norm=norm, dropout=dropout)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        return self.lcgar(image)

    def at_pixels(self, image: Tensor, pixels: Pixels) -> Tensor:
        """Return the logits (N, n_classes) of single pixels."""
        return self.lcgar.of_patches(take_patches(image, pixels, self.lcgar.local_px))


class LocalUNet(nn.Module):
    """Local-U-Net: a U-Net on local patches, each of which knows nothing of its neighbours.

    A baseline of MatPhase, whose paper gives no sizes.  Our reading: the image falls into tiles
    of ``local_px`` pixels, and the U-Net segments each by itself.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    local_px
        Side of the local patches, a multiple of ``2**depth``; also ``divisor``.
    channels, depth, norm, dropout
        As for the U-Net.

    Raises
    ------
    ValueError
        An option out of range.

    Examples
    --------
    >>> import torch
    >>> LocalUNet(1, 3)(torch.zeros(1, 1, 32, 64)).shape
    torch.Size([1, 3, 32, 64])
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        local_px: int = 32,
        channels: int = 16,
        depth: int = 3,
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.unet = UNet(
            in_channels, n_classes, channels=channels, depth=depth, norm=norm, dropout=dropout
        )
        if local_px < 1 or local_px % 2**depth:
            raise ValueError(f"local_px is {local_px}; it must be a multiple of {2**depth}")
        self.in_channels, self.divisor, self.context_px = in_channels, local_px, local_px - 1

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        side, (n, _, height, width) = self.divisor, image.shape
        n_y, n_x = height // side, width // side
        tiles = image.unflatten(3, (n_x, side)).unflatten(2, (n_y, side))
        tiles = tiles.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
        logits = self.unet(tiles).unflatten(0, (n, n_y, n_x))
        return logits.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
