"""Dead Li: what no longer connects in three dimensions to the electrode it grew on."""

from __future__ import annotations

from typing import Self

import numpy as np

from tomolith.core import ClassSchema, Grid
from tomolith.errors import InputError
from tomolith.measure.quantities.base import ClassValue, Quantity, Region
from tomolith.measure.quantities.components import Connected, Pieces
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.sides import ALL_LI, GROWN

MIN_VOXELS = 27
"""Smallest piece that counts as dead Li, unless told otherwise."""

TOO_SMALL = "pieces too small to tell"
"""The part of a side that stands for what resolution cannot tell."""


class DeadLi(Quantity):
    """Volume in µm³ of Li that no longer connects in 3-D to its electrode.

    Dendrites and deposit belong to the electrode of the plating side, redeposited Li to that of
    the stripping side; voxels connect to all 26 neighbours. Pieces of fewer than ``min_voxels``
    voxels are summed apart: resolution cannot tell whether a thinner link is missing.

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
    needs = ("electrode", "dendrite", "deposited", "redeposited")

    def __init__(
        self, schema: ClassSchema, frame: Frame | None = None, *, min_voxels: int = MIN_VOXELS
    ) -> None:
        super().__init__(schema, frame)
        if min_voxels < 1:
            raise InputError(f"min_voxels is {min_voxels}", expected="1 or more")
        self._min_voxels = min_voxels
        self._sides = {side: Connected(len(names)) for side, names in GROWN.items()}

    @property
    def parts(self) -> tuple[str, ...]:
        """Each class of grown Li, all of these, and what is below the smallest size by side."""
        names = [name for side in (PLATING, STRIPPING) for name in GROWN[side]]
        small = (f"{side}, {TOO_SMALL}" for side in (PLATING, STRIPPING))
        return (*names, ALL_LI, *small)

    def update(self, region: Region) -> None:
        """Label the core by itself."""
        labels = region.core_labels
        across = self.frame.across(labels)
        index = np.arange(across.shape[1]) + region.core.start_zyx[self.frame.axis]
        is_high = index[None, :, None] >= self.frame.first_high(region.core)[:, None, :]
        is_high = np.moveaxis(is_high, 1, self.frame.axis)
        electrode = labels == self.schema["electrode"].value
        for side, connected in self._sides.items():
            grown = np.zeros(labels.shape, np.uint8)
            for i, name in enumerate(GROWN[side], start=1):
                grown[labels == self.schema[name].value] = i
            of_side = is_high if side == self.frame.sides[1] else ~is_high
            connected.add(region.core, electrode & of_side, grown)

    def merge(self, other: Self) -> None:
        """Add the pieces of ``other``."""
        for side, connected in self._sides.items():
            connected.merge(other._sides[side])

    def dead_voxels(self, side: str, shape_zyx: tuple[int, int, int]) -> Pieces:
        """Return the voxels per class (columns) of each dead piece (rows) of a side, any size."""
        return self._sides[side].dead(shape_zyx)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        one = grid.voxel_volume_um3
        large: list[int] = []
        small: list[int] = []
        for side in (PLATING, STRIPPING):
            pieces = self.dead_voxels(side, grid.shape_zyx)
            counts = pieces.sum(axis=1) >= self._min_voxels
            large += [int(n) for n in pieces[counts].sum(axis=0)]
            small.append(int(pieces[~counts].sum()))
        return tuple(
            ClassValue(part, n * one)
            for part, n in zip(self.parts, (*large, sum(large), *small), strict=True)
        )
