"""The residual U-Net of batteryNET, on slices and on cubes (MONAI, extra ``zoo``)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tomolith.learn.networks.blocks import check_counts
from tomolith.learn.networks.monai import monai_networks
from tomolith.learn.networks.wrapped import Wrapped


class _Residual(Wrapped):
    """MONAI's ``UNet`` with residual units, in two dimensions or in three."""

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: Sequence[int],
        strides: Sequence[int],
        units: int,
        dropout: float,
    ) -> None:
        check_counts(in_channels, n_classes)
        if len(channels) < 2 or min(channels) < 1 or units < 1:
            raise ValueError(f"channels is {list(channels)} and units {units}; levels: 2 or more")
        if len(strides) != len(channels) - 1 or not set(strides) <= {1, 2}:
            raise ValueError(
                f"strides is {list(strides)}; it needs a 1 or 2 between each two of the "
                f"{len(channels)} levels"
            )
        net = monai_networks().UNet(
            spatial_dims=3 if self.is_3d else 2,
            in_channels=in_channels,
            out_channels=n_classes,
            channels=tuple(channels),
            strides=tuple(strides),
            num_res_units=units,
            norm="batch",
            dropout=dropout,
        )
        super().__init__(
            net,
            in_channels=in_channels,
            n_classes=n_classes,
            divisor=math.prod(strides),
            context_px=_reach_px(strides, units),
        )


class ResidualUNet(_Residual):
    """Residual U-Net of batteryNET: seven levels, 32 to 512 channels (MONAI).

    On the way down a level is one residual connection over two blocks, each a 3×3 convolution with
    batch normalisation, dropout 0.2 and PReLU, of which the first halves the image (at the first
    level, too); on the way up it is a transposed convolution and one more block, with a residual
    connection of its own. Skips are concatenated.

    The paper says "two blocks a level". A block could also be a whole residual unit of two
    convolutions. Meant here is what MONAI's ``UNet(num_res_units=2)`` builds, as that is the
    published implementation: its "units" are the convolutions of one residual connection.
    Source: the batteryNET paper (Methods), after Kerfoot et al., STACOM 2018.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of each level, from the top.
    units
        Blocks (convolutions) of each level on the way down, under one residual connection.
    dropout
        Probability of dropping a value, in training.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        MONAI is not installed.
    InputError
        On a call: sides that are not multiples of ``divisor``, 64 for seven levels.

    Examples
    --------
    >>> ResidualUNet(1, 3, channels=(4, 8, 8)).divisor
    4
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 512, 512, 512),
        units: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            in_channels,
            n_classes,
            channels=channels,
            strides=(2,) * (len(channels) - 1),
            units=units,
            dropout=dropout,
        )


class ResidualUNet3d(_Residual):
    """Residual U-Net of batteryNET in three dimensions, for cubes of isotropic voxels (MONAI).

    The widths, units and dropout of :class:`ResidualUNet`, with kernels of 3×3×3. Where to halve is
    our choice: six halvings bring the paper's 512 pixels down to 8, but cubes of 512 fit no
    machine, and six would bring 64 down to a single voxel. So the first four levels halve, and a
    cube of 64 comes down to 4; the lowest two convolve further at that size. Train with
    ``patch_px: 64`` (96 or 128 where memory allows) and a small ``batch``.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    channels
        Channels of each level, from the top.
    strides
        2 where the step from one level to the next halves, 1 where it does not.
    units
        Blocks (convolutions) of each level on the way down, under one residual connection.
    dropout
        Probability of dropping a value, in training.

    Raises
    ------
    ValueError
        An option out of range.
    MissingExtraError
        MONAI is not installed.
    InputError
        On a call: sides that are not multiples of ``divisor``, 16 for four halvings.

    Examples
    --------
    >>> ResidualUNet3d(1, 3, channels=(2, 4, 4), strides=(2, 2)).divisor
    4
    """

    is_3d = True

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 512, 512, 512),
        strides: Sequence[int] = (2, 2, 2, 2, 1, 1),
        units: int = 2,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            in_channels,
            n_classes,
            channels=channels,
            strides=strides,
            units=units,
            dropout=dropout,
        )


def _reach_px(strides: Sequence[int], units: int) -> int:
    """Reach of the convolutions: down with a stride first, at the bottom, and up again."""
    down = up = 0
    size = 1  # of a pixel of this level, in pixels of the image
    for stride in strides:
        below = size * stride
        down += size + (units - 1) * below
        up += below + size
        size = below
    return down + units * size + up
