"""Scores of a network on whole validation slices, predicted as ``predict`` does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tomolith.blocks import PatchGrid
from tomolith.core import Box, ClassSchema, Normalisation
from tomolith.learn.examples import Example, SliceCache, channel_table, normalise_stack
from tomolith.learn.losses.base import IGNORE, Loss
from tomolith.learn.settings import TrainSettings
from tomolith.learn.sliding import Infer, blend_slices

OVERLAP_FRAC = 0.25
LEAST_SLICES = 16
_EPOCH_SHARE = 8  # a step computes each pixel about three times: 4 % of the time, or less

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class ValidationScores:
    """Loss and IoU on the validation slices, all pixels pooled.

    Parameters
    ----------
    loss
        Mean over the slices.
    iou
        IoU by class name; ``None`` where a class is absent from the truth.
    mean_iou
        Mean over the classes present in the truth.
    """

    loss: float
    iou: Mapping[str, float | None]
    mean_iou: float


def as_infer(forward: Forward) -> Infer:
    """Return ``forward`` for arrays, without gradients."""

    def infer(patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return forward(torch.from_numpy(patches)).float().cpu().numpy()

    return infer


def slice_logits(
    forward: Forward,
    image: npt.NDArray[np.float32],
    *,
    patch_px: int,
    batch: int,
    is_fixed: bool = True,
) -> npt.NDArray[np.float32]:
    """Return the logits (classes, height, width) of one normalised slice.

    ``image`` is (channels, height, width): the slice, or the slice between its neighbours. Batches
    always have ``batch`` patches, filled with zeros; unless ``is_fixed`` is false, which spares a
    slice of few patches the rest.

    Examples
    --------
    >>> forward = lambda x: torch.cat([x, -x], dim=1)
    >>> slice_logits(forward, np.ones((1, 5, 7), np.float32), patch_px=4, batch=2).shape
    (2, 5, 7)
    """
    return next(
        stack_logits(forward, image[None], patch_px=patch_px, batch=batch, is_fixed=is_fixed)
    )


def stack_logits(
    forward: Forward,
    images: npt.NDArray[np.float32],
    *,
    patch_px: int,
    batch: int,
    is_fixed: bool = True,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield what :func:`slice_logits` gives for some slices (n, channels, height, width).

    Patches of several slices share a batch.

    Examples
    --------
    >>> forward = lambda x: torch.cat([x, -x], dim=1)
    >>> found = stack_logits(forward, np.ones((3, 1, 5, 7), np.float32), patch_px=4, batch=8)
    >>> [logits.shape for logits in found]
    [(2, 5, 7), (2, 5, 7), (2, 5, 7)]
    """
    height, width = images.shape[-2:]
    pads = [(0, 0), (0, 0), *((0, max(0, patch_px - side)) for side in (height, width))]
    padded = np.pad(images, pads, mode="symmetric")
    shape = len(padded), *padded.shape[-2:]
    grid, whole = PatchGrid(shape, (1, patch_px, patch_px), OVERLAP_FRAC), Box.whole(shape)
    if not is_fixed:
        batch = min(batch, sum(1 for _ in grid.patches_meeting(whole)))
    slices = blend_slices(
        lambda box: padded[(box.start_zyx[0], slice(None), *box.slices[1:])],
        as_infer(forward),
        patches=grid,
        write=whole,
        batch_size=batch,
    )
    for _, logits in slices:
        yield logits[:, :height, :width].copy()


