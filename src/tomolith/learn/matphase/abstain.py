"""A loss for a classifier that may say 'I don't know'."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def abstaining_loss(logits: Tensor, classes: Tensor, *, reward: float) -> Tensor:
    """Return the mean of ``-log(p_right + p_idk / reward)``.

    The gambler's loss of Ziyin et al., NeurIPS 2019: a bet on the right class pays ``reward``,
    keeping the money ('I don't know', the last output) pays 1.  It is best to abstain where the
    probability of being right stays below ``1 / reward``.

    Parameters
    ----------
    logits
        (N, n_classes + 1); the last output is 'I don't know'.
    classes
        (N,) channel of the true class.
    reward
        Above 1.

    Examples
    --------
    >>> logits = torch.tensor([[0.3, 0.1, 0.6]]).log()
    >>> round(float(abstaining_loss(logits, torch.tensor([0]), reward=1.5)), 4)  # -log(0.7)
    0.3567
    """
    logs = logits.float().log_softmax(dim=1)
    right = logs.gather(1, classes[:, None])[:, 0]
    return -torch.logaddexp(right, logs[:, -1] - math.log(reward)).mean()
