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


def over_heads(loss: nn.Module, logits: Tensor, target: Tensor) -> Tensor:
    """Return the loss of ``logits``, or of all heads of a network with deep supervision.

    Source: nnU-Net (Isensee et al., Nature Methods 18, 2021): each head counts half as much as
    the one above; the weights sum to 1.

    Parameters
    ----------
    loss
        A :class:`Loss`.
    logits
        (B, C, H, W), or (B, S, C, H, W) with the final logits first of S heads.
    target
        (B, H, W).

    Examples
    --------
    >>> import torch
    >>> mean = lambda logits, target: logits.mean()
    >>> heads = torch.stack([torch.zeros(1, 2, 4, 4), torch.full((1, 2, 4, 4), 3.0)], dim=1)
    >>> over_heads(mean, heads, torch.zeros(1, 4, 4))
    tensor(1.)
    """
    if logits.ndim == 4:
        found: Tensor = loss(logits, target)
        return found
    heads = logits.unbind(1)
    weights = [0.5**k for k in range(len(heads))]
    total = zero_of(logits)
    for weight, head in zip(weights, heads, strict=True):
        total = total + weight / sum(weights) * loss(head, target)
    return total
