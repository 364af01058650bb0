"""Tversky and focal Tversky loss."""

from __future__ import annotations

from torch import Tensor, nn

from tomolith.learn.losses.base import Loss, labelled, zero_of

_LEAST = 1e-7  # below it the slope of a power would have no bound


class Tversky(Loss):
    """One minus the Tversky index: Dice in which misses and false alarms weigh differently.

    ``TI = TP / (TP + α FP + β FN)`` with ``α + β = 1``, from the soft counts of the labelled
    pixels of the batch: ``TP = Σ p t``, ``FP = Σ p (1 - t)``, ``FN = Σ (1 - p) t``.  Source: the
    TransforCNN paper (loss functions), after Salehi et al., MLMI 2017, equation 3.  The paper
    does not give α; 0.3 is the best of Salehi et al.

    The paper has two classes, and *p* is the probability of the second (lithium). With more
    classes each stands against the rest, and the loss is the mean over the classes present in
    the batch.

    Parameters
    ----------
    alpha
        Weight of false alarms, between 0 and 1; misses weigh ``1 - alpha``. At 0.5 this is Dice.
    smooth
        Pixels added above and below, so that rare classes do not jump.
    first_class
        Whether the first class counts too; ``None``: with more than two classes.

    Raises
    ------
    ValueError
        An option out of range.

    Examples
    --------
    >>> import torch
    >>> logits = torch.zeros(1, 2, 1, 4)
    >>> loss = Tversky(alpha=0.3, smooth=1e-6)  # TP 0.5, FP 1.5, FN 0.5
    >>> round(float(loss(logits, torch.tensor([[[0, 0, 0, 1]]]))), 4)
    0.6154
    """

    def __init__(
        self, *, alpha: float = 0.3, smooth: float = 1.0, first_class: bool | None = None
    ) -> None:
        super().__init__()
        if not 0 <= alpha <= 1 or smooth <= 0:
            raise ValueError(
                f"alpha is {alpha} and smooth {smooth}; alpha may be 0 to 1, smooth above 0"
            )
        self.alpha, self.smooth, self.first_class = alpha, smooth, first_class

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the classes that count."""
        rows, classes = labelled(logits, target)
        if not len(classes):
            return zero_of(logits)
        return self.of_shortfall(1 - self._index(rows, classes)).mean()

    def of_shortfall(self, shortfall: Tensor) -> Tensor:
        """Return the loss of each class from ``1 - TI``."""
        return shortfall

    def _index(self, rows: Tensor, classes: Tensor) -> Tensor:
        """Return the Tversky index of each class that counts."""
        n_classes = rows.shape[1]
        p = rows.softmax(dim=1)
        t = nn.functional.one_hot(classes, n_classes).to(p.dtype)
        hits, n_truth = (p * t).sum(0), t.sum(0)
        alarms, misses = p.sum(0) - hits, n_truth - hits
        below = hits + self.alpha * alarms + (1 - self.alpha) * misses
        index = (hits + self.smooth) / (below + self.smooth)
        first = self.first_class if self.first_class is not None else n_classes > 2
        index, n_truth = (index, n_truth) if first else (index[1:], n_truth[1:])
        # where no class that counts is present, false alarms are all there is to learn from
        return index[n_truth > 0] if bool((n_truth > 0).any()) else index


class FocalTversky(Tversky):
    """The Tversky loss to the power 1/γ: what is nearly right still pulls.

    ``(1 - TI)^(1/γ)`` with ``γ = 4/3``. Source: the TransforCNN paper (loss functions), after
    Abraham & Khan, ISBI 2019, equation 4, which defines γ by the power 1/γ and found 4/3 best.
    Some write the power as γ; ``gamma: 0.75`` gives ``(1 - TI)^(4/3)``.

    Classes as in :class:`Tversky`.

    Parameters
    ----------
    gamma
        Above 1 classes that are nearly right count more than in :class:`Tversky`; 1 is the same.
    alpha, smooth, first_class
        As for :class:`Tversky`.

    Raises
    ------
    ValueError
        An option out of range.

    Examples
    --------
    >>> import torch
    >>> logits = torch.zeros(1, 2, 1, 4)
    >>> loss = FocalTversky(smooth=1e-6)
    >>> round(float(loss(logits, torch.tensor([[[0, 0, 0, 1]]]))), 4)  # 0.6154 ** 0.75
    0.6948
    """

    def __init__(
        self,
        *,
        gamma: float = 4 / 3,
        alpha: float = 0.3,
        smooth: float = 1.0,
        first_class: bool | None = None,
    ) -> None:
        super().__init__(alpha=alpha, smooth=smooth, first_class=first_class)
        if gamma <= 0:
            raise ValueError(f"gamma is {gamma}; it must be above 0")
        self.gamma = gamma

    def of_shortfall(self, shortfall: Tensor) -> Tensor:
        """Return the loss of each class from ``1 - TI``."""
        return shortfall.clamp(min=_LEAST) ** (1 / self.gamma)
