"""Training of networks that see cubes of a volume, from labels of all or only some of its slices.

A cube is drawn around a labelled pixel, whose slice lies anywhere in it. Only the labels of slices
that train count; those of all others are taken for unlabelled, which losses pass over, so a few
labelled slices train a 3-D network. No cube reaches into a slice that validates or tests: the
split keeps these at least half a cube away from what trains.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tomolith.blocks import PatchGrid
from tomolith.core import Box, ClassSchema, IntensityStats, Normalisation, Volume
from tomolith.core.box import Triple
from tomolith.errors import InputError
from tomolith.learn.augment import read_px
from tomolith.learn.examples import Example, LabelledSlice, channel_table
from tomolith.learn.losses.base import IGNORE
from tomolith.learn.planes import check_cubes
from tomolith.learn.sampling import Patch, PatchSampler
from tomolith.learn.settings import TrainSettings
from tomolith.learn.sliding import Infer, blend_slices
from tomolith.learn.start import Start
from tomolith.learn.train import TrainingPlan, TrainResult, plan_training, run_training
from tomolith.learn.trainer import Trainer
from tomolith.learn.validation import OVERLAP_FRAC, SlicePredictor, as_infer

Float32 = npt.NDArray[np.float32]
LEAST_CUBES, MOST_CUBES = 64, 1024  # of an epoch, where their number is not given


def train(
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
    *,
    schema: ClassSchema,
    start: Start | None = None,
) -> TrainResult:
    """Train a 3-D network; as :func:`tomolith.learn.train.train`.

    ``settings.patch_px`` is the side of the cubes. Where ``patches_per_epoch`` is ``None``, as
    many cubes are drawn as hold the labelled voxels twice, 64 to 1024.

    Raises
    ------
    InputError
        Nothing is labelled; a scan holds sections, its voxels are no cubes or of unknown size, or
        it is smaller than a cube.
    RecipeError
        The split keeps validation and test slices less than half a cube away from training, or
        leaves nothing.
    """
    started_s = time.monotonic()
    side = settings.patch_px
    for example in examples:
        grid = example.image.grid
        check_cubes(grid, where=example.scan_id)
        if min(grid.shape_zyx) < side:
            raise InputError(
                f"the scan has {' × '.join(map(str, grid.shape_zyx))} voxels (z, y, x)",
                expected=f"at least the cube of {side} that the network is trained on",
                where=example.scan_id,
                mend="lower 'train.patch_px', or leave the scan out",
            )
    plan = plan_training(examples, settings, schema, start=start)
    return run_training(
        plan, settings, folder, started_s=started_s, trainer=partial(CubeTrainer, plan=plan)
    )


class CubePredictor(SlicePredictor):
    """Predicts labelled slices as a 3-D network does, neighbouring ones together."""

    __slots__ = ()

    def predict(
        self, places: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[Float32, npt.NDArray[np.int64]]]:
        """Yield logits (classes, height, width) and channels of the slices, by example and z."""
        table = channel_table(self.schema)
        for example, wanted in _near(places, self.patch_px):
            slices = cube_logits(
                as_infer(self.forward),
                self.examples[example],
                normalisation=self.normalisation,
                patch_px=self.patch_px,
                batch=self.batch,
                z_range=(wanted[0], wanted[-1] + 1),
            )
            for z, logits in slices:
                if z in wanted:
                    yield logits, table[self.cache.read(example, z)[1]]


def _near(places: Sequence[tuple[int, int]], side: int) -> list[tuple[int, list[int]]]:
    """Return the slices of each example in groups of neighbours less than ``side`` apart."""
    groups: list[tuple[int, list[int]]] = []
    for example, z in sorted(places):
        if groups and groups[-1][0] == example and z - groups[-1][1][-1] < side:
            groups[-1][1].append(z)
        else:
            groups.append((example, [z]))
    return groups


class CubeTrainer(Trainer):
    """A trainer whose patches are cubes.

    Parameters
    ----------
    plan
        Which slices train, and which are held out.
    """

    predictor = CubePredictor

    def __init__(self, *given: Any, plan: TrainingPlan, **named: Any) -> None:
        super().__init__(*given, **named)
        training = plan.training()
        self._trains = {(s.example, s.z) for s in training}
        self.task = replace(self.task, sampler=_sampler(plan, training, self.settings))

    def _read_regions(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        settings = self.settings
        return read_cubes(
            self.task.sampler.epoch(epoch),
            self.task.examples,
            self._trains,
            normalisation=self.task.normalisation,
            batch=settings.batch,
            side_px=read_px(settings.patch_px, settings.augment),
            depth=settings.patch_px,
        )

    def _loss_of(self, image: Tensor, target: Tensor, step: int) -> Tensor:
        # the rows of all slices one after another: every loss of images takes that
        logits = self._model(image).flatten(2, 3)
        loss: Tensor = self.loss(logits, target.flatten(1, 2))
        return loss


class Scanned(Protocol):
    """A scan or an example: an image and its statistics."""

    image: Volume
    stats: tuple[IntensityStats, ...]


def cube_logits(
    infer: Infer,
    scan: Scanned,
    *,
    normalisation: Normalisation,
    patch_px: int,
    batch: int,
    z_range: tuple[int, int],
) -> Iterator[tuple[int, Float32]]:
    """Yield z and the logits (classes, height, width) of whole slices, as ``predict`` has them.

    Parameters
    ----------
    infer
        Returns the logits (B, n_classes, D, H, W) of normalised cubes (B, 1, D, H, W).
    scan
        At least as large as a cube; no more of it is read than one batch at a time.
    normalisation, patch_px, batch
        How cubes are given to ``infer``.
    z_range
        First slice, and the one after the last.
    """
    shape = scan.image.grid.shape_zyx

    def prepare(box: Box) -> Float32:
        given = normalisation.apply(scan.image.read(box), scan.stats, z_start=box.start_zyx[0])
        return np.nan_to_num(given, nan=0.0, posinf=0.0, neginf=0.0)[None]

    return blend_slices(
        prepare,
        infer,
        patches=PatchGrid(shape, (patch_px,) * 3, OVERLAP_FRAC),
        write=Box((z_range[0], 0, 0), (z_range[1], *shape[1:])),
        batch_size=batch,
    )


class CubeSampler(PatchSampler):
    """Cubes around labelled pixels, the same for the same seed and epoch.

    Parameters
    ----------
    slices, n_patches, balance, seed, patch_px
        As of :class:`~tomolith.learn.sampling.PatchSampler`.
    firsts
        Of each labelled slice (example, z), the lowest and highest first slice of its cubes.
    """

    def __init__(
        self,
        slices: Sequence[LabelledSlice],
        *,
        firsts: Mapping[tuple[int, int], tuple[int, int]],
        **named: Any,
    ) -> None:
        super().__init__(slices, **named)
        self._firsts = firsts

    def epoch(self, epoch: int) -> list[Patch]:
        """Return the cubes of one epoch, in random order."""
        rng = np.random.default_rng([self._seed, epoch, 3])
        patches = []
        for patch in super().epoch(epoch):
            low, high = self._firsts[patch.example, patch.z]
            z = int(rng.integers(low, high + 1)) + self._patch_px // 2
            patches.append(replace(patch, z=z))
        return patches


def _sampler(
    plan: TrainingPlan, training: Sequence[LabelledSlice], settings: TrainSettings
) -> CubeSampler:
    side = settings.patch_px
    n_voxels = sum(int(s.n_pixels.sum()) for s in training)
    enough = int(np.clip(2 * n_voxels / side**3, LEAST_CUBES, MOST_CUBES))
    held: dict[str, list[int]] = {}
    for r in (*plan.parts.validation, *plan.parts.test):
        held.setdefault(r.scan_id, []).extend(range(r.z_start, r.z_stop))
    firsts = {}
    for s in training:
        example = plan.examples[s.example]
        depth = example.image.grid.shape_zyx[0]
        firsts[s.example, s.z] = first_slices(s.z, side, depth, held.get(example.scan_id, ()))
    return CubeSampler(
        training,
        firsts=firsts,
        n_patches=settings.patches_per_epoch or enough,
        balance=settings.balance,
        seed=settings.seed,
        patch_px=side,
    )


def first_slices(z: int, side: int, depth: int, held: Collection[int]) -> tuple[int, int]:
    """Return the lowest and highest first slice of the cubes that hold slice ``z``.

    They hold none of the slices ``held``, which are more than half a side away, and lie inside
    the volume where that leaves any.

    Parameters
    ----------
    z
        A labelled slice.
    side
        Of a cube.
    depth
        Slices of the volume.
    held
        Slices that validate or test.

    Examples
    --------
    >>> first_slices(20, 8, 40, [])
    (13, 20)
    >>> first_slices(20, 8, 40, [25])
    (13, 17)
    >>> first_slices(1, 8, 40, [])
    (0, 1)
    """
    low = max([z - side + 1, *(other + 1 for other in held if other < z)])
    high = min([z, *(other - side for other in held if other > z)])
    inside = max(low, 0), min(high, depth - side)
    return inside if inside[0] <= inside[1] else (low, high)


def read_cubes(
    patches: Sequence[Patch],
    examples: Sequence[Example],
    trains: Collection[tuple[int, int]],
    *,
    normalisation: Normalisation,
    batch: int,
    side_px: int,
    depth: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield regions around cubes: images (B, 1, depth, side, side) and channels without the 1.

    Channels are -1 but in the slices (example, z) of ``trains``.
    """
    table = channel_table(examples[0].labels.schema)
    for start in range(0, len(patches), batch):
        images, targets = [], []
        for patch in patches[start : start + batch]:
            y, x = (centre - side_px // 2 for centre in patch.centre_yx)
            z = patch.z - depth // 2
            example = examples[patch.example]
            image, values = _read(example, (z, y, x), (depth, side_px, side_px), normalisation)
            channels = table[values]
            unused = [k for k in range(depth) if (patch.example, z + k) not in trains]
            channels[unused] = IGNORE
            images.append(image)
            targets.append(channels)
        yield torch.from_numpy(np.stack(images)[:, None]), torch.from_numpy(np.stack(targets))


def _read(
    example: Example, corner_zyx: Triple, shape_zyx: Triple, normalisation: Normalisation
) -> tuple[Float32, npt.NDArray[Any]]:
    """Return normalised grey values and label values; outside: mirrored, and unlabelled."""
    whole = example.image.grid.shape_zyx
    low = tuple(max(start, 0) for start in corner_zyx)
    ends = tuple(start + size for start, size in zip(corner_zyx, shape_zyx, strict=True))
    high = tuple(min(end, size) for end, size in zip(ends, whole, strict=True))
    pads = [
        (first - start, end - last)
        for start, first, last, end in zip(corner_zyx, low, high, ends, strict=True)
    ]
    box = Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    image = normalisation.apply(example.image.read(box), example.stats, z_start=low[0])
    image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    unlabelled = example.labels.schema.unlabelled
    return (
        np.pad(image, pads, mode="symmetric"),
        np.pad(example.read_labels(box), pads, constant_values=unlabelled),
    )
