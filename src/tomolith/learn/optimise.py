"""A network made ready for prediction: layers folded and replaced, convolutions in bf16."""

from __future__ import annotations

import copy
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tomolith.learn.shuffle import shuffle_pixels

# (B, in_channels, H, W), or (B, in_channels, D, H, W) of a 3-D network
BatchShape = tuple[int, ...]
Precision = Literal["fp32", "mixed", "bf16"]
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d)
_BATCH_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


def has_depth(network: object) -> bool:
    """Tell of a network or its class whether it takes cubes (B, C, D, H, W), not slices."""
    return bool(getattr(network, "is_3d", False))


def channels_last(network: nn.Module) -> torch.memory_format:
    """Return the layout in which ``network`` and its batches are computed the fastest.

    Examples
    --------
    >>> channels_last(nn.Conv2d(1, 2, 3))
    torch.channels_last
    """
    return torch.channels_last_3d if has_depth(network) else torch.channels_last


@runtime_checkable
class Rewritten(Protocol):
    """A part of a network that computes the same faster once its weights are settled."""

    def for_prediction(self) -> None:
        """Rewrite the weights in place; the part is in eval mode, and never trained again."""


def prepare(network: nn.Module, batch_shape: BatchShape, precision: Precision) -> nn.Module:
    """Return a copy of ``network`` that computes the same faster: eval mode, norms folded.

    Parts that are :class:`Rewritten` then rewrite themselves.

    Parameters
    ----------
    network
        Stays as it is.
    batch_shape
        Of every batch to come.
    precision
        ``"fp32"`` and ``"bf16"`` leave the weights in fp32 (what runs the network rounds
        them), ``"mixed"`` rounds those of all convolutions but two.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    >>> prepare(net, (1, 1, 8, 8), "fp32")[1]
    Identity()
    """
    module = copy.deepcopy(network).eval()
    fold_batch_norms(module)
    shuffle_pixels(module)
    for part in list(module.modules()):
        if isinstance(part, Rewritten):
            part.for_prediction()
    if precision == "mixed":
        mix_precision(module, batch_shape)
    return module


def fold_batch_norms(module: nn.Module) -> int:
    """Fold each batch norm that follows a convolution in an ``nn.Sequential`` into it.

    ``module`` is changed in place and must be in eval mode.

    Returns
    -------
    int
        Number of batch norms folded.

    Examples
    --------
    >>> fold_batch_norms(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval())
    1
    """
    n_folded = 0
    for child in module.children():
        n_folded += fold_batch_norms(child)
    if isinstance(module, nn.Sequential):
        for i in range(len(module) - 1):
            first, second = module[i], module[i + 1]
            if isinstance(first, _CONVOLUTIONS) and isinstance(second, _BATCH_NORMS):
                transpose = isinstance(first, nn.ConvTranspose2d | nn.ConvTranspose3d)
                module[i] = fuse_conv_bn_eval(first, second, transpose=transpose)
                module[i + 1] = nn.Identity()
                n_folded += 1
    return n_folded


def mix_precision(module: nn.Module, batch_shape: BatchShape) -> int:
    """Run convolutions in bf16: all but the first, which takes the image, and the last.

    ``module`` is changed in place. All other layers stay in fp32.

    Returns
    -------
    int
        Number of convolutions that now run in bf16.

    Examples
    --------
    >>> inner = nn.Conv2d(16, 16, 3, padding=1)
    >>> layers = nn.Conv2d(1, 16, 3, padding=1), inner, nn.Conv2d(16, 2, 1)
    >>> mix_precision(nn.Sequential(*layers), (1, 1, 8, 8)), inner.weight.dtype
    (1, torch.bfloat16)
    """
    order = _convolutions(module, batch_shape)
    for i, name in enumerate(order):
        dtype = torch.float32 if i in (0, len(order) - 1) else torch.bfloat16
        module.set_submodule(name, _InType(module.get_submodule(name), dtype))
    for part in module.modules():
        # unlike activations and batch norms these refuse an input that is not of their own type
        if isinstance(part, nn.Linear | nn.LayerNorm | nn.PReLU):
            part.register_forward_pre_hook(_to_float)
    return max(len(order) - 2, 0)


def _convolutions(module: nn.Module, batch_shape: BatchShape) -> list[str]:
    """Return the names of the convolutions inside a network, in the order in which they run."""
    order: list[str] = []
    shadow = copy.deepcopy(module).to("meta")
    for name, part in shadow.named_modules():
        if name and isinstance(part, _CONVOLUTIONS):
            part.register_forward_hook(lambda *_, name=name: order.append(name))
    with torch.inference_mode():
        shadow(torch.zeros(batch_shape, device="meta"))
    return list(dict.fromkeys(order))


def round_weights(module: nn.Module) -> None:
    """Round the weights of convolutions and linear layers to bf16, in place.

    Examples
    --------
    >>> linear = nn.Linear(2, 2)
    >>> round_weights(linear), linear.weight.dtype
    (None, torch.bfloat16)
    """
    for part in module.modules():
        if isinstance(part, (*_CONVOLUTIONS, nn.Linear)):
            part.to(torch.bfloat16)


def _to_float(_layer: nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return (given[0].float(),)


class _InType(nn.Module):
    """Runs a layer in a type of its own, whatever type its input has."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer, self.dtype = layer.to(dtype), dtype

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image.to(self.dtype))
