"""A ResNet-18 that tells the class of the pixel in the middle of a local patch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tomolith.learn.networks.blocks import check_counts, check_input, make_norm
from tomolith.learn.networks.local_patches import Pixels, take_patches

PATCHES_AT_ONCE = 1024


class Resnet18Centre(nn.Module):
    """ResNet-18 (centre-pixel classifier): the class of a pixel from its local patch.

    A baseline of MatPhase.  ResNet-18 as published (He et al., CVPR 2016, Table 1: 7×7 with
    stride 2, max-pooling, four times two blocks of 64, 128, 256 and 512 channels, mean, dense),
    trained on randomly drawn pixels (``train.pixels`` local patches a step). MONAI has a ResNet-18
    too; this one is our own so that it is there without the extra ``zoo``, like the other networks
    on local patches, and shares their normalisation and dropout.

    Its padded convolutions see the edges of each patch, so no dilated network computes all
    patches at once: they are computed one by one.  To keep that bearable, only every fourth pixel
    along y and x is classified and the logits between are interpolated (``every_px``).

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    local_px
        Side of the local patches, even; the MatPhase paper does not give it.
    every_px
        Distance of the classified pixels, even or 1; also ``divisor``.
    channels
        Channels of the first blocks.
    norm
        ``"batch"`` or ``"none"``.
    dropout
        Probability of dropping a value before the dense layer, in training.

    Raises
    ------
    ValueError
        An option out of range.

    Examples
    --------
    >>> net = Resnet18Centre(1, 3, channels=4)
    >>> net(torch.zeros(1, 1, 8, 12)).shape
    torch.Size([1, 3, 8, 12])
    """

    trainer = "tomolith.learn.pixels:train"

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        local_px: int = 32,
        every_px: int = 4,
        channels: int = 64,
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes, channels=channels)
        if local_px % 2 or every_px < 1 or (every_px > 1 and every_px % 2) or every_px > local_px:
            raise ValueError(
                f"local_px is {local_px} and every_px {every_px}; both must be even "
                "(every_px may be 1), and local_px the larger one"
            )
        self.in_channels, self.n_classes = in_channels, n_classes
        self.local_px, self.divisor = local_px, every_px
        self.context_px = local_px // 2 + every_px
        widths = [channels * 2**level for level in range(4)]
        blocks: list[nn.Module] = []
        for level, width in enumerate(widths):
            source = widths[max(level - 1, 0)]
            blocks.append(Residual(source, width, stride=2 if level else 1, norm=norm))
            blocks.append(Residual(width, width, stride=1, norm=norm))
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=norm == "none"),
            make_norm(norm, channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            *blocks,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(widths[-1], n_classes),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        side, step = self.local_px, self.divisor
        before = side // 2 - step // 2
        pads = (before, side - step - before) * 2
        padded = nn.functional.pad(image, pads, mode="replicate")
        windows = padded.unfold(2, side, step).unfold(3, side, step).permute(0, 2, 3, 1, 4, 5)
        n_rows = max(1, PATCHES_AT_ONCE // windows.shape[2])
        # the same pieces of every image, so that none depends on the others of its batch
        maps = [
            torch.cat([self._grid(part) for part in one.split(n_rows)], dim=1) for one in windows
        ]
        logits = torch.stack(maps)
        if step == 1:
            return logits
        return nn.functional.interpolate(
            logits, scale_factor=step, mode="bilinear", align_corners=False
        )

    def _grid(self, windows: Tensor) -> Tensor:
        """Return the logits (n_classes, n_y, n_x) of patches (n_y, n_x, C, side, side)."""
        logits: Tensor = self.layers(windows.flatten(0, 1))
        return logits.unflatten(0, windows.shape[:2]).permute(2, 0, 1)

    def at_pixels(self, image: Tensor, pixels: Pixels) -> Tensor:
        """Return the logits (N, n_classes) of single pixels."""
        logits: Tensor = self.layers(take_patches(image, pixels, self.local_px))
        return logits


class Residual(nn.Module):
    """Two 3×3 convolutions, added to their input (He et al., CVPR 2016, Fig. 5, left).

    Examples
    --------
    >>> Residual(4, 8, stride=2, norm="batch")(torch.zeros(1, 4, 8, 8)).shape
    torch.Size([1, 8, 4, 4])
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int, norm: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=bias),
            make_norm(norm, n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=bias),
            make_norm(norm, n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride=stride, bias=bias), make_norm(norm, n_out)
            )

    def forward(self, image: Tensor) -> Tensor:
        """Return maps (B, n_out, H / stride, W / stride)."""
        return nn.functional.relu(self.layers(image) + self.shortcut(image))
