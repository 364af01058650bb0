"""Drawing training patches from labelled places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tomolith.core import Normalisation
from tomolith.learn.examples import TILE_PX, Example, LabelledSlice, SliceCache, normalise_stack


@dataclass(frozen=True, slots=True)
class Patch:
    """Where a patch lies: example, slice, and centre (y, x) in pixels; of a cube its middle."""

    example: int
    z: int
    centre_yx: tuple[int, int]


class PatchSampler:
    """Patches around labelled pixels, the same for the same seed and epoch.

    An epoch draws from as many slices as the cache holds, so that a long epoch over a large
    volume reads each slice once.

    Parameters
    ----------
    slices
        The labelled slices to train on.
    n_patches
        Patches per epoch.
    balance
        Share of patches whose class is drawn evenly; the others follow the labelled area.
    n_slices
        Slices per epoch at most.
    seed
        Source of all randomness, with the epoch.
    patch_px
        Side of a patch: along an axis on which a slice is not longer, the patch takes it whole.

    Examples
    --------
    >>> counts = np.zeros((1, 2, 2), np.int64)
    >>> counts[0, 1, 0] = 10
    >>> sampler = PatchSampler([LabelledSlice(0, 5, counts, (128, 128))], n_patches=3)
    >>> {(p.z, p.centre_yx[1] // TILE_PX) for p in sampler.epoch(0)}
    {(5, 1)}
    """

    def __init__(
        self,
        slices: Sequence[LabelledSlice],
        *,
        n_patches: int,
        balance: float = 0.0,
        n_slices: int | None = None,
        seed: int = 0,
        patch_px: int = 0,
    ) -> None:
        self._slices = list(slices)
        self.n_patches = n_patches
        self._balance = balance
        self._n_slices = min(n_slices or len(slices), len(slices))
        self._seed = seed
        self._patch_px = patch_px

    def epoch(self, epoch: int) -> list[Patch]:
        """Return the patches of one epoch, in random order."""
        rng = np.random.default_rng([self._seed, epoch])
        area = np.array([s.n_pixels.sum() for s in self._slices], np.float64)
        chosen = rng.choice(len(area), self._n_slices, replace=False, p=area / area.sum())
        slices = [self._slices[i] for i in chosen]
        counts = np.concatenate([s.n_pixels.reshape(-1, s.n_pixels.shape[-1]) for s in slices])
        first = np.cumsum([0, *(s.n_pixels.shape[0] * s.n_pixels.shape[1] for s in slices)])
        patches = []
        for tile in self._draw_tiles(counts.astype(np.float64), rng):
            k = int(np.searchsorted(first, tile, side="right")) - 1
            n_x = slices[k].n_pixels.shape[1]
            corner = np.array(divmod(int(tile - first[k]), n_x)) * TILE_PX
            shape = np.array(slices[k].shape_yx)
            drawn = np.minimum(corner + rng.integers(0, TILE_PX, 2), shape - 1)
            y, x = np.where(shape <= self._patch_px, shape // 2, drawn)
            patches.append(Patch(slices[k].example, slices[k].z, (int(y), int(x))))
        return patches

    def _draw_tiles(
        self, counts: npt.NDArray[np.float64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        weights = counts.sum(1) / counts.sum() * (1 - self._balance)
        per_class = counts[:, counts.sum(0) > 0]
        weights = weights + self._balance * (per_class / per_class.sum(0)).mean(1)
        return rng.choice(len(weights), self.n_patches, p=weights / weights.sum())


def read_batches(
    patches: Sequence[Patch],
    examples: Sequence[Example],
    cache: SliceCache,
    *,
    normalisation: Normalisation,
    batch: int,
    side_px: int,
    n_slices: int = 1,
    unlabelled: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield regions around patches: images (B, n_slices, side, side), channels (B, side, side).

    With ``unlabelled``, 0 in place of the channels where nothing is labelled, and -1 elsewhere.
    """
    for start in range(0, len(patches), batch):
        images, targets = [], []
        for patch in patches[start : start + batch]:
            y, x = (centre - side_px // 2 for centre in patch.centre_yx)
            grey, channels = cache.region(
                patch.example,
                patch.z,
                corner_yx=(y, x),
                side_px=side_px,
                n_slices=n_slices,
                unlabelled=unlabelled,
            )
            images.append(normalise_stack(grey, examples[patch.example], patch.z, normalisation))
            targets.append(channels)
        yield torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(targets))
