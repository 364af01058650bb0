"""Transposed convolutions computed as 1×1 convolutions."""

from __future__ import annotations

from torch import nn

SHUFFLED_PX = 4  # strides from which that is faster


def shuffle_pixels(module: nn.Module) -> int:
    """Replace transposed convolutions of large strides by 1×1 convolutions, in place.

    Where the kernel is as large as the stride no two outputs overlap: a 1×1 convolution gives
    all pixels of a cell as channels, which are then put in their places.

    Returns
    -------
    int
        Number of convolutions replaced.

    Examples
    --------
    >>> shuffle_pixels(nn.Sequential(nn.ConvTranspose2d(4, 2, 8, stride=8)))
    1
    """
    n_replaced = 0
    for name, child in list(module.named_children()):
        if isinstance(child, nn.ConvTranspose2d) and _is_shuffle(child):
            setattr(module, name, _as_shuffle(child))
            n_replaced += 1
        else:
            n_replaced += shuffle_pixels(child)
    return n_replaced


def _is_shuffle(layer: nn.ConvTranspose2d) -> bool:
    side = layer.kernel_size[0]
    return (
        side >= SHUFFLED_PX
        and layer.kernel_size == layer.stride == (side, side)
        and layer.padding == layer.output_padding == (0, 0)
        and layer.dilation == (1, 1)
        and layer.groups == 1
    )


def _as_shuffle(layer: nn.ConvTranspose2d) -> nn.Sequential:
    side = layer.kernel_size[0]
    n_values = layer.out_channels * side**2
    flat = nn.Conv2d(layer.in_channels, n_values, 1, bias=layer.bias is not None)
    flat.weight = nn.Parameter(layer.weight.detach().flatten(1).t()[..., None, None].contiguous())
    if layer.bias is not None:
        flat.bias = nn.Parameter(layer.bias.detach().repeat_interleave(side**2))
    return nn.Sequential(flat, nn.PixelShuffle(side))
