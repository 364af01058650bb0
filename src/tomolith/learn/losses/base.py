"""What every loss is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

IGNORE = -1


class Loss(nn.Module):
    """A loss over labelled pixels.

    ``loss(logits (B, C, H, W), target (B, H, W) int64) -> scalar``, with :data:`IGNORE` where
    nothing is labelled.
    """

    def prepare(self, names: Sequence[str], n_pixels: Sequence[int]) -> None:
        """Learn the classes' names and how many training pixels each has, before training."""


def labelled(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the labelled pixels alone: logits (N, C) in float32, and targets (N,).

    Examples
    --------
    >>> import torch
    >>> rows, classes = labelled(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, IGNORE, 1]]]))
    >>> rows.shape, classes
    (torch.Size([2, 2]), tensor([0, 1]))
    """
    keep = target != IGNORE
    return logits.float().movedim(1, -1)[keep], target[keep]


def zero_of(logits: Tensor) -> Tensor:
    """Return 0 with a gradient, for a batch without any labelled pixel."""
    return (logits.float() * 0.0).sum()
