"""Training of networks that classify single pixels by their local patches."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tomolith.core import ClassSchema
from tomolith.learn.examples import Example
from tomolith.learn.losses.base import IGNORE, Loss
from tomolith.learn.networks.local_patches import Pixels
from tomolith.learn.settings import TrainSettings
from tomolith.learn.start import Start
from tomolith.learn.train import TrainResult, plan_training, run_training
from tomolith.learn.trainer import Trainer


def train(
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
    *,
    schema: ClassSchema,
    start: Start | None = None,
) -> TrainResult:
    """Train a network on local patches of drawn pixels; as :func:`tomolith.learn.train.train`.

    Each step reads ``settings.batch`` patches as any training does, and draws
    ``settings.pixels`` labelled pixels out of them.  The network has a method
    ``at_pixels(image, pixels) -> logits (N, n_classes)``.
    """
    started_s = time.monotonic()
    plan = plan_training(examples, settings, schema, start=start)
    return run_training(plan, settings, folder, started_s=started_s, trainer=PixelTrainer)


class PixelTrainer(Trainer):
    """A trainer whose steps learn from single pixels."""

    def _loss_of(self, image: Tensor, target: Tensor, step: int) -> Tensor:
        pixels = draw_pixels(target, self.settings.pixels)
        if pixels is None:
            return self._nothing()
        with self.fabric.autocast():
            logits = self.network.at_pixels(image, pixels)
        return loss_at(self.loss, logits, target[pixels])

    def _nothing(self) -> Tensor:
        """Return 0 with a gradient of 0, for a batch without any labelled pixel."""
        learning = [p for p in self.network.parameters() if p.requires_grad]
        return torch.stack([p.sum() for p in learning]).sum() * 0.0


def draw_pixels(
    target: Tensor, n: int, *, uncertainty: Tensor | None = None, admitted_frac: float = 1.0
) -> Pixels | None:
    """Draw labelled pixels evenly, with replacement; ``None`` where nothing is labelled.

    Parameters
    ----------
    target
        (B, H, W) channels, -1 where unlabelled.
    n
        How many.
    uncertainty
        (B, H, W); only the most certain ``admitted_frac`` of the labelled pixels are drawn.

    Examples
    --------
    >>> target = torch.tensor([[[-1, 2], [-1, -1]]])
    >>> [part.tolist() for part in draw_pixels(target, 2)]
    [[0, 0], [0, 0], [1, 1]]
    """
    labelled = (target != IGNORE).nonzero()
    if not len(labelled):
        return None
    if uncertainty is not None and admitted_frac < 1:
        values = uncertainty[labelled.unbind(1)]
        limit = values.kthvalue(math.ceil(admitted_frac * len(values))).values
        labelled = labelled[values <= limit]
    # drawn on the CPU: its random state is the one that is set for each epoch
    picked = torch.randint(len(labelled), (n,)).to(labelled.device)
    batch, y, x = labelled[picked].unbind(1)
    return batch, y, x


def loss_at(loss: Loss, logits: Tensor, classes: Tensor) -> Tensor:
    """Return a loss of images for single pixels: logits (N, C) and classes (N,).

    Examples
    --------
    >>> from tomolith.learn.losses.cross_entropy import CrossEntropy
    >>> round(float(loss_at(CrossEntropy(), torch.zeros(5, 2), torch.zeros(5).long())), 4)
    0.6931
    """
    value: Tensor = loss(logits.t()[None, :, None], classes[None, None])
    return value
