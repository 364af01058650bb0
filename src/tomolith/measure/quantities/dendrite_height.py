"""How high dendrites stand, and how near they come to the other electrode."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from tomolith.core import ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Region
from tomolith.measure.quantities.dendrite_pieces import (
    DENDRITE,
    MIN_VOXELS,
    DendriteColumnsQuantity,
)
from tomolith.measure.quantities.electrodes import Gap
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame
from tomolith.measure.quantities.plane import NOWHERE
from tomolith.measure.quantities.surfaces import Surfaces

Heights = npt.NDArray[np.float64]

_HOW = "tips of dendrites against the faces of the electrodes"
_SOURCE = "geometry; faces as in Huang et al., npj Comput. Mater. 9, 93 (2023)"


@dataclass(frozen=True, slots=True)
class Tips:
    """The tip of the dendrites of each column against the electrodes, over the plan, in µm.

    All count from the plating electrode towards the stripping one; NaN where there is no dendrite
    in the column, or no electrode to be seen at all.

    Parameters
    ----------
    tip, plating, stripping
        Where the dendrites end, and where the faces of the electrodes lie.
    cos_tilt
        Cosine of the tilt of the plating electrode.
    """

    tip: Heights
    plating: Heights
    stripping: Heights
    cos_tilt: float

    @property
    def height_um(self) -> Heights:
        """Height above the plating electrode, across its layer."""
        return np.asarray((self.tip - self.plating) * self.cos_tilt, np.float64)

    @property
    def penetration_frac(self) -> Heights:
        """Share of the gap between the electrodes that the dendrites of a column cross."""
        gap = self.stripping - self.plating
        with np.errstate(divide="ignore", invalid="ignore"):
            crossed = np.where(gap > 0, (self.tip - self.plating) / gap, np.nan)
        return np.clip(crossed, 0.0, 1.0)


class TipsQuantity(DendriteColumnsQuantity):
    """Keeps the dendrites of each column and the faces of both electrodes.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.
    """

    source = _SOURCE
    is_physical = True
    needs: ClassVar[tuple[str, ...]] = ("electrode", DENDRITE)

    def __init__(
        self, schema: ClassSchema, frame: Frame | None = None, *, min_voxels: int = MIN_VOXELS
    ) -> None:
        super().__init__(schema, frame, min_voxels=min_voxels)
        self._electrodes = Gap(schema, frame)

    def update(self, region: Region) -> None:
        """Note dendrites and electrodes in the columns of the core."""
        super().update(region)
        self._electrodes.update(region)

    def merge(self, other: Self) -> None:
        """Add what ``other`` noted."""
        super().merge(other)
        self._electrodes.merge(other._electrodes)

    def share(self, shared: dict[Any, Any]) -> None:
        """Let the electrodes share too."""
        super().share(shared)
        self._electrodes.share(shared)

    def tips(self, grid: Grid) -> Tips:
        """Return the tips; ``InputError`` where the voxel size is unknown."""
        surfaces, found = self._electrodes.surfaces(grid), self.columns(grid)
        size, n = self.frame.column_um(grid, "a height"), grid.shape_zyx[self.frame.axis]
        upwards = -1.0 if self.frame.plating_high else 1.0
        face = found.start if self.frame.plating_high else found.stop
        tip = np.where(found.is_there, (face - n / 2) * size * upwards, np.nan)
        plane = surfaces.fit(PLATING)
        return Tips(
            tip,
            _filled(surfaces, PLATING) * upwards,
            _filled(surfaces, STRIPPING) * upwards,
            plane.cos_tilt if plane else 1.0,
        )


def _filled(surfaces: Surfaces, side: str) -> Heights:
    """Return the face of an electrode, from its plane in columns where it is not seen."""
    face, plane = surfaces.inner[side], surfaces.fit(side)
    heights = np.asarray((face - surfaces.middle) * surfaces.size_um, np.float64)
    if plane is None:
        return np.where(face != NOWHERE, heights, np.nan)
    u_um, v_um = surfaces.frame.plan_sizes_um(surfaces.grid, "a height")
    u, v = (np.arange(n) for n in heights.shape)
    flat = plane.c + plane.a * u[:, None] * u_um + plane.b * v * v_um
    return np.where(face != NOWHERE, heights, flat)


def _of_known(values: Heights, take: str) -> float | None:
    known = values[np.isfinite(values)]
    return float(getattr(known, take)()) if known.size else None


def _found(part: str, value: float | None) -> ClassValue:
    return ClassValue(
        part, value, "no dendrite, or no electrode to be seen" if value is None else _HOW
    )


class DendriteHeight(TipsQuantity):
    """Height in µm of the tallest dendrite above the plating electrode, and mean of all columns.

    Measured in each column from the electrode's face, times the cosine of its tilt; where a column
    shows no electrode, from the plane through the others.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 6, 1))
    >>> frame = Frame.half_depth((1, 6, 1))
    >>> height = DendriteHeight(PRESETS["li-operando"], frame, min_voxels=1)
    >>> height.update(Region(np.array([1, 0, 0, 2, 0, 1], np.uint8).reshape(1, 6, 1), box, box))
    >>> height.finish(Grid((1, 6, 1), (1.0, 2.0, 1.0)))[0]
    ClassValue(class_name='dendrite', value=4.0)
    """

    unit = "um"
    formula = (
        "largest, and mean over the columns with dendrite, of (tip - plating face) · cos(tilt)"
    )

    @property
    def parts(self) -> tuple[str, ...]:
        """The tallest, and the mean of the columns."""
        return DENDRITE, f"{DENDRITE}, mean of its columns"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the heights; ``None`` where there is no dendrite or no plating electrode."""
        height = self.tips(grid).height_um
        return tuple(
            _found(part, _of_known(height, take))
            for part, take in zip(self.parts, ("max", "mean"), strict=True)
        )


