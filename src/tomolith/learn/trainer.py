"""The training loop, on Lightning's Fabric.

Fabric gives devices, precision and, later, several processes; the loop is our own because time
limits, resuming after a kill and safe checkpoints want to see every step.  Each epoch draws its
patches, augmentation and dropout from the seed and its own number, so a resumed training sees
exactly what an uninterrupted one would have seen.  With a time limit (``minutes``) the patches are
the same, but the clock decides how the learning rate falls and when it stops: the weights differ.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tomolith import config
from tomolith.core import Normalisation
from tomolith.errors import InputError
from tomolith.learn.augment import augment, read_px
from tomolith.learn.averaging import RunningAverage
from tomolith.learn.calibration import slices_temperature
from tomolith.learn.checkpoint import EpochRow, Progress, write_checkpoint
from tomolith.learn.examples import Example, SliceCache
from tomolith.learn.losses.base import Loss, over_heads
from tomolith.learn.optimise import channels_last
from tomolith.learn.sampling import PatchSampler, read_batches
from tomolith.learn.settings import TrainSettings
from tomolith.learn.training_log import TrainingLog
from tomolith.learn.validation import SlicePredictor, validate

if TYPE_CHECKING:
    from lightning.fabric import Fabric

WARM_UP_STEPS = 20
LAST_LR_FRAC = 0.01


@dataclass(frozen=True, slots=True)
class Task:
    """What is learnt from what; fixed during a training."""

    examples: Sequence[Example]
    sampler: PatchSampler
    validation: Sequence[tuple[int, int]]
    cache: SliceCache
    normalisation: Normalisation
    key: str
    unlabelled: PatchSampler | None = None


class Trainer:
    """Runs epochs until the epochs, the time or the patience are used up.

    Parameters
    ----------
    network, loss, fabric
        What is trained, by what, and where.
    task
        The data.
    settings
        All settings.
    folder
        For ``checkpoint.safetensors``, ``log.csv`` and TensorBoard's files.
    """

    predictor: type[SlicePredictor] = SlicePredictor

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        fabric: Fabric,
        *,
        task: Task,
        settings: TrainSettings,
        folder: Path,
    ) -> None:
        self.network, self.loss, self.fabric = network, loss, fabric
        self.task, self.settings, self.folder = task, settings, folder
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._layout = channels_last(network)
        self._average = RunningAverage(network, settings.average_steps)
        self._unlabelled: list[float] = []  # losses of this epoch, where such patches train
        self._model: Any = network
        self._limit_s = math.inf if settings.minutes is None else 60 * settings.minutes
        self._validation_s = 0.0

    def run(self, progress: Progress, *, started_s: float) -> Progress:
        """Train on from ``progress``; ``started_s`` is the monotonic time of this start."""
        self._started_s = started_s - progress.seconds
        self._average.restore(progress.average)
        self.fabric.to_device(self._average.network)
        self._model, optimizer = self.fabric.setup(self.network, self.optimizer)
        settings = self.settings
        log = TrainingLog(self.folder, progress.rows)
        with config.progress("training", total=1.0) as bar:
            shown = 0.0
            while not progress.stopped:
                row, scores = self._epoch(progress, optimizer)
                self._note(progress, row, scores)
                progress.stopped = self._why_stop(progress)
                log.add(row)
                write_checkpoint(
                    self.folder / "checkpoint.safetensors",
                    progress,
                    key=self.task.key,
                    network=self.network,
                    optimizer=self.optimizer,
                )
                done = 1.0 if progress.stopped else self._done_frac(progress.step)
                note = f"epoch {row.epoch}/{settings.epochs}, IoU {row.validation_iou:.3f}"
                bar.advance(done - shown, note=note)
                shown = done
        return progress

    def temperature(self, progress: Progress) -> float:
        """Return the temperature of the best weights, on the validation slices."""
        self._average.restore(progress.best_weights)
        return slices_temperature(self._predictor(), self.task.validation)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def _time_is_up(self) -> bool:
        return self._elapsed_s() + self._validation_s >= self._limit_s

    def _why_stop(self, progress: Progress) -> str:
        if progress.epoch >= self.settings.epochs:
            return "epochs"
        if self._time_is_up():
            return "time"
        patience = self.settings.patience
        if patience is not None and progress.epoch - progress.best_epoch >= patience:
            return "patience"
        return ""

    def _note(self, progress: Progress, row: EpochRow, scores: dict[str, float | None]) -> None:
        progress.epoch, progress.step, progress.seconds = row.epoch, row.step, row.seconds
        progress.rows.append(row)
        if row.validation_iou > progress.best_iou:
            progress.best_epoch, progress.best_iou = row.epoch, row.validation_iou
            progress.best_scores = scores
            progress.best_weights = self._average.weights()
        progress.average = self._average.weights()

    def _epoch(
        self, progress: Progress, optimizer: Any
    ) -> tuple[EpochRow, dict[str, float | None]]:
        epoch, step = progress.epoch, progress.step
        total, n = 0.0, 0
        self._unlabelled.clear()
        lr = self.settings.learning_rate
        self.network.train()
        torch.manual_seed(self.settings.seed * 1_000_003 + epoch)  # dropout
        for image, target in self._batches(epoch):
            lr = self._set_lr(step)
            optimizer.zero_grad(set_to_none=True)
            loss = self._loss_of(image, target, step)
            value = self._finite(float(loss.detach()), f"training loss in epoch {epoch + 1}")
            self.fabric.backward(loss)
            optimizer.step()
            self._average.update(self.network, step)
            total, n, step = total + value, n + 1, step + 1
            if self._time_is_up():
                break
        scores = self._validate()
        self._finite(scores.loss, f"validation loss after epoch {epoch + 1}")
        values = {f"validation_iou_{name}": v for name, v in scores.iou.items()}
        row = EpochRow(
            epoch=epoch + 1,
            step=step,
            train_loss=total / n,
            validation_loss=scores.loss,
            validation_iou=scores.mean_iou,
            lr=lr,
            seconds=self._elapsed_s(),
            unlabelled_loss=sum(self._unlabelled) / n if self._unlabelled else None,
        )
        return row, {"validation_iou": scores.mean_iou, **values}

    def _loss_of(self, image: Tensor, target: Tensor, step: int) -> Tensor:
        """Return the loss of one batch, images (B, slices, H, W) and channels (B, H, W)."""
        loss: Tensor = over_heads(self.loss, self._model(image), target)
        return loss

    def _finite(self, value: float, what: str) -> float:
        """Return ``value``; refuse NaN and Inf before anything of the epoch is written."""
        if not math.isfinite(value):
            raise InputError(
                f"the training has diverged: the {what} is {value}",
                expected="a finite number",
                where=self.folder,
                mend=f"lower 'train.learning_rate' (it is {self.settings.learning_rate:g})",
            )
        return value

    def _batches(self, epoch: int) -> Any:
        settings = self.settings
        rng = torch.Generator().manual_seed(settings.seed * 1_000_003 + epoch)
        for image, target in self._read_regions(epoch):
            image, target = augment(
                image, target, settings.augment, patch_px=settings.patch_px, rng=rng
            )
            image = image.contiguous(memory_format=self._layout)
            yield self.fabric.to_device(image), self.fabric.to_device(target)

    def _read_regions(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what patches are cut from: images (B, slices, R, R) and channels (B, R, R)."""
        task, settings = self.task, self.settings
        return read_batches(
            task.sampler.epoch(epoch),
            task.examples,
            task.cache,
            normalisation=task.normalisation,
            batch=settings.batch,
            side_px=read_px(settings.patch_px, settings.augment),
            n_slices=settings.in_channels,
        )

    def _predictor(self) -> SlicePredictor:
        task, settings = self.task, self.settings
        return self.predictor(
            self._forward,
            task.examples,
            task.cache,
            task.normalisation,
            settings.patch_px,
            settings.batch,
            settings.in_channels,
        )

    def _validate(self) -> Any:
        start = time.monotonic()
        scores = validate(self._predictor(), self.loss, self.task.validation)
        self._validation_s = time.monotonic() - start
        return scores

    def _forward(self, image: Tensor) -> Tensor:
        image = self.fabric.to_device(image.contiguous(memory_format=self._layout))
        with self.fabric.autocast():
            logits: Tensor = self._average.network(image)
        return logits

    def _done_frac(self, step: int) -> float:
        """Share of the training that is over: by steps, or by time where that is further."""
        n_steps = self.settings.epochs * -(-self.task.sampler.n_patches // self.settings.batch)
        return min(1.0, max(step / n_steps, self._elapsed_s() / self._limit_s))

    def _set_lr(self, step: int) -> float:
        lr = self.settings.learning_rate * min(1.0, (step + 1) / WARM_UP_STEPS)
        if self.settings.schedule == "cosine":
            fall = 0.5 * (1 + math.cos(math.pi * self._done_frac(step)))
            lr *= LAST_LR_FRAC + (1 - LAST_LR_FRAC) * fall
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr
