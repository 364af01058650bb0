"""Scores of a network on whole validation slices, predicted as ``predict`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tomolith.blocks import PatchGrid
from tomolith.core import Box, ClassSchema, Normalisation
from tomolith.learn.examples import Example, SliceCache, channel_table, normalise_slice
from tomolith.learn.losses.base import IGNORE, Loss
from tomolith.learn.sliding import Infer, blend_slices

OVERLAP_FRAC = 0.25
MAX_SLICES = 16

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
    forward: Forward, image: npt.NDArray[np.float32], *, patch_px: int, batch: int
) -> npt.NDArray[np.float32]:
    """Return the logits (classes, height, width) of one normalised slice (height, width).

    Examples
    --------
    >>> forward = lambda x: torch.cat([x, -x], dim=1)
    >>> slice_logits(forward, np.ones((5, 7), np.float32), patch_px=4, batch=2).shape
    (2, 5, 7)
    """
    height, width = image.shape
    pads = [(0, max(0, patch_px - side)) for side in (height, width)]
    padded = np.pad(image, pads, mode="symmetric")[None]
    grid = PatchGrid(padded.shape, (1, patch_px, patch_px), OVERLAP_FRAC)

    slices = blend_slices(
        lambda box: padded[box.slices],
        as_infer(forward),
        patches=grid,
        write=Box.whole(padded.shape),
        batch_size=batch,
    )
    _, logits = next(slices)
    return logits[:, :height, :width].copy()


def spread(places: Sequence[tuple[int, int]], n: int = MAX_SLICES) -> list[tuple[int, int]]:
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
        Returns the logits (B, C, H, W) of images (B, 1, H, W).
    examples, cache
        The scans, and what reads them.
    normalisation, patch_px, batch
        How patches are given to ``forward``.
    """

    forward: Forward
    examples: Sequence[Example]
    cache: SliceCache
    normalisation: Normalisation
    patch_px: int
    batch: int

    @property
    def schema(self) -> ClassSchema:
        """The classes."""
        return self.examples[0].labels.schema

    def predict(
        self, places: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
        """Yield logits (classes, height, width) and channels of the slices (example, z)."""
        table = channel_table(self.schema)
        for example, z in places:
            grey, labels = self.cache.read(example, z)
            image = normalise_slice(grey, self.examples[example], z, self.normalisation)
            logits = slice_logits(self.forward, image, patch_px=self.patch_px, batch=self.batch)
            yield logits, table[labels]


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
