"""Cross-entropy, plain, weighted by class, and balanced within each batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tomolith.config import did_you_mean
from tomolith.errors import RecipeError
from tomolith.learn.losses.base import IGNORE, Loss


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
            for name in (*self.weights, *names):  # a misspelt name first: it can be mended
                if name not in self.weights or name not in names:
                    raise RecipeError(
                        f"'{name}' is {'without a weight' if name in names else 'no class'}",
                        where="train.loss.weights",
                        mend="give it one, 0 where it shall not count"
                        if name in names
                        else did_you_mean(name, names),
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
    """Cross-entropy in which all classes that are present count the same.

    ``-[β t log p + (1 - β)(1 - t) log(1 - p)]``, the mean over the labelled pixels, with
    ``β = 1 - Σ t / n``: the share of pixels that are *not* of the second class (lithium).
    Source: the TransforCNN paper (loss functions), after Xie & Tu, ICCV 2015.

    Both classes then have the same total weight, ``2 β (1 - β)``, and a batch of one class alone
    has none. With more classes that weight becomes ``1 - Σ s²``, of the shares *s* of the
    classes, which is the same for two; it falls on the means over the pixels of each present
    class, evenly.

    Parameters
    ----------
    beta
        ``"batch"`` or ``"image"``: where the shares are counted. A number between 0 and 1: β
        itself, as the weight of all classes but the first, whose weight is ``1 - β``.
    normalised
        Divide by that total weight: batches count the same whatever their shares.

    Raises
    ------
    ValueError
        ``beta`` is something else.

    Examples
    --------
    >>> logits = torch.tensor([[[[0.0, 0.0, 0.0]], [[0.0, 0.0, 9.0]]]])
    >>> target = torch.tensor([[[0, 0, 1]]])  # β is 2/3
    >>> round(float(BalancedCrossEntropy()(logits, target)), 4)
    0.1541
    >>> round(float(BalancedCrossEntropy(normalised=True)(logits, target)), 4)
    0.3466
    """

    def __init__(self, *, beta: float | str = "batch", normalised: bool = False) -> None:
        super().__init__()
        if beta not in ("batch", "image") and (isinstance(beta, str) or not 0 < beta < 1):
            raise ValueError(f"beta is {beta!r}; it may be 'batch', 'image', or between 0 and 1")
        self.beta, self.normalised = beta, normalised

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the labelled pixels."""
        known, n_classes = target != IGNORE, logits.shape[1]
        each = nn.functional.cross_entropy(
            logits.float(), target, ignore_index=IGNORE, reduction="none"
        )
        channel = target.clamp(min=0).flatten(1)
        n_pixels = each.new_zeros(len(target), n_classes)
        n_pixels.scatter_add_(1, channel, known.flatten(1).to(n_pixels.dtype))
        weight = self._weights(n_pixels).gather(1, channel).view_as(each)
        total = (each * weight * known).sum()
        mass = (weight * known).sum() if self.normalised else known.sum()
        return total / torch.where(mass > 0, mass, torch.ones_like(mass))

    def _weights(self, n_pixels: Tensor) -> Tensor:
        """Return the weight of each class in each image, from its pixels (B, n_classes)."""
        if not isinstance(self.beta, str):
            weights = torch.full_like(n_pixels, self.beta)
            weights[:, 0] = 1 - self.beta
            return weights
        if self.beta == "batch":
            n_pixels = n_pixels.sum(0, keepdim=True).expand_as(n_pixels)
        shares = n_pixels / n_pixels.sum(1, keepdim=True).clamp(min=1)
        present = (shares > 0).sum(1, keepdim=True).clamp(min=1)
        total = 1.0 if self.normalised else 1 - (shares**2).sum(1, keepdim=True)
        return total / (present * shares.clamp(min=1e-12)) * (shares > 0)
