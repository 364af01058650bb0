"""The stages of MatPhase, one after the other.

1. *UGSM*: the U-Net with dropout is trained as any network is, in ``<folder>/ugsm``.  What it
   leaves there is a model by itself: the network ``matphase`` with ``parts: ugsm``.
2. *HCL-IDK and LCGAR*: the UGSM is frozen.  On each batch it gives logits and predictive
   entropy; labelled pixels are drawn from the certain to the uncertain, level by level, and
   LCGAR learns their class from local patch and logits, or to say 'I don't know'.

Each stage writes a checkpoint after every epoch and a finished first stage is not repeated, so a
killed training costs one epoch at most.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tomolith.config import Component
from tomolith.core import ClassSchema
from tomolith.errors import ReadError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.examples import Example
from tomolith.learn.matphase.abstain import abstaining_loss
from tomolith.learn.matphase.settings import MatPhaseSettings
from tomolith.learn.networks import NETWORKS
from tomolith.learn.networks.local_patches import take_patches
from tomolith.learn.networks.mcd_unet import predictive_entropy
from tomolith.learn.pixels import PixelTrainer, draw_pixels, loss_at
from tomolith.learn.settings import TrainSettings
from tomolith.learn.start import Start
from tomolith.learn.train import TrainingPlan, TrainResult, plan_training, run_training
from tomolith.learn.training_log import logged_seconds
from tomolith.learn.weights import load_into
from tomolith.store.atomic import disk_errors


def train(
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
    *,
    schema: ClassSchema,
    start: Start | None = None,
) -> TrainResult:
    """Train the parts of MatPhase; parameters and errors as :func:`tomolith.learn.train.train`.

    Which parts there are is an option of the network, how long they learn stands in
    ``settings.matphase``.  Without the UGSM nothing says which pixels are uncertain, so all of
    them train from the first step.  Scores, rows and ``log.csv`` are those of the last stage; the
    time is that of both, also where the first was trained earlier.
    """
    started_s = time.monotonic()
    plan = plan_training(examples, settings, schema, start=start)
    first = _first_stage(settings)
    network = NETWORKS.build(settings.network, 1, len(schema))
    if network.lcgar is None:
        return run_training(plan, first, folder, started_s=started_s)
    second, trainer = _second_stage(settings), functools.partial(LocalTrainer, ugsm={})
    first_s = 0.0
    if network.ugsm is not None:
        with disk_errors(folder):  # no older model may look whole while the first stage learns
            (folder / "model.yaml").unlink(missing_ok=True)
        weights = _trained_ugsm(plan, first, folder / "ugsm", started_s=started_s).weights
        first_s = logged_seconds(folder / "ugsm")
        second = _second_stage(settings, time_frac=1 - settings.matphase.ugsm_time_frac)
        trainer = functools.partial(LocalTrainer, ugsm=weights)
        started_s = time.monotonic()
    result = run_training(plan, second, folder, started_s=started_s, trainer=trainer)
    return replace(result, seconds=first_s + result.seconds)


def _first_stage(settings: TrainSettings) -> TrainSettings:
    own, options = settings.matphase, settings.network.options
    changes = {"epochs": own.ugsm_epochs, "batch": own.ugsm_batch, "loss": own.ugsm_loss}
    stage = settings.model_copy(update=changes)
    if options.get("parts") == "ugsm":
        return stage
    minutes = settings.minutes
    changes = {
        "network": Component(name=settings.network.name, options={**options, "parts": "ugsm"}),
        "minutes": None if minutes is None else minutes * own.ugsm_time_frac,
        # nothing of the second stage, so that another one finds the same UGSM
        "matphase": MatPhaseSettings(),
    }
    return stage.model_copy(update=changes)


def _second_stage(settings: TrainSettings, *, time_frac: float = 1.0) -> TrainSettings:
    own, minutes = settings.matphase, settings.minutes
    minutes = None if minutes is None else minutes * time_frac
    changes = {"epochs": own.epochs, "batch": own.crops, "minutes": minutes}
    return settings.model_copy(update=changes)


def _trained_ugsm(
    plan: TrainingPlan, settings: TrainSettings, folder: Path, *, started_s: float
) -> ModelBundle:
    """Return the first stage's model: as it lies in ``folder``, or newly trained."""
    try:
        found = ModelBundle.load(folder)
    except ReadError:  # there is none yet
        return run_training(plan, settings, folder, started_s=started_s).bundle
    if found.provenance.settings_hash == plan.key(settings):
        return found
    return run_training(plan, settings, folder, started_s=started_s).bundle


class LocalTrainer(PixelTrainer):
    """Trains LCGAR on single pixels, from the certain to the uncertain.

    Parameters
    ----------
    network
        A :class:`~tomolith.learn.networks.matphase.MatPhase`.
    ugsm
        Weights of its UGSM, which stay as they are; empty where it has none.
    """

    def __init__(
        self, network: nn.Module, *given: Any, ugsm: Mapping[str, Tensor], **named: Any
    ) -> None:
        if ugsm:
            own = {name.removeprefix("ugsm."): tensor for name, tensor in ugsm.items()}
            load_into(network.ugsm, own, where=Path("ugsm"))
            network.ugsm.requires_grad_(False)
        super().__init__(network, *given, **named)

    def _loss_of(self, image: Tensor, target: Tensor, step: int) -> Tensor:
        own, net = self.settings.matphase, self.network
        wide = uncertainty = None
        with self.fabric.autocast():
            if net.ugsm is not None:
                net.ugsm.eval()  # the epoch has set all parts to training
                with torch.no_grad():
                    wide = net.ugsm(image)
                uncertainty = predictive_entropy(wide)
            pixels = draw_pixels(
                target,
                self.settings.pixels,
                uncertainty=uncertainty,
                admitted_frac=admitted_frac(self._done_frac(step), own.levels),
            )
            if pixels is None:
                return self._nothing()
            batch, y, x = pixels
            patches = take_patches(image, pixels, net.lcgar.local_px)
            local = net.lcgar.of_patches(patches, None if wide is None else wide[batch, :, y, x])
        classes = target[pixels]
        if net.idk:
            return abstaining_loss(local, classes, reward=own.idk_reward)
        return loss_at(self.loss, local, classes)


def admitted_frac(done_frac: float, levels: int) -> float:
    """Return the share of the pixels, the most certain first, that the curriculum admits.

    Examples
    --------
    >>> [admitted_frac(done, 4) for done in (0.0, 0.2, 0.3, 0.6, 0.8, 1.0)]
    [0.25, 0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return min(int(done_frac * levels) + 1, levels) / levels
