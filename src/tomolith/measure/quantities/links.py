"""What would still connect if links were missed, or made up: bounds for connected pieces."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tomolith.core import Box
from tomolith.measure.quantities.components import (
    ALL_NEIGHBOURS,
    Block,
    faces_of,
    filled_part,
    label_block,
)

HALO_VOX = 3
"""Voxels around a block that both bounds need: so far a link may reach."""

INNER = (slice(HALO_VOX, -HALO_VOX),) * 3
"""The block itself, without them."""

Mask = npt.NDArray[np.bool_]
Classes = npt.NDArray[np.uint8]
_GAP_VOX = HALO_VOX - 1  # between two pieces; a resolution is at best two voxels
_CORNERS = tuple(itertools.product((0, 1), repeat=3))


def around(values: npt.NDArray[Any], read: Box, core: Box) -> npt.NDArray[Any]:
    """Return what lies in a block and :data:`HALO_VOX` around it; 0 where nothing was read.

    Examples
    --------
    >>> read, core = Box((0, 0, 0), (1, 1, 4)), Box((0, 0, 0), (1, 1, 2))
    >>> around(np.array([[[1, 2, 3, 4]]]), read, core)[3, 3].tolist()
    [0, 0, 0, 1, 2, 3, 4, 0]
    """
    shape = [n + 2 * HALO_VOX for n in core.shape_zyx]
    out = np.zeros(shape, values.dtype)
    here, there = [], []
    for start, n, first, stop in zip(
        core.start_zyx, shape, read.start_zyx, read.stop_zyx, strict=True
    ):
        begin = start - HALO_VOX
        low, high = max(begin, first), min(begin + n, stop)
        here.append(slice(low - begin, high - begin))
        there.append(slice(low - first, high - first))
    out[tuple(here)] = values[tuple(there)]
    return out


def within_reach(grown: Classes, core: Box) -> Box | None:
    """Return the part of a block where voxels may be linked to grown Li; ``None`` where none may.

    What holds electrode is alive, so no more of the electrode need be looked at.

    Parameters
    ----------
    grown
        Of the block and :data:`HALO_VOX` around it.
    core
        Where the block lies.
    """
    part = filled_part(grown > 0)
    if part is None:
        return None
    ends = [(p.start - 2 * HALO_VOX, p.stop) for p in part]
    near = Box(*zip(*ends, strict=True)).shift(core.start_zyx)
    return near.intersect(core)


def joined_block(core: Box, electrode: Mask, grown: Classes, n_classes: int) -> Block:
    """Label a block as if pieces with up to two voxels between them were linked.

    Two pieces are one where their voxels lie at most three apart along every axis. So each voxel
    is drawn out to a cube of three, upwards: such cubes touch just then.

    Parameters
    ----------
    core
        Where the block lies.
    electrode, grown
        Of the block and :data:`HALO_VOX` around it (:func:`around`); ``grown`` holds 1, 2, … for
        each class, else 0.
    n_classes
        How many classes there are. The block has one more, last, for what fills the gaps.
    """
    filled = (grown > 0) | electrode
    for axis in range(3):
        one = np.moveaxis(filled.copy(), axis, 0)
        wider = np.moveaxis(filled, axis, 0)
        for step in range(1, _GAP_VOX + 1):
            wider[step:] |= one[:-step]
    classes = np.where(filled[INNER] & ~electrode[INNER], n_classes + 1, 0).astype(np.uint8)
    np.copyto(classes, grown[INNER], where=grown[INNER] > 0)
    return label_block(core, electrode[INNER], classes, n_classes + 1)[0]


def thick_block(core: Box, electrode: Mask, grown: Classes, n_classes: int) -> Block:
    """Label a block as if links thinner than two voxels were cut.

    What is left are cubes of two voxels, linked where they overlap; what no cube covers is in no
    piece. A cube is kept at its lowest corner. Of the cubes that cover a voxel, all of one piece,
    the first counts it, which no block sees otherwise.

    Parameters
    ----------
    core, electrode, grown, n_classes
        As of :func:`joined_block`; the block has ``n_classes``.
    """
    cubes = _ahead((grown > 0) | electrode, np.logical_and)
    pieces = np.zeros(cubes.shape, np.int32)
    n = ndimage.label(cubes[INNER], ALL_NEIGHBOURS, output=pieces[INNER])
    counts = np.zeros((n + 1) * (n_classes + 1), np.int64)
    # covered voxels lie in the block, or one above it
    covered = (slice(HALO_VOX, -HALO_VOX + 1),) * 3
    above, is_open = grown[covered], grown[covered] > 0
    for corner in _CORNERS:
        at = tuple(slice(HALO_VOX - c, -HALO_VOX + 1 - c) for c in corner)
        first = is_open & cubes[at]
        is_open &= ~cubes[at]
        joint = pieces[at][first].astype(np.int64) * (n_classes + 1) + above[first]
        counts += np.bincount(joint, minlength=counts.size)
    found = counts.reshape(-1, n_classes + 1)
    found[:, 0] = np.bincount(
        pieces[INNER][_ahead(electrode, np.logical_or)[INNER]], minlength=n + 1
    )
    return Block(found[1:], faces_of(core, pieces[INNER]))


def _ahead(mask: Mask, join: np.ufunc) -> Mask:
    """Return a mask joined over the cube of two voxels that begins at each voxel."""
    out = mask
    for axis in range(3):
        along = np.moveaxis(out, axis, 0)
        joined = np.zeros_like(along)
        join(along[:-1], along[1:], out=joined[:-1])
        out = np.moveaxis(joined, 0, axis)
    return out
