"""Training a network on labelled slices."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tomolith.config import settings_hash
from tomolith.core import ClassSchema, Grid, Provenance
from tomolith.errors import InputError, MismatchError, RecipeError
from tomolith.label.filters import clean_labels
from tomolith.label.split_checks import check_whole_scans
from tomolith.label.splits import Split, split
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.checkpoint import EpochRow, Progress, read_checkpoint
from tomolith.learn.device import make_fabric, torch_threads
from tomolith.learn.examples import (
    Example,
    LabelledSlice,
    SliceCache,
    index_labels,
    labelled_scans,
)
from tomolith.learn.gap import check_gap
from tomolith.learn.losses import LOSSES
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import channels_last, has_depth
from tomolith.learn.own_trainer import own_trainer
from tomolith.learn.planes import check_context, check_planes
from tomolith.learn.sampling import PatchSampler
from tomolith.learn.settings import TrainSettings
from tomolith.learn.start import Start
from tomolith.learn.trainer import Task, Trainer
from tomolith.learn.validation import affordable_px, choose_slices
from tomolith.learn.weak import WeakTrainer, unlabelled_sampler
from tomolith.learn.weights import load_into
from tomolith.store.atomic import disk_errors, write_text

__all__ = ["Example", "TrainResult", "TrainingPlan", "plan_training", "run_training", "train"]


# what changes only how long or where a training runs, not what it learns from
_NOT_IN_KEY = {"threads", "device", "cache"}


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a training gave.

    Parameters
    ----------
    bundle
        The network with its best weights; also stored in ``folder``.
    folder
        ``weights.safetensors``, ``model.yaml``, ``log.csv``, ``split.json``, ``tensorboard/``.
    split
        Which slices trained, validated, and were left for the test.
    rows
        What each epoch did.
    best_epoch
        The epoch whose weights were kept.
    stopped
        ``"epochs"``, ``"time"`` or ``"patience"``.
    seconds
        Time spent, over all starts.
    """

    bundle: ModelBundle
    folder: Path
    split: Split
    rows: tuple[EpochRow, ...]
    best_epoch: int
    stopped: str
    seconds: float


def train(
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
    *,
    schema: ClassSchema,
    start: Start | None = None,
) -> TrainResult:
    """Train a network, or go on where a killed training of the same settings stopped.

    Parameters
    ----------
    examples
        Scans with labels.  What is unlabelled never counts, unless ``settings.unlabelled`` says
        how; then scans without any label are of use, too.
    settings
        See :class:`~tomolith.learn.settings.TrainSettings`.
    folder
        Where the model is stored.
    schema
        The classes to learn; every example has the same.
    start
        A trained model of the same network, whose weights are the first; ``None``: random ones.

    Raises
    ------
    InputError
        Nothing is labelled, or nothing unlabelled where that is to be learnt from; slices across
        are to train, and voxels are no cubes; or slices between neighbours, and scans hold
        sections.
    MismatchError
        The examples differ in class schema, voxel size or kind; or the model to start from is of
        another kind, or has learnt from slices that are to be held out.
    RecipeError
        A name or option is unknown, the patch does not fit the network, the split leaves nothing
        to train or validate with, or the network cannot learn from what is unlabelled; slices
        across are to train, and the network sees cubes, or less than whole scans are held out; or
        the gap of the split is less than the slices that are seen on either side.
    IntegrityError
        A checkpoint in ``folder`` is damaged.
    DiskError
        ``folder`` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import PRESETS, IntensityStats, LabelMap, Volume
    >>> truth = np.zeros((6, 32, 32), np.uint8)
    >>> truth[:, 8:24, 8:24] = 1
    >>> grid, grey = Grid(truth.shape, None), 50 + 100 * truth
    >>> labels = LabelMap(Volume(truth, grid), PRESETS["li-binary"])
    >>> example = Example("a", Volume(grey, grid), labels, (IntensityStats.of_sample(grey),))
    >>> unet = {"name": "unet", "channels": 2, "depth": 2}
    >>> settings = TrainSettings(
    ...     network=unet, epochs=1, patch_px=16, patches_per_epoch=8, device="cpu", threads=1
    ... )
    >>> folder = Path(tempfile.mkdtemp())
    >>> result = train([example], settings, folder, schema=labels.schema)
    >>> result.stopped, result.split.validation[0].z_start, (folder / "model.yaml").is_file()
    ('epochs', 3, True)
    """
    if start is not None:
        start.check(settings, schema)
    own = own_trainer(settings)
    if own is not None:
        module, _, name = own.partition(":")
        given = {} if start is None else {"start": start}
        trained: TrainResult = getattr(importlib.import_module(module), name)(
            examples, settings, folder, schema=schema, **given
        )
        return trained
    started_s = time.monotonic()
    plan = plan_training(examples, settings, schema, start=start)
    trainer = Trainer if settings.unlabelled.method == "none" else WeakTrainer
    return run_training(plan, settings, folder, started_s=started_s, trainer=trainer)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a training learns from: scans, their labelled slices and how these are divided.

    Parameters
    ----------
    examples, schema
        Scans with labels, seen in the plane that trains, and their classes.
    grid
        Of the first scan as it is stored.
    slices
        All labelled slices.
    parts
        Which of them train, validate and test.
    start
        The model whose weights are the first.
    """

    examples: Sequence[Example]
    schema: ClassSchema
    grid: Grid
    slices: Sequence[LabelledSlice]
    parts: Split
    start: Start | None = None

    def key(self, settings: TrainSettings) -> str:
        """Return the hash of all that the weights depend on."""
        scans = [
            (e.scan_id, e.image.grid.shape_zyx, str(e.image.dtype), [s.to_dict() for s in e.stats])
            for e in self.examples
        ]
        labels = [(s.example, s.z, s.checksum) for s in self.slices]
        plain = settings.model_dump(mode="json", exclude=_NOT_IN_KEY)
        first = () if self.start is None else (self.start.bundle.fingerprint,)
        parts = self.parts.to_dict()
        return settings_hash(plain, self.schema.to_dict(), parts, scans, labels, *first)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The scans, and the model that is started from, as a provenance names them."""
        start = () if self.start is None else (f"model {self.start.bundle.fingerprint}",)
        return (*(e.scan_id for e in self.examples), *start)

    def training(self) -> list[LabelledSlice]:
        """Return the slices that train."""
        wanted = {(r.scan_id, z) for r in self.parts.train for z in range(r.z_start, r.z_stop)}
        return [s for s in self.slices if (self.examples[s.example].scan_id, s.z) in wanted]


