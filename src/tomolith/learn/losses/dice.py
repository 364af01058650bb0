"""Dice loss."""

from __future__ import annotations

from torch import Tensor, nn

from tomolith.learn.losses.base import Loss, labelled, zero_of


class Dice(Loss):
    """One minus the soft Dice coefficient, averaged over the classes present in the batch.

    ``1 - (2 Σ p t + smooth) / (Σ p + Σ t + smooth)`` per class, sums over the labelled pixels of
    the batch.  Source: Milletari et al., 3DV 2016, with sums of p instead of p².

    Parameters
    ----------
    smooth
        Pixels added above and below, so that rare classes do not jump.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[[[50.0, -50.0]], [[-50.0, 50.0]]]])
    >>> float(Dice()(logits, torch.tensor([[[0, 1]]])))
    0.0
    """

    def __init__(self, *, smooth: float = 1.0) -> None:
        super().__init__()
        if smooth <= 0:
            raise ValueError(f"smooth is {smooth}; it must be above 0")
        self.smooth = smooth

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the present classes."""
        rows, classes = labelled(logits, target)
        if not len(classes):
            return zero_of(logits)
        probability = rows.softmax(dim=1)
        truth = nn.functional.one_hot(classes, logits.shape[1]).to(probability.dtype)
        n_truth = truth.sum(0)
        overlap = (probability * truth).sum(0)
        dice = (2 * overlap + self.smooth) / (probability.sum(0) + n_truth + self.smooth)
        return 1 - dice[n_truth > 0].mean()
