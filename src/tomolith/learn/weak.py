"""Weak supervision: learning from slices without labels beside those with labels.

Two methods, chosen by ``train.unlabelled``.  Both add to the loss of each labelled batch a term
on a batch of unlabelled patches, with a weight that is ramped up:

- *pseudo-labels* (Lee, "Pseudo-Label", ICML 2013 workshop on challenges in representation
  learning): the class that the network itself gives a pixel is its label, where its probability
  reaches a threshold.  As in FixMatch (Sohn et al., NeurIPS 2020, equation 4) the label comes from
  a weakly varied view, the loss from a strongly varied one, and the mean is over all pixels.
- *mean teacher* (Tarvainen and Valpola, NeurIPS 2017): the teacher's weights are an exponential
  moving average of the network's, and the network is drawn to the teacher's probabilities.

Both views of a patch are moved alike; only their grey values differ.  The teacher, and the network
while it gives pseudo-labels, run in evaluation mode, without dropout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tomolith.errors import InputError
from tomolith.label.splits import Split, free_slices
from tomolith.learn.augment import move, read_px, vary_grey
from tomolith.learn.averaging import RunningAverage
from tomolith.learn.examples import TILE_PX, Example, LabelledSlice, labelled_scans
from tomolith.learn.losses.base import IGNORE, over_heads
from tomolith.learn.sampling import PatchSampler, read_batches
from tomolith.learn.settings import TrainSettings
from tomolith.learn.trainer import Trainer

_STREAM = 2**20  # seeds of unlabelled patches lie so far from those of labelled ones
_N_SLICES = 32  # unlabelled ones per epoch: a slice of a large volume takes long to read
_LAST = torch.channels_last


def pseudo_label_loss(
    logits: Tensor, judged: Tensor, usable: Tensor, *, confidence: float
) -> Tensor:
    """Return the cross-entropy against confident labels that the network gave itself.

    Parameters
    ----------
    logits
        (B, C, H, W), of the view that is learnt from.
    judged
        (B, C, H, W) logits of the view that gives the labels; no gradient flows there.
    usable
        (B, H, W) bool: pixels that are unlabelled and inside the image.
    confidence
        Least probability of a label.  The sum is divided by all usable pixels, so what is
        doubtful makes the loss small.

    Examples
    --------
    >>> judged = torch.tensor([[[[4.0, 1.0]], [[0.0, 0.0]]]])  # probabilities 0.98 and 0.73
    >>> usable = torch.ones(1, 1, 2, dtype=torch.bool)
    >>> loss = pseudo_label_loss(torch.zeros(1, 2, 1, 2), judged, usable, confidence=0.95)
    >>> round(float(loss), 4)  # half of log(2)
    0.3466
    """
    probability, label = judged.detach().float().softmax(1).max(1)
    target = torch.where(usable & (probability >= confidence), label, IGNORE)
    total = functional.cross_entropy(logits.float(), target, ignore_index=IGNORE, reduction="sum")
    return total / usable.sum().clamp(min=1)


def consistency_loss(logits: Tensor, judged: Tensor, usable: Tensor) -> Tensor:
    """Return the squared distance of two views' probabilities: sum over classes, mean over pixels.

    Parameters
    ----------
    logits, judged, usable
        As in :func:`pseudo_label_loss`; ``judged`` are the teacher's.

    Examples
    --------
    >>> usable = torch.ones(1, 1, 1, dtype=torch.bool)
    >>> sure = torch.tensor([[[[30.0]], [[0.0]]]])
    >>> round(float(consistency_loss(torch.zeros(1, 2, 1, 1), sure, usable)), 4)
    0.5
    """
    gap = logits.float().softmax(1) - judged.detach().float().softmax(1)
    return ((gap**2).sum(1) * usable).sum() / usable.sum().clamp(min=1)


def ramp_up(done_frac: float, ramp_up_frac: float) -> float:
    """Return ``exp(-5 (1 - T)²)``, T from 0 to 1 over the ramp; 1 after it.

    Source: Tarvainen and Valpola 2017, section 3.1, after Laine and Aila, ICLR 2017.

    Parameters
    ----------
    done_frac
        Share of the training that is over.
    ramp_up_frac
        Share of the training that the ramp takes; 0 for none.

    Examples
    --------
    >>> [round(ramp_up(done, 0.2), 4) for done in (0.0, 0.1, 0.2, 1.0)]
    [0.0067, 0.2865, 1.0, 1.0]
    """
    if done_frac >= ramp_up_frac:
        return 1.0
    return math.exp(-5 * (1 - done_frac / ramp_up_frac) ** 2)


class Teacher(RunningAverage):
    """An exponential moving average of a network's weights: the mean teacher.

    ``teacher = a teacher + (1 - a) student`` after each step.  Source: Tarvainen and Valpola
    2017, equation 1; a is 0.99 during the ramp, when the student learns quickly, and 0.999 after
    it.  It never exceeds ``step / (step + 9)``, so that the average goes back about a tenth of the
    steps so far: the authors have ``step / (step + 1)``, which suits their 150 000 steps, but in
    some hundred steps would keep much of the random start.  Statistics of batch norms are averaged
    in the same way.

    Parameters
    ----------
    network
        The student.
    ema
        a during the ramp, and after it.
    in_ramp
        Tells of a step whether it belongs to the ramp.

    Examples
    --------
    >>> student = nn.Linear(1, 1)
    >>> teacher = Teacher(student, ema=(0.5, 0.9), in_ramp=lambda step: step < 100)
    >>> for step, weight in ((0, 1.0), (30, 2.0), (31, 4.0)):
    ...     _ = nn.init.constant_(student.weight, weight)
    ...     teacher.update(student, step)
    >>> teacher.network.weight.item()  # 1, then 1.5, then 2.75
    2.75
    """

    def __init__(
        self, network: nn.Module, *, ema: tuple[float, float], in_ramp: Callable[[int], bool]
    ) -> None:
        super().__init__(network, 0)
        self._ema, self._in_ramp = ema, in_ramp

    def _share(self, step: int) -> float:
        kept = self._ema[0] if self._in_ramp(step) else self._ema[1]
        return 1 - min(kept, step / (step + 9))


class WeakTrainer(Trainer):
    """A trainer whose steps also learn from a batch of unlabelled patches.

    The task names the patches (``task.unlabelled``).  A mean teacher takes the place of the
    running average: it is validated, stored in checkpoints, and kept in the end.
    """

    def __init__(self, network: nn.Module, *given: Any, **named: Any) -> None:
        super().__init__(network, *given, **named)
        own = self.settings.unlabelled
        if own.method == "mean_teacher":
            self._average = Teacher(
                network,
                ema=own.ema,
                in_ramp=lambda step: self._done_frac(step) < own.ramp_up_frac,
            )

    def _batches(self, epoch: int) -> Any:
        self._rng = torch.Generator().manual_seed(
            (self.settings.seed + _STREAM) * 1_000_003 + epoch
        )
        self._regions = self._read(epoch)
        return super()._batches(epoch)

    def _read(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        task, settings = self.task, self.settings
        assert task.unlabelled is not None
        return read_batches(
            task.unlabelled.epoch(epoch),
            task.examples,
            task.cache,
            normalisation=task.normalisation,
            batch=settings.unlabelled.batch or settings.batch,
            side_px=read_px(settings.patch_px, settings.augment),
            n_slices=settings.in_channels,
            unlabelled=True,
        )

    def _loss_of(self, image: Tensor, target: Tensor, step: int) -> Tensor:
        own = self.settings.unlabelled
        plain, varied, usable = self._views()
        judged = self._judge(plain)
        # one batch, so that batch norms learn the statistics of both
        logits = self._model(torch.cat([image, varied]).contiguous(memory_format=_LAST))
        labelled, unlabelled = logits[: len(image)], logits[len(image) :]
        loss: Tensor = over_heads(self.loss, labelled, target)
        if unlabelled.ndim == 5:  # of deep supervision, the final head alone
            unlabelled = unlabelled[:, 0]
        if own.method == "mean_teacher":
            term = consistency_loss(unlabelled, judged, usable)
        else:
            term = pseudo_label_loss(unlabelled, judged, usable, confidence=own.confidence)
        self._unlabelled.append(float(term.detach()))
        return loss + own.weight * ramp_up(self._done_frac(step), own.ramp_up_frac) * term

    def _views(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next patches as the judge and as the network sees them, and usable pixels."""
        settings, rng = self.settings, self._rng
        image, free = next(self._regions)
        image, free = move(image, free, settings.augment, patch_px=settings.patch_px, rng=rng)
        plain = vary_grey(image, settings.augment, rng)
        varied = vary_grey(image, settings.unlabelled.augment, rng)
        to_device = self.fabric.to_device
        return to_device(plain), to_device(varied), to_device(free != IGNORE)

    def _judge(self, image: Tensor) -> Tensor:
        """Return the logits of the teacher, or of the network itself without dropout."""
        teaches = self.settings.unlabelled.method == "mean_teacher"
        network = self._average.network if teaches else self.network
        network.eval()
        with torch.no_grad(), self.fabric.autocast():
            logits: Tensor = network(image.contiguous(memory_format=_LAST))
        network.train(not teaches)
        return logits