def plan_training(
    examples: Sequence[Example],
    settings: TrainSettings,
    schema: ClassSchema,
    *,
    start: Start | None = None,
) -> TrainingPlan:
    """Clean the labels, find the labelled slices, divide them; raises as :func:`train` does.

    Scans that are kept for the test are seen in slices of z whatever the plane, as these are what
    is scored; all others are turned.
    """
    _check_alike(examples, schema)
    plane, grid = settings.plane, examples[0].image.grid
    check_planes((plane,), grid, key="train.plane")
    check_context(grid, settings.context_slices, key="train.context_slices")
    check_gap(settings, is_3d=has_depth(NETWORKS.load(settings.network.name)))
    check_whole_scans(settings.split, plane, [e.scan_id for e in examples])
    cleaning, kept = settings.clean_labels, settings.split.test
    examples = [e if e.scan_id in kept else e.in_plane(plane) for e in examples]
    examples = [replace(e, labels=clean_labels(e.labels, cleaning)) for e in examples]
    slices = index_labels(examples, schema)
    parts = replace(split(labelled_scans(examples, slices), settings.split), plane=plane)
    if start is not None:
        start.check_held_out(parts, gap=0 if grid.sections else settings.split.gap)
    return TrainingPlan(examples, schema, grid, slices, parts, start)


def run_training(
    plan: TrainingPlan,
    settings: TrainSettings,
    folder: Path,
    *,
    started_s: float,
    trainer: Callable[..., Trainer] = Trainer,
) -> TrainResult:
    """Train one network as planned, or go on where a killed training stopped.

    Parameters
    ----------
    plan
        What it learns from.
    settings, folder
        As for :func:`train`.
    started_s
        Monotonic time at which the work began.
    trainer
        Called as :class:`~tomolith.learn.trainer.Trainer` is.
    """
    schema, key, training = plan.schema, plan.key(settings), plan.training()
    with torch_threads(settings.threads), torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = NETWORKS.build(settings.network, settings.in_channels, len(schema))
        check_patch(settings.patch_px, network.divisor)
        if plan.start is not None:
            _start_from(network, plan.start)
        network = network.to(memory_format=channels_last(network))
        loss = LOSSES.build(settings.loss)
        loss.prepare(schema.names, [int(n) for n in sum(s.n_pixels.sum((0, 1)) for s in training)])
        task = _task(plan, settings, training, key=key)
        run = trainer(
            network, loss, make_fabric(settings), task=task, settings=settings, folder=folder
        )
        checkpoint = folder / "checkpoint.safetensors"
        progress = read_checkpoint(checkpoint, key=key, network=network, optimizer=run.optimizer)
        with disk_errors(folder):  # no older model may look whole beside the split and log of this
            (folder / "model.yaml").unlink(missing_ok=True)
        history = {} if plan.start is None else plan.start.history()
        write_text(folder / "split.json", json.dumps(plan.parts.to_dict() | history, indent=1))
        progress = run.run(progress or Progress(), started_s=started_s)
        temperature = run.temperature(progress)
    bundle = _bundle(plan, settings, progress=progress, key=key, temperature=temperature)
    bundle.save(folder)
    checkpoint.unlink()
    return TrainResult(
        bundle,
        folder,
        plan.parts,
        tuple(progress.rows),
        progress.best_epoch,
        progress.stopped,
        progress.seconds,
    )


