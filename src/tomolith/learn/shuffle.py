"""Transposed convolutions computed as 1×1 convolutions."""

from __future__ import annotations

from torch import Tensor, nn

SHUFFLED_PX = 4  # strides from which that is faster


def shuffle_pixels(module: nn.Module) -> int:
    """Replace transposed convolutions of large strides by 1×1 convolutions, in place.

    Where the kernel is as large as the stride no two outputs overlap: a 1×1 convolution gives
    all pixels of a cell as channels, which :class:`UnfoldCells` then puts in their places.

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
    by_pixel = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2)
    flat.weight = nn.Parameter(by_pixel[..., None, None].contiguous())
    if layer.bias is not None:
        flat.bias = nn.Parameter(layer.bias.detach().repeat(side**2))
    return nn.Sequential(flat, UnfoldCells(side))


class UnfoldCells(nn.Module):
    """Unfold each pixel's channels to a cell of ``side`` × ``side`` pixels.

    Channels go pixel by pixel, in contrast to ``nn.PixelShuffle``, in which the pixels of an
    output channel stand together: where channels lie last in memory, whole rows of a cell are
    then copied as they are, instead of value by value.

    Examples
    --------
    >>> import torch
    >>> UnfoldCells(2)(torch.arange(8.0).view(1, 8, 1, 1))[0, 1].tolist()
    [[1.0, 3.0], [5.0, 7.0]]
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, C, side * H, side * W) of ``image`` (B, side**2 * C, H, W)."""
        n, n_values, height, width = image.shape
        rows = image.permute(0, 2, 3, 1).reshape(n * height, width, self.side, -1)
        shape = (n, height * self.side, width * self.side, n_values // self.side**2)
        return rows.transpose(1, 2).reshape(shape).permute(0, 3, 1, 2)