class PenetrationFrac(TipsQuantity):
    """Share of the gap between the electrodes that the dendrite which goes farthest crosses.

    0: no dendrite; 1: one touches the stripping electrode. Both faces are taken in the column of
    the tip, so a tilt of the cell changes nothing.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 6, 1))
    >>> frame = Frame.half_depth((1, 6, 1))
    >>> crossed = PenetrationFrac(PRESETS["li-operando"], frame, min_voxels=1)
    >>> crossed.update(Region(np.array([1, 0, 0, 2, 2, 1], np.uint8).reshape(1, 6, 1), box, box))
    >>> crossed.finish(Grid((1, 6, 1), (1.0, 2.0, 1.0)))
    (ClassValue(class_name='dendrite', value=0.5),)
    """

    unit = "1"
    formula = "largest (tip - plating face) / (stripping face - plating face) of all columns"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the share; ``None`` where an electrode is not seen."""
        tips = self.tips(grid)
        if not np.isfinite(tips.plating).any() or not np.isfinite(tips.stripping).any():
            return (ClassValue(DENDRITE, None, "an electrode is not to be seen"),)
        return (ClassValue(DENDRITE, _of_known(tips.penetration_frac, "max") or 0.0, _HOW),)


class SmallestGap(TipsQuantity):
    """Smallest distance in µm from a dendrite to the electrode of the stripping side.

    In three dimensions: from each column's tip to the electrode in the same and in all other
    columns, walls of pits among them, between the middles of columns; 0 where they touch. It is
    what is left before a short circuit.

    Parameters
    ----------
    min_voxels
        Size of the smallest piece that counts; smaller ones may be noise.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 6, 1))
    >>> gap = SmallestGap(PRESETS["li-operando"], Frame.half_depth((1, 6, 1)), min_voxels=1)
    >>> gap.update(Region(np.array([1, 0, 0, 2, 2, 1], np.uint8).reshape(1, 6, 1), box, box))
    >>> gap.finish(Grid((1, 6, 1), (1.0, 2.0, 1.0)))
    (ClassValue(class_name='dendrite', value=4.0),)
    """

    unit = "um"
    formula = "smallest distance between a column's tip of dendrite and the stripping face"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the distance; ``None`` where there is no dendrite or no stripping electrode."""
        tips = self.tips(grid)
        sizes = self.frame.plan_sizes_um(grid, "a distance")
        return (_found(DENDRITE, _nearest_um(tips.tip, tips.stripping, sizes)),)


def _nearest_um(tip: Heights, face: Heights, sizes_um: tuple[float, float]) -> float | None:
    """Return the smallest distance between two height maps, the first below the second.

    Straight up gives a first bound; only tips and places of the face that could come nearer are
    looked at, so that the tree stays small.
    """
    upright = _of_known(np.maximum(face - tip, 0.0), "min")
    if not upright:
        return upright
    tips, faces = (
        _points(heights, chosen, sizes_um)
        for heights, chosen in (
            (tip, tip > np.nanmin(face) - upright),
            (face, face < np.nanmax(tip) + upright),
        )
    )
    if not len(tips) or not len(faces):
        return upright
    found, _ = cKDTree(faces).query(tips, distance_upper_bound=upright)
    nearest = min(upright, float(found.min()))
    return min(_sideways_um(tip, face, sizes_um, nearest))


def _sideways_um(
    tip: Heights, face: Heights, sizes_um: tuple[float, float], nearest_um: float
) -> Iterator[float]:
    """Yield how far the walls of a pit are from the tips that reach into it, level by level.

    Only tips are looked at that have electrode at or below their height within ``nearest_um``.
    """
    reach = [math.ceil(nearest_um / size) for size in sizes_um]
    known = np.where(np.isfinite(face), face, np.inf)
    lowest = ndimage.minimum_filter(known, size=[2 * n + 1 for n in reach])
    inside = tip >= lowest
    yield nearest_um
    for level in np.unique(tip[inside]):
        here = inside & (tip == level)
        part = tuple(
            slice(max(int(index.min()) - n, 0), int(index.max()) + n + 1)
            for index, n in zip(np.nonzero(here), reach, strict=True)
        )
        away = ndimage.distance_transform_edt(~(known[part] <= level), sampling=sizes_um)
        yield float(away[here[part]].min())


def _points(
    heights: Heights, chosen: npt.NDArray[np.bool_], sizes_um: tuple[float, float]
) -> npt.NDArray[np.float64]:
    u, v = np.nonzero(chosen)
    return np.stack([u * sizes_um[0], v * sizes_um[1], heights[u, v]], axis=1)