def _start_from(network: nn.Module, start: Start) -> None:
    """Give a network the weights of a model, or of that part of it which a stage trains."""
    wanted = network.state_dict()
    tensors = {name: value for name, value in start.bundle.weights.items() if name in wanted}
    load_into(network, tensors, where=Path("train.start_from"))


def _check_alike(examples: Sequence[Example], schema: ClassSchema) -> None:
    if not examples:
        raise InputError(
            "there is no labelled scan to train on",
            where="train",
            mend="name label files for at least one scan under 'import'",
        )
    first = examples[0].image.grid
    for example in examples:
        if example.labels.schema != schema:
            raise MismatchError(
                f"the labels have the classes {', '.join(example.labels.schema.names)}",
                expected=f"the classes of the study: {', '.join(schema.names)}",
                where=example.scan_id,
            )
        grid = example.image.grid
        same_size = (grid.voxel_size_um is None) == (first.voxel_size_um is None) and np.allclose(
            grid.voxel_size_um or 1.0, first.voxel_size_um or 1.0, rtol=0.01
        )
        if not same_size or grid.sections != first.sections:
            raise MismatchError(
                f"the scan has voxels of {_size_text(grid.voxel_size_um)}"
                + (" and holds sections" if grid.sections else ""),
                expected=f"as '{examples[0].scan_id}': {_size_text(first.voxel_size_um)}"
                + (", sections" if first.sections else ""),
                where=example.scan_id,
                mend="train one model for each voxel size, or resample the scans",
            )


def _size_text(size: tuple[float, ...] | None) -> str:
    return "unknown size" if size is None else " × ".join(f"{v:g}" for v in size) + " µm"


def check_patch(patch_px: int, divisor: int) -> None:
    """Refuse patches that the network cannot halve, with a ``RecipeError``."""
    if patch_px % divisor:
        nearest = max(divisor, round(patch_px / divisor) * divisor)
        raise RecipeError(
            f"patch_px is {patch_px}",
            expected=f"a multiple of {divisor}, which the network can halve",
            where="train.patch_px",
            mend=f"say {nearest}",
        )


def _task(
    plan: TrainingPlan, settings: TrainSettings, training: Sequence[LabelledSlice], *, key: str
) -> Task:
    examples = plan.examples
    cache = SliceCache(examples, plan.schema, settings.cache_bytes)
    largest = max(cache.slice_bytes(s.example) for s in training)
    numbers = {e.scan_id: i for i, e in enumerate(examples)}
    kept = plan.parts.validation
    places = [(numbers[r.scan_id], z) for r in kept for z in range(r.z_start, r.z_stop)]
    weak = settings.unlabelled.method != "none"
    held = largest * settings.in_channels * (2 if weak else 1)
    n_slices = max(1, settings.cache_bytes // held)
    sampler = PatchSampler(
        training,
        n_patches=settings.patches_per_epoch or _enough_patches(training, settings),
        balance=settings.balance,
        n_slices=n_slices,
        seed=settings.seed,
        patch_px=settings.patch_px,
    )
    unlabelled = None
    if weak:
        unlabelled = unlabelled_sampler(
            examples,
            plan.slices,
            plan.parts,
            settings=settings,
            n_steps=-(-sampler.n_patches // settings.batch),
            n_slices=n_slices,
        )
    normalisation = settings.normalisation.normalisation()
    most_px = affordable_px(settings, sampler.n_patches)
    chosen = choose_slices(places, examples, most_px=most_px)
    return Task(examples, sampler, chosen, cache, normalisation, key, unlabelled)


def _enough_patches(training: Sequence[LabelledSlice], settings: TrainSettings) -> int:
    """Return the patches that cover the labelled area twice, 256 to 4096."""
    area_px = sum(int(s.n_pixels.sum()) for s in training)
    return int(np.clip(2 * area_px / settings.patch_px**2, 256, 4096))


def _bundle(
    plan: TrainingPlan,
    settings: TrainSettings,
    *,
    progress: Progress,
    key: str,
    temperature: float,
) -> ModelBundle:
    return ModelBundle(
        network=settings.network,
        schema=plan.schema,
        voxel_size_um=plan.grid.voxel_size_um,
        sections=plan.grid.sections,
        normalisation=settings.normalisation.normalisation(),
        in_channels=settings.in_channels,
        patch_px=settings.patch_px,
        weights=progress.best_weights,
        settings=settings,
        scores=progress.best_scores,
        provenance=Provenance.now(
            "train",
            inputs=plan.inputs,
            settings_hash=key,
            seed=settings.seed,
        ),
        temperature=temperature,
        plane=plan.parts.plane,
    )
