"""Binary cross-entropy, of each class against the rest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tomolith.learn.losses.base import Loss, labelled, zero_of


class BinaryCrossEntropy(Loss):
    """Binary cross-entropy: ``-[t log p + (1 - t) log(1 - p)]``, the mean over labelled pixels.

    Source: the TransforCNN paper (loss functions), where it was the best. The paper has two
    classes, and *p* is the probability of the second (lithium); that is the same as
    ``cross_entropy``. With more classes it is taken of each class against the rest, with the
    probabilities of the softmax, and averaged over the classes: unlike ``cross_entropy`` it
    also says which of the wrong classes are the most wrong.

    Examples
    --------
    >>> logits = torch.zeros(1, 3, 1, 1)  # p is 1/3: -[log 1/3 + 2 log 2/3] / 3
    >>> round(float(BinaryCrossEntropy()(logits, torch.tensor([[[0]]]))), 4)
    0.6365
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over labelled pixels and classes."""
        rows, classes = labelled(logits, target)
        if not len(classes):
            return zero_of(logits)
        n_classes = rows.shape[1]
        if n_classes == 2:
            return nn.functional.cross_entropy(rows, classes)
        log_all = rows.logsumexp(dim=1)
        total = nn.functional.cross_entropy(rows, classes)
        for k in range(n_classes):
            others = torch.cat([rows[:, :k], rows[:, k + 1 :]], dim=1)
            # log(1 - p) by way of the other logits, which stays finite where p rounds to 1
            log_rest = others.logsumexp(dim=1) - log_all
            total = total - (log_rest * (classes != k)).mean()
        return total / n_classes