def unlabelled_sampler(
    examples: Sequence[Example],
    slices: Sequence[LabelledSlice],
    parts: Split,
    *,
    settings: TrainSettings,
    n_steps: int,
    n_slices: int,
) -> PatchSampler:
    """Return what draws the unlabelled patches, evenly over all unlabelled pixels.

    Parameters
    ----------
    examples, slices, parts
        The scans, all their labelled slices, and how these are divided.
    settings
        Of the training.
    n_steps
        Batches per epoch.
    n_slices
        Slices per epoch at most; never more than 32.

    Raises
    ------
    InputError
        Nothing is left that is unlabelled.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid, IntensityStats, Volume
    >>> image = Volume(np.zeros((2, 32, 32), np.uint8), Grid((2, 32, 32), None))
    >>> stats = (IntensityStats.of_sample(np.arange(9)),)
    >>> scan = Example.without_labels("a", image, PRESETS["li-binary"], stats=stats)
    >>> settings, parts = TrainSettings(batch=4, patch_px=16), Split((), ())
    >>> unlabelled_sampler([scan], [], parts, settings=settings, n_steps=3, n_slices=9).n_patches
    12
    """
    free = _free_tiles(examples, slices, parts, gap=settings.split.gap)
    if not free:
        raise InputError(
            "no voxel of the training scans is unlabelled",
            expected="unlabelled voxels or slices that neither validate nor test",
            where="train.unlabelled",
            mend="name scans without labels under 'train.unlabelled_scans', or leave "
            "'train.unlabelled' out",
        )
    return PatchSampler(
        free,
        n_patches=n_steps * (settings.unlabelled.batch or settings.batch),
        n_slices=min(n_slices, _N_SLICES),
        seed=settings.seed + _STREAM,
        patch_px=settings.patch_px,
    )


def _free_tiles(
    examples: Sequence[Example], slices: Sequence[LabelledSlice], parts: Split, *, gap: int
) -> list[LabelledSlice]:
    """Return the slices that may be learnt from; their one 'class' is all that is unlabelled."""
    labelled = {(s.example, s.z): s for s in slices}
    scans = labelled_scans(examples, slices)
    numbers = {e.scan_id: i for i, e in enumerate(examples)}
    n_slices = {e.scan_id: e.image.grid.shape_zyx[0] for e in examples}
    found = []
    for scan_id, z in free_slices(scans, parts, n_slices=n_slices, gap=gap):
        example = numbers[scan_id]
        shape = examples[example].image.grid.shape_zyx[1:]
        sides = [np.minimum(TILE_PX, side - np.arange(0, side, TILE_PX)) for side in shape]
        n_pixels = np.multiply.outer(*sides)[..., None]
        if (example, z) in labelled:
            n_pixels = n_pixels - labelled[example, z].n_pixels.sum(-1, keepdims=True)
        if n_pixels.any():
            found.append(LabelledSlice(example, z, n_pixels, shape))
    return found
