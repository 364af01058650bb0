"""Sparse labels as by hand: which slices a person labels, and the mistakes made there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import skeletonize
from skimage.segmentation import watershed

from tomolith.core import Box, ClassSchema
from tomolith.errors import InputError, MismatchError
from tomolith.phantom.noise import lattice_noise, make_key

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

HIGHEST_MISTAKE_RATE = 0.4  # beyond, a border would have to be wrong on both of its sides
_REACH_PX = 2  # a border is drawn wrong by at most so much
_STRETCH_PX = 12.0  # along a border, mistakes keep their sign over about this length
_SECOND_PIXEL = 0.5  # how much rarer a mistake of a second pixel is, in units of the noise
_LOOKS_ALIKE = frozenset({"dendrite", "pit"})
_CONFUSED = 0.2  # of the pieces labelled wrong, the share taken for the class that looks alike
_SHORTEST_BRANCH_PX = 5  # shorter ends of a skeleton are its roughness, no branches
_EIGHT = np.ones((3, 3), bool)
# places within reach, farthest first, so that the nearest is written last
_OFFSETS = sorted(
    (
        (math.hypot(dy, dx), dy, dx)
        for dy in range(-_REACH_PX, _REACH_PX + 1)
        for dx in range(-_REACH_PX, _REACH_PX + 1)
        if 0 < math.hypot(dy, dx) <= _REACH_PX
    ),
    reverse=True,
)


@dataclass(frozen=True, slots=True)
class HandSlices:
    """The slices that a person labelled.

    Parameters
    ----------
    in_plane
        Indices along y: planes (z, x), parallel to the electrodes.
    cross_section
        Indices along z: planes (y, x), across the cell.

    Raises
    ------
    InputError
        A negative index.

    Examples
    --------
    >>> slices = HandSlices.evenly((8, 64, 64), n_cross_section=2, n_in_plane=1)
    >>> slices
    HandSlices(in_plane=(32,), cross_section=(2, 6))
    >>> slices.mask(Box((2, 31, 0), (4, 33, 1)))[..., 0].tolist()
    [[True, True], [False, True]]
    """

    in_plane: tuple[int, ...]
    cross_section: tuple[int, ...]

    def __post_init__(self) -> None:
        for what, indices in (("in_plane", self.in_plane), ("cross_section", self.cross_section)):
            if indices and min(indices) < 0:
                raise InputError(
                    f"slice {min(indices)} among the labelled slices",
                    expected="indices from 0 on",
                    where=what,
                )

    @classmethod
    def evenly(
        cls, shape_zyx: tuple[int, int, int], *, n_cross_section: int, n_in_plane: int
    ) -> HandSlices:
        """Spread slices evenly over a volume; never more of them than it has.

        Raises
        ------
        InputError
            A negative number of slices.
        """
        return cls(_spread(shape_zyx[1], n_in_plane), _spread(shape_zyx[0], n_cross_section))

    def mask(self, box: Box) -> Mask:
        """Return which voxels of a box are labelled, axes (z, y, x)."""
        (z_start, y_start, _), (z_stop, y_stop, _) = box.start_zyx, box.stop_zyx
        z = np.isin(np.arange(z_start, z_stop), self.cross_section)
        y = np.isin(np.arange(y_start, y_stop), self.in_plane)
        plane = z[:, None] | y[None, :]
        return np.repeat(plane[:, :, None], box.shape_zyx[2], axis=2)


def _spread(length: int, n: int) -> tuple[int, ...]:
    if n < 0:
        raise InputError(f"{n} labelled slices", expected="0 or more")
    n = min(n, length)
    return tuple((2 * i + 1) * length // (2 * n) for i in range(n))


def hand_label(
    truth: Labels,
    schema: ClassSchema,
    *,
    mistake_rate: float,
    key: int,
    thin_class: str = "dendrite",
) -> Labels:
    """Label one slice as a person would, with mistakes.

    The *zone* where people go wrong is all pixels of the thin class and all pixels that have
    another class within 2 px. ``mistake_rate`` is the expected share of the zone's pixels that
    come out wrong, of all keys; outside the zone only the inside of a confused piece is wrong.
    Three kinds of mistakes make it up:

    - branches of the thin class (connected pieces, cut where their skeleton forks) with an expected
      ``mistake_rate`` of its pixels are labelled wrong: four of five are missed, and get the class
      that lies around most of their pixels;
    - where the schema has both ``dendrite`` and ``pit`` and one is the thin class, one of five of
      them is taken for the other, and so are connected pieces of the other with a fifth of
      ``mistake_rate`` of its pixels;
    - borders between classes are off by one or two pixels, to one side over a smooth stretch of
      some ten pixels and to the other side over the next, as often as makes up the rest.

    A slice with a few large branches may be far from the rate, when one of them is missed.

    Parameters
    ----------
    truth
        (y, x) or (z, x), values of classes of the schema.
    schema
        The classes.
    mistake_rate
        0 (the truth itself) to 0.4.
    key
        Of the slice, as :func:`~tomolith.phantom.noise.make_key` gives; decides every mistake.
    thin_class
        Name of the class whose branches are missed.

    Returns
    -------
    array of uint8 of the shape of ``truth``.

    Raises
    ------
    InputError
        The rate is out of range, the array is not two-dimensional or the class is unknown.
    MismatchError
        The truth holds a value of no class.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> truth = np.zeros((64, 64), np.uint8)
    >>> truth[40:] = PRESETS["li-operando"]["electrode"].value
    >>> hand = hand_label(truth, PRESETS["li-operando"], mistake_rate=0.25, key=make_key("doc"))
    >>> int((hand != truth).sum()), 0.25 * 4 * 64
    (64, 64.0)
    """
    _check(truth, schema, mistake_rate)
    thin = truth == schema[thin_class].value
    labels = truth.copy()
    if mistake_rate == 0:
        return labels
    zone = thin | (_nearest_other(truth)[0] <= _REACH_PX)
    n_left = mistake_rate * float(np.count_nonzero(zone & ~thin))
    rng = np.random.Generator(np.random.PCG64(key))
    pieces = _branches(thin)
    wrong = _draw(pieces, mistake_rate, rng)
    confused = np.zeros_like(wrong)
    alike = _alike(schema, thin_class)
    if alike is not None:
        confused = wrong & (rng.random(len(wrong)) < _CONFUSED)
        other = truth == alike
        other_pieces = ndimage.label(other, _EIGHT)[0]
        taken = _draw(other_pieces, _CONFUSED * mistake_rate, rng)
        labels[taken[other_pieces]] = schema[thin_class].value
        n_left -= _CONFUSED * mistake_rate * float(np.count_nonzero(zone & other))
        labels[confused[pieces]] = alike
    missed = wrong & ~confused
    labels[missed[pieces]] = _around(truth, thin, pieces)[pieces][missed[pieces]]
    _shift_borders(labels, (labels == truth) & zone, round(n_left), key=key)
    return labels


def _check(truth: Labels, schema: ClassSchema, mistake_rate: float) -> None:
    if not 0 <= mistake_rate <= HIGHEST_MISTAKE_RATE:
        raise InputError(
            f"a mistake rate of {mistake_rate}", expected=f"0 to {HIGHEST_MISTAKE_RATE}"
        )
    if truth.ndim != 2:
        raise InputError(f"labels of shape {truth.shape}", expected="one slice, with two axes")
    odd = np.setdiff1d(np.unique(truth), schema.values)
    if odd.size:
        raise MismatchError(
            f"the labels hold the value {odd[0]}, which is no class",
            expected=f"one of {schema.values} ({', '.join(schema.names)})",
        )


def _alike(schema: ClassSchema, thin_class: str) -> int | None:
    """Return the value of the class that the thin one is taken for."""
    if thin_class not in _LOOKS_ALIKE:
        return None
    (name,) = _LOOKS_ALIKE - {thin_class}
    return schema[name].value if name in schema.names else None


def _nearest_other(labels: Labels) -> tuple[npt.NDArray[np.float64], Labels]:
    """Return the distance to the nearest pixel of another class, in pixels, and its class.

    Beyond the reach, the distance is infinite.
    """
    padded = np.pad(labels, _REACH_PX, mode="edge")
    distance, other = np.full(labels.shape, np.inf), labels.copy()
    height, width = labels.shape
    for far, dy, dx in _OFFSETS:
        y, x = _REACH_PX + dy, _REACH_PX + dx
        there = padded[y : y + height, x : x + width]
        differs = there != labels
        distance[differs] = far
        other[differs] = there[differs]
    return distance, other


def _branches(thin: Mask) -> npt.NDArray[np.intp]:
    """Return the number of each pixel's branch, from 1 on; 0 outside of the thin class."""
    whole, n_whole = ndimage.label(thin, _EIGHT)
    if n_whole == 0:
        return np.asarray(whole, np.intp)
    skeleton = skeletonize(thin)
    n_beside = ndimage.convolve(skeleton.astype(np.uint8), _EIGHT.astype(np.uint8), mode="constant")
    seeds = ndimage.label(skeleton & (n_beside <= 3), _EIGHT)[0]
    seeds[np.bincount(seeds.ravel())[seeds] < _SHORTEST_BRANCH_PX] = 0
    # a piece without a branch worth the name is one by itself
    seeded = np.zeros(n_whole + 1, bool)
    seeded[whole[seeds > 0]] = True
    bare = ~seeded[whole] & thin
    seeds[bare] = seeds.max() + whole[bare]
    grown = watershed(np.zeros(thin.shape, np.uint8), seeds, mask=thin, connectivity=2)
    names, numbered = np.unique(grown, return_inverse=True)
    return np.asarray(numbered.reshape(thin.shape) + (names[0] != 0), np.intp)


