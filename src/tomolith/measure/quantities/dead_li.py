"""Dead Li: what no longer connects in three dimensions to the electrode it grew on."""

from __future__ import annotations

from typing import Self

import numpy as np

from tomolith.core import ClassSchema, Grid, Interval
from tomolith.errors import InputError
from tomolith.measure.quantities.base import ClassValue, Counts, Quantity, Region
from tomolith.measure.quantities.components import Connected, Pieces
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.links import (
    HALO_VOX,
    INNER,
    around,
    joined_block,
    thick_block,
    within_reach,
)
from tomolith.measure.quantities.sides import ALL_LI, GROWN

MIN_VOXELS = 27
"""Smallest piece that counts as dead Li, unless told otherwise."""

TOO_SMALL = "pieces too small to tell"
"""The part of a side that stands for what resolution cannot tell."""

MADE_UP = "pieces that are no Li are not in it"
"""What the interval does not know, by itself."""

_LINKS = (
    "gaps of up to two voxels may hide a link, links thinner than two voxels may be none; "
    f"{MADE_UP}"
)


class DeadLi(Quantity):
    """Volume in µm³ of Li that no longer connects in 3-D to its electrode.

    Dendrites and deposit belong to the electrode of the plating side, redeposited Li to that of
    the stripping side; voxels connect to all 26 neighbours. Pieces of fewer than ``min_voxels``
    voxels are summed apart: resolution cannot tell whether a thinner link is missing.

    The interval holds what would be dead if every gap of up to two voxels hid a link, and if every
    link thinner than two voxels were none.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts as dead Li.

    Raises
    ------
    InputError
        ``min_voxels`` is below 1.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 6, 1))
    >>> dead = DeadLi(PRESETS["li-operando"], Frame.half_depth((1, 6, 1)), min_voxels=1)
    >>> dead.update(Region(np.array([[[1], [0], [2], [0], [2], [1]]], np.uint8), box, box))
    >>> dead.finish(Grid((1, 6, 1), (1.0, 1.0, 1.0)))[0]
    ClassValue(class_name='dendrite', value=1.0)
    """

    unit = "um3"
    formula = "V of the pieces (26 neighbours) of Li without a voxel of the electrode of their side"
    source = "scipy.ndimage.label on the whole array gives the same pieces"
    is_physical = True
    halo_zyx = (HALO_VOX,) * 3
    needs = ("electrode", "dendrite", "deposited", "redeposited")

    def __init__(
        self, schema: ClassSchema, frame: Frame | None = None, *, min_voxels: int = MIN_VOXELS
    ) -> None:
        super().__init__(schema, frame)
        if min_voxels < 1:
            raise InputError(f"min_voxels is {min_voxels}", expected="1 or more")
        self._min_voxels = min_voxels
        self._sides = {side: Connected(len(names)) for side, names in GROWN.items()}
        self._joined = {side: Connected(len(names) + 1) for side, names in GROWN.items()}
        self._thick = {side: Connected(len(names)) for side, names in GROWN.items()}
        self._grown = {side: np.zeros(len(names), np.int64) for side, names in GROWN.items()}

    @property
    def parts(self) -> tuple[str, ...]:
        """Each class of grown Li, all of these, and what is below the smallest size by side."""
        names = [name for side in (PLATING, STRIPPING) for name in GROWN[side]]
        small = (f"{side}, {TOO_SMALL}" for side in (PLATING, STRIPPING))
        return (*names, ALL_LI, *small)

    def update(self, region: Region) -> None:
        """Label the core by itself."""
        labels, core = region.labels, region.core
        across = self.frame.across(labels)
        index = np.arange(across.shape[1]) + region.read.start_zyx[self.frame.axis]
        is_high = index[None, :, None] >= self.frame.first_high(region.read)[:, None, :]
        is_high = np.moveaxis(is_high, 1, self.frame.axis)
        is_electrode = labels == self.schema["electrode"].value
        for side, names in GROWN.items():
            classes = np.zeros(labels.shape, np.uint8)
            for i, name in enumerate(names, start=1):
                classes[labels == self.schema[name].value] = i
            of_side = is_electrode & (is_high if side == self.frame.sides[1] else ~is_high)
            inner = core.relative_to(region.read).slices
            self._grown[side] += np.bincount(classes[inner].ravel(), minlength=len(names) + 1)[1:]
            part = within_reach(around(classes, region.read, core), core)
            if part is None:
                continue
            electrode = around(of_side, region.read, part)
            grown = around(classes, region.read, part)
            self._sides[side].add(part, electrode[INNER], grown[INNER])
            self._joined[side].add_block(joined_block(part, electrode, grown, len(names)))
            self._thick[side].add_block(thick_block(part, electrode, grown, len(names)))

    def merge(self, other: Self) -> None:
        """Add the pieces of ``other``."""
        for side, connected in self._sides.items():
            connected.merge(other._sides[side])
            self._joined[side].merge(other._joined[side])
            self._thick[side].merge(other._thick[side])
            self._grown[side] += other._grown[side]

    def dead_voxels(self, side: str, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the voxels per class (columns) of each dead piece (rows) of a side, any size."""
        return self._sides[side].dead(shape_zyx)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        one = grid.voxel_volume_um3
        large: list[tuple[int, int, int]] = []
        small: list[tuple[int, int, int]] = []
        for side in (PLATING, STRIPPING):
            pieces = self.dead_voxels(side, grid.shape_zyx)
            counts = pieces.sum(axis=1) >= self._min_voxels
            dead, few = pieces[counts].sum(axis=0), int(pieces[~counts].sum())
            fewest, most = self._bounds(side, grid.shape_zyx)
            large += [
                (int(n), int(min(n, low)), int(high))
                for n, low, high in zip(dead, fewest, most, strict=True)
            ]
            small.append((few, 0, int(most.sum())))
        total = tuple(sum(found) for found in zip(*large, strict=True))
        return tuple(
            ClassValue(part, n * one, interval=Interval(low * one, high * one, _LINKS))
            for part, (n, low, high) in zip(self.parts, (*large, total, *small), strict=True)
        )

    def _bounds(self, side: str, shape_zyx: tuple[int, int, int]) -> tuple[Counts, Counts]:
        """Return the voxels per class that are dead at least and at most."""
        joined = self._joined[side].dead(shape_zyx)[:, :-1]  # last: what fills the gaps
        fewest = joined[joined.sum(axis=1) >= self._min_voxels].sum(axis=0)
        wholes = self._thick[side].wholes(shape_zyx)
        alive = wholes[wholes[:, 0] > 0][:, 1:].sum(axis=0)
        return fewest, self._grown[side] - alive
