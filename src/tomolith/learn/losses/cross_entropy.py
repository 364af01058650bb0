"""Cross-entropy, plain, weighted by class, and balanced within each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tomolith.config import did_you_mean
from tomolith.errors import RecipeError
from tomolith.learn.losses.base import IGNORE, Loss, labelled, zero_of


class CrossEntropy(Loss):
    """Mean cross-entropy over the labelled pixels: binary for two classes, else multi-class.

    The best loss of the TransforCNN paper.

    Parameters
    ----------
    label_smoothing
        Share of the probability that is spread over all classes in the target.

    Examples
    --------
    >>> logits = torch.zeros(1, 2, 1, 2)
    >>> round(float(CrossEntropy()(logits, torch.tensor([[[0, IGNORE]]]))), 4)
    0.6931
    """

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}; it may be 0 to below 1")
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over labelled pixels."""
        # a sum over all pixels: no copy of the labelled ones, and 0 where there are none
        total = nn.functional.cross_entropy(
            logits.float(),
            target,
            ignore_index=IGNORE,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return total / (target != IGNORE).sum().clamp(min=1)


class WeightedCrossEntropy(Loss):
    """Cross-entropy in which each class has a fixed weight.

    ``sum(w[class] * loss) / sum(w[class])`` over the labelled pixels.

    Parameters
    ----------
    weights
        Class name to weight; ``None``: the inverse of each class's share of the training
        pixels, so that all classes weigh the same over the whole training set.

    Raises
    ------
    RecipeError
        On :meth:`prepare`: a name is no class, or a class has no weight.

    Examples
    --------
    >>> loss = WeightedCrossEntropy()
    >>> loss.prepare(["matrix", "pore"], [900, 100])
    >>> loss.class_weights
    tensor([0.5556, 5.0000])
    """

    class_weights: Tensor

    def __init__(self, *, weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        if weights is not None and (not weights or min(weights.values()) < 0):
            raise ValueError("weights are class names with numbers of at least 0")
        self.weights = weights
        self.register_buffer("class_weights", torch.ones(()), persistent=False)

    def prepare(self, names: Sequence[str], n_pixels: Sequence[int]) -> None:
        """Set the weight of each class."""
        if self.weights is None:
            total, present = sum(n_pixels), sum(n > 0 for n in n_pixels)
            values = [total / (present * n) if n else 0.0 for n in n_pixels]
        else:
            for name in {*self.weights, *names}:
                if name not in self.weights or name not in names:
                    raise RecipeError(
                        f"'{name}' is {'without a weight' if name in names else 'no class'}",
                        where="train.loss.weights",
                        mend=did_you_mean(name, names),
                    )
            values = [float(self.weights[name]) for name in names]
        self.class_weights = torch.tensor(values, device=self.class_weights.device)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the weighted mean over labelled pixels."""
        weights = self.class_weights.expand(logits.shape[1]).to(logits.device)
        total = nn.functional.cross_entropy(
            logits.float(), target, weight=weights, ignore_index=IGNORE, reduction="sum"
        )
        known = target != IGNORE
        mass = (weights[target.clamp(min=0)] * known).sum()
        return total / torch.where(mass > 0, mass, torch.ones_like(mass))


class BalancedCrossEntropy(Loss):
    """Cross-entropy in which all classes present in a batch count the same.

    The mean over present classes of the mean over their pixels.

    Examples
    --------
    >>> logits = torch.tensor([[[[0.0, 0.0, 0.0]], [[0.0, 0.0, 9.0]]]])
    >>> round(float(BalancedCrossEntropy()(logits, torch.tensor([[[0, 0, 1]]]))), 4)
    0.3466
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the present classes."""
        rows, classes = labelled(logits, target)
        if not len(classes):
            return zero_of(logits)
        counts = torch.bincount(classes, minlength=logits.shape[1])
        weights = 1.0 / (counts.clamp(min=1) * (counts > 0).sum())
        return nn.functional.cross_entropy(rows, classes, weight=weights, reduction="sum")