def _draw(pieces: npt.NDArray[np.intp], share: float, rng: np.random.Generator) -> Mask:
    """Choose pieces that hold an expected share of the pixels of all; indexed by their number.

    Pieces are taken in random order until the share is full; the one that crosses it is taken with
    the chance that makes the mean exact.
    """
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    order = 1 + rng.permutation(len(sizes) - 1)
    before = np.cumsum(sizes[order]) - sizes[order]
    chosen = np.zeros(len(sizes), bool)
    chosen[order] = before + rng.random() * sizes[order] < share * sizes.sum()
    return chosen


def _around(truth: Labels, thin: Mask, pieces: npt.NDArray[np.intp]) -> Labels:
    """Return, for each piece, the class that is nearest to most of its pixels."""
    n_pieces = int(pieces.max())
    found = np.zeros(n_pieces + 1, np.uint8)
    if n_pieces == 0:
        return found
    if thin.all():  # nothing lies around
        return np.full(n_pieces + 1, truth.flat[0], np.uint8)
    places = ndimage.distance_transform_edt(thin, return_distances=False, return_indices=True)
    nearest = truth[tuple(places)]
    table = np.bincount(pieces[thin] * 256 + nearest[thin], minlength=256 * (n_pieces + 1))
    return table.reshape(-1, 256).argmax(axis=1).astype(np.uint8)


def _shift_borders(labels: Labels, may: Mask, n: int, *, key: int) -> None:
    """Give ``n`` pixels next to a border the class on its other side, in place.

    Smooth noise says, all along the borders, which of the two classes is drawn too large and how
    much; the pixels where it speaks loudest are changed.
    """
    distance, other = _nearest_other(labels)
    places = np.flatnonzero(may & (distance <= _REACH_PX))
    axes = [np.arange(length, dtype=np.float64) for length in labels.shape]
    loud = lattice_noise(make_key(key, "borders"), axes, _STRETCH_PX).ravel()[places]
    own, new = labels.ravel()[places], other.ravel()[places]
    loud = np.where(new > own, loud, -loud)
    loud -= (_SECOND_PIXEL * (distance.ravel()[places] - 1)).astype(np.float32)
    n = min(max(n, 0), np.count_nonzero(loud > 0))  # never on both sides of a border
    first = np.argsort(-loud, kind="stable")[:n]
    labels.flat[places[first]] = new[first]
