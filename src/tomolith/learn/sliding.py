"""Logits of overlapping patches, blended slice by slice, the same for every block layout.

::

    volume, one slice          patches lie on a grid anchored at the volume's origin
    a-----b--a-----b--         and are computed in batches of one fixed size;
    |  1  |//|  2  |           where they overlap (//) their logits are added in the
    c-----d--c-----d--         patch order of the volume and divided by their number.
    |//|//|//|//|//|
    |  3  |//|  4  |           A block computes every patch that meets its write box, so
    --------------             each voxel sees the same additions in the same order.

Patches that are several slices deep do the same along z: as many slices of sums are held as a
patch is deep, and a slice is given away as soon as the patches begin below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.blocks import PatchGrid
from tomolith.core import Box

Float32 = npt.NDArray[np.float32]
Infer = Callable[[Float32], Float32]


def blend_slices(
    prepare: Callable[[Box], Float32],
    infer: Infer,
    *,
    patches: PatchGrid,
    write: Box,
    batch_size: int,
) -> Iterator[tuple[int, Float32]]:
    """Yield the mean logits of each slice of ``write``, from the first to the last.

    Only as many slices of sums are held at a time as a patch is deep: one, of a 2-D network.

    Parameters
    ----------
    prepare
        Returns the network's input for a patch: (C, H, W), or (C, D, H, W) where patches are
        several voxels deep.
    infer
        Returns the logits (B, n_classes, H, W) or (B, n_classes, D, H, W) of a batch of exactly
        ``batch_size`` inputs.
    patches
        Patch grid of the volume.
    write
        The voxels wanted.

    Yields
    ------
    (z, logits)
        Index of the slice in the volume, and its logits (n_classes, H, W) within
        ``write``. The array is used again for the next slice.

    Examples
    --------
    >>> image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> slices = blend_slices(
    ...     lambda box: image[box.slices],
    ...     lambda batch: np.concatenate([batch, -batch], axis=1),
    ...     patches=PatchGrid((1, 4, 4), (1, 2, 2), 0.5),
    ...     write=Box((0, 1, 1), (1, 2, 4)),
    ...     batch_size=4,
    ... )
    >>> [(z, logits[0].tolist()) for z, logits in slices]
    [(0, [[5.0, 6.0, 7.0]])]
    """
    (z, y0, x0), (z_stop, y1, x1) = write.start_zyx, write.stop_zyx
    n_z = patches.axis_counts(0, z, z_stop).astype(np.float32)
    n_y = patches.axis_counts(1, y0, y1).astype(np.float32)
    n_x = patches.axis_counts(2, x0, x1).astype(np.float32)
    n_held = min(patches.patch_zyx[0], z_stop - z)
    sums: Float32 | None = None  # (n_held, n_classes, H, W), a ring: slice z is at z % n_held
    waiting = patches.patches_meeting(write)
    while batch := list(islice(waiting, batch_size)):
        logits = infer(_stack([prepare(patch) for patch in batch], batch_size))
        if logits.ndim == 4:
            logits = logits[:, :, None]
        if sums is None:
            sums = np.zeros((n_held, logits.shape[1], y1 - y0, x1 - x0), np.float32)
        for patch, patch_logits in zip(batch, logits, strict=False):
            while z < patch.start_zyx[0]:  # no later patch reaches back to this slice
                own = sums[z % n_held]
                yield z, _mean(own, n_z[z - write.start_zyx[0]], n_y, n_x)
                own[...] = 0
                z += 1
            part = patch.intersect(write)
            _, y, x = part.relative_to(write).slices
            from_z, from_y, from_x = part.relative_to(patch).slices
            for k, found in enumerate(patch_logits[:, from_z].swapaxes(0, 1)):
                own = sums[(part.start_zyx[0] + k) % n_held]
                own[:, y, x] += found[:, from_y, from_x]
    while sums is not None and z < z_stop:
        yield z, _mean(sums[z % n_held], n_z[z - write.start_zyx[0]], n_y, n_x)
        z += 1


def _stack(inputs: list[Float32], batch_size: int) -> Float32:
    """Return one batch of exactly ``batch_size``, the rest filled with zeros."""
    out = np.zeros((batch_size, *inputs[0].shape), np.float32)
    for i, one in enumerate(inputs):
        out[i] = one
    return out


def _mean(sums: Float32, n_z: np.float32, n_y: Float32, n_x: Float32) -> Float32:
    # divisions by small integers instead of one by their product: no (H, W) counts are held;
    # where patches do not overlap they leave the sums as they are
    if n_z > 1:
        sums /= n_z
    sums /= n_y[:, None]
    sums /= n_x
    return sums


def best_class(logits: Float32, values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the value of the class with the highest logit; the first one in a tie.

    Parameters
    ----------
    logits
        (n_classes, H, W).
    values
        Stored value of each class.

    Examples
    --------
    >>> best_class(np.array([[[0.0, 2.0]], [[1.0, 2.0]]], np.float32), np.array([7, 9], np.uint8))
    array([[9, 7]], dtype=uint8)
    """
    # class by class over whole rows: argmax along the first axis is several times slower
    best = logits[0].copy()
    out = np.full(best.shape, values[0], np.uint8)
    for channel, value in zip(logits[1:], values[1:], strict=True):
        better = channel > best
        out[better] = value
        np.maximum(best, channel, out=best)
    return out


def softmax(logits: Float32) -> Float32:
    """Return class probabilities (n_classes, H, W), computed in place.

    Examples
    --------
    >>> softmax(np.zeros((2, 1, 1), np.float32)).ravel()
    array([0.5, 0.5], dtype=float32)
    """
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits


def to_bytes(share: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return shares of 0 to 1 as bytes, ``round(255 * share)``.

    Examples
    --------
    >>> to_bytes(np.array([0.0, 0.5, 1.0], np.float32))
    array([  0, 128, 255], dtype=uint8)
    """
    return np.rint(share * np.float32(255)).astype(np.uint8)


def entropy(probabilities: Float32) -> Float32:
    """Return the entropy (H, W), as a share of that of all classes being as likely.

    Examples
    --------
    >>> entropy(np.array([[[0.5, 1.0]], [[0.5, 0.0]]], np.float32))
    array([[1., 0.]], dtype=float32)
    """
    out = np.zeros(probabilities.shape[1:], np.float32)
    for p in probabilities:
        out -= p * np.log(np.maximum(p, np.float32(1e-12)))
    return np.clip(out / np.float32(np.log(len(probabilities))), 0, 1)
