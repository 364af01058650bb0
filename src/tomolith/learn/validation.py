"""Scores of a network on whole validation slices, predicted as ``predict`` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tomolith.blocks import PatchGrid
from tomolith.core import Box, Normalisation
from tomolith.learn.examples import Example, SliceCache, channel_table, normalise_slice
from tomolith.learn.losses.base import IGNORE, Loss
from tomolith.learn.sliding import blend_slices

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

    def infer(patches: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return forward(torch.from_numpy(patches)).float().cpu().numpy()

    slices = blend_slices(
        lambda box: padded[box.slices],
        infer,
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


def validate(
    forward: Forward,
    loss: Loss,
    places: Sequence[tuple[int, int]],
    *,
    examples: Sequence[Example],
    cache: SliceCache,
    normalisation: Normalisation,
    patch_px: int,
    batch: int,
) -> ValidationScores:
    """Predict the slices (example, z) whole, and compare with their labels.

    Parameters
    ----------
    forward
        Returns the logits (B, C, H, W) of images (B, 1, H, W).
    places
        The validation slices.
    """
    schema = examples[0].labels.schema
    table, n = channel_table(schema), len(schema)
    counts, losses = np.zeros((n, n), np.int64), []
    for example, z in places:
        grey, labels = cache.read(example, z)
        image = normalise_slice(grey, examples[example], z, normalisation)
        logits = slice_logits(forward, image, patch_px=patch_px, batch=batch)
        truth = table[labels]
        known = truth != IGNORE
        pairs = truth[known] * n + logits.argmax(0)[known]
        counts += np.bincount(pairs, minlength=n * n).reshape(n, n)
        losses.append(float(loss(torch.from_numpy(logits)[None], torch.from_numpy(truth)[None])))
    return _scores(counts, schema.names, float(np.mean(losses)))


def _scores(counts: npt.NDArray[np.int64], names: Sequence[str], loss: float) -> ValidationScores:
    hits = np.diag(counts)
    unions = counts.sum(0) + counts.sum(1) - hits
    iou = {
        name: float(hit / union) if total else None
        for name, hit, union, total in zip(names, hits, unions, counts.sum(1), strict=True)
    }
    return ValidationScores(loss, iou, float(np.mean([v for v in iou.values() if v is not None])))
