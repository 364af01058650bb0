"""Pieces that the networks share."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from tomolith.errors import InputError


def make_norm(norm: str, n_channels: int) -> nn.Module:
    """Return the normalisation layer called ``norm`` for ``n_channels``.

    Only layers whose result for a pixel does not depend on the other pixels of the tile are
    offered: instance or group normalisation would make labels depend on how a volume is cut.

    Raises
    ------
    ValueError
        ``norm`` is neither ``"batch"`` nor ``"none"``.

    Examples
    --------
    >>> make_norm("batch", 16).num_features
    16
    """
    if norm == "batch":
        return nn.BatchNorm2d(n_channels)
    if norm == "none":
        return nn.Identity()
    raise ValueError(f"norm is '{norm}'; it may be 'batch' or 'none'")


class DoubleConv(nn.Sequential):
    """Two 3×3 convolutions, each with normalisation and ReLU, then dropout.

    Examples
    --------
    >>> import torch
    >>> DoubleConv(1, 4, norm="batch", dropout=0.0)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """

    def __init__(self, n_in: int, n_out: int, *, norm: str, dropout: float) -> None:
        layers: list[nn.Module] = []
        for source in (n_in, n_out):
            # a bias before batch normalisation has no effect
            layers.append(nn.Conv2d(source, n_out, 3, padding=1, bias=norm == "none"))
            layers.append(make_norm(norm, n_out))
            layers.append(nn.ReLU(inplace=True))
        if dropout:
            layers.append(nn.Dropout2d(dropout))
        super().__init__(*layers)


def check_input(image: Tensor, *, in_channels: int, divisor: int, is_3d: bool = False) -> None:
    """Refuse images that a network cannot take, and say what it could take.

    Raises
    ------
    InputError
        Wrong number of axes or channels, or a side that is not a multiple of ``divisor``.

    Examples
    --------
    >>> import torch
    >>> check_input(torch.zeros(1, 1, 100, 128), in_channels=1, divisor=16)
    Traceback (most recent call last):
    ...
    tomolith.errors.InputError: the image has 100 × 128 pixels
      expected: sides that are multiples of 16
      to mend:  pad it to 112 × 128 pixels
    """
    if image.ndim != (5 if is_3d else 4) or image.shape[1] != in_channels:
        raise InputError(
            f"the network was given an array of shape {tuple(image.shape)}",
            expected=f"(batch, {in_channels}, {'depth, ' if is_3d else ''}height, width)",
        )
    sides = [int(side) for side in image.shape[2:]]
    if any(side % divisor or not side for side in sides):
        padded = [max(1, -(-side // divisor)) * divisor for side in sides]
        raise InputError(
            f"the image has {' × '.join(map(str, sides))} pixels",
            expected=f"sides that are multiples of {divisor}",
            mend=f"pad it to {' × '.join(map(str, padded))} pixels",
        )


def check_counts(in_channels: int, n_classes: int, **counts: int | Iterable[int]) -> None:
    """Raise ``ValueError`` where a network could not be built at all, or would be empty.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    counts
        Options of the network by name, of which each number has to be 1 or more.

    Examples
    --------
    >>> check_counts(1, 3, channels=(16, 0))
    Traceback (most recent call last):
    ...
    ValueError: channels is (16, 0); at least 1 is needed
    """
    if in_channels < 1 or n_classes < 2:
        raise ValueError(f"{in_channels} input channels and {n_classes} classes")
    for name, count in counts.items():
        if any(n < 1 for n in ([count] if isinstance(count, int) else count)):
            raise ValueError(f"{name} is {count}; at least 1 is needed")