def choose_slices(
    places: Sequence[tuple[int, int]], examples: Sequence[Example], *, most_px: int
) -> list[tuple[int, int]]:
    """Return evenly spread slices (example, z) of ``most_px`` pixels at most, but at least 16.

    Examples
    --------
    >>> choose_slices([(0, z) for z in range(10)], [], most_px=0) == [(0, z) for z in range(10)]
    True
    """
    if len(places) <= LEAST_SLICES:
        return list(places)
    areas = [math.prod(examples[example].image.grid.shape_zyx[1:]) for example, _ in places]
    n = max(LEAST_SLICES, most_px * len(places) // sum(areas))
    return spread(places, n)


def affordable_px(settings: TrainSettings, n_patches: int) -> int:
    """Return how many pixels are validated after an epoch of ``n_patches``, at most.

    Not more than ``validation_pixels``, nor so many that short epochs mostly validate.

    Examples
    --------
    >>> affordable_px(TrainSettings(), 512), affordable_px(TrainSettings(), 100_000)
    (1048576, 16777216)
    """
    return min(settings.validation_pixels, n_patches * settings.patch_px**2 // _EPOCH_SHARE)


def spread(places: Sequence[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    """Return at most ``n`` of ``places``, evenly spread.

    Examples
    --------
    >>> spread([(0, z) for z in range(10)], n=3)
    [(0, 0), (0, 4), (0, 9)]
    """
    if len(places) <= n:
        return list(places)
    return [places[i] for i in np.linspace(0, len(places) - 1, n).astype(int)]


@dataclass(frozen=True, slots=True)
class SlicePredictor:
    """Predicts labelled slices whole, as ``predict`` does.

    Parameters
    ----------
    forward
        Returns the logits (B, C, H, W) of images (B, n_slices, H, W).
    examples, cache
        The scans, and what reads them.
    normalisation, patch_px, batch, n_slices
        How patches are given to ``forward``.
    """

    forward: Forward
    examples: Sequence[Example]
    cache: SliceCache
    normalisation: Normalisation
    patch_px: int
    batch: int
    n_slices: int = 1

    @property
    def schema(self) -> ClassSchema:
        """The classes."""
        return self.examples[0].labels.schema

    def predict(
        self, places: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        """Yield logits (classes, height, width) and channels of the slices (example, z)."""
        table = channel_table(self.schema)
        for group in self._groups(places):
            images, truths = [], []
            for example, z in group:
                greys, labels = self.cache.read_stack(example, z, self.n_slices)
                of = self.examples[example]
                images.append(normalise_stack(np.stack(greys), of, z, self.normalisation))
                truths.append(table[labels])
            found = stack_logits(
                self.forward,
                np.stack(images),
                patch_px=self.patch_px,
                batch=self.batch,
                is_fixed=False,
            )
            yield from zip(found, truths, strict=True)

    def _groups(self, places: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        """Yield slices of one scan that are small enough to share a batch of patches."""
        for example, own in itertools.groupby(places, key=lambda place: place[0]):
            area = math.prod(self.examples[example].image.grid.shape_zyx[1:])
            n = max(1, self.batch * self.patch_px**2 // area)
            of_scan = list(own)
            yield from (of_scan[i : i + n] for i in range(0, len(of_scan), n))


def validate(
    predictor: SlicePredictor, loss: Loss, places: Sequence[tuple[int, int]]
) -> ValidationScores:
    """Predict the slices (example, z) whole, and compare with their labels."""
    n = len(predictor.schema)
    counts, losses = np.zeros((n, n), np.int64), []
    for logits, truth in predictor.predict(places):
        known = truth != IGNORE
        pairs = truth[known] * n + logits.argmax(0)[known]
        counts += np.bincount(pairs, minlength=n * n).reshape(n, n)
        losses.append(float(loss(torch.from_numpy(logits)[None], torch.from_numpy(truth)[None])))
    return _scores(counts, predictor.schema.names, float(np.mean(losses)))


def _scores(counts: npt.NDArray[np.int64], names: Sequence[str], loss: float) -> ValidationScores:
    hits = np.diag(counts)
    unions = counts.sum(0) + counts.sum(1) - hits
    iou = {
        name: float(hit / union) if total else None
        for name, hit, union, total in zip(names, hits, unions, counts.sum(1), strict=True)
    }
    return ValidationScores(loss, iou, float(np.mean([v for v in iou.values() if v is not None])))
