"""How the cell lies in the volume: which axis runs across it, and what parts its two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, Grid, LabelMap
from tomolith.measure.quantities.one_electrode import ELECTRODE, with_one_electrode

Labels = npt.NDArray[Any]
Indices = npt.NDArray[np.integer[Any]]
PlanKey = tuple[int, int, int, int]
STRIPPING, PLATING = "stripping side", "plating side"
_SAMPLED_SLICES = 9


@dataclass(frozen=True, slots=True)
class Frame:
    """The axis across the cell, the plating side, and the plane between the electrodes.

    Parameters
    ----------
    axis
        0, 1 or 2: the axis (z, y, x) that runs from one electrode to the other.
    plating_high
        Whether Li is plated at large indices of that axis.
    plane_vox
        Index ``c + a u + b v`` of the plane that parts the two sides, ``u`` and ``v`` the
        indices along the other two axes; ``None`` where no number depends on the sides.

    Examples
    --------
    >>> frame = Frame.half_depth((4, 10, 4), axis=1)
    >>> frame.plane_vox, frame.plan_axes, frame.sides
    ((4.5, 0.0, 0.0), (0, 2), ('stripping side', 'plating side'))
    """

    axis: int = 1
    plating_high: bool = True
    plane_vox: tuple[float, float, float] | None = None

    @classmethod
    def half_depth(
        cls, shape_zyx: tuple[int, int, int], *, axis: int = 1, plating_high: bool = True
    ) -> Frame:
        """Return the frame that parts the sides at half depth, as the paper does."""
        return cls(axis, plating_high, ((shape_zyx[axis] - 1) / 2, 0.0, 0.0))

    @property
    def plan_axes(self) -> tuple[int, int]:
        """The two axes along the electrodes."""
        u, v = (a for a in range(3) if a != self.axis)
        return u, v

    @property
    def sides(self) -> tuple[str, str]:
        """Names of the sides at small and at large indices."""
        return (STRIPPING, PLATING) if self.plating_high else (PLATING, STRIPPING)

    def across(self, labels: Labels) -> Labels:
        """Return a view with axes (u, across, v)."""
        return np.moveaxis(labels, self.axis, 1)

    def plan_key(self, box: Box) -> PlanKey:
        """Return where a box lies in the plan: start and stop along u, then along v."""
        u, v = self.plan_axes
        return box.start_zyx[u], box.stop_zyx[u], box.start_zyx[v], box.stop_zyx[v]

    def plan_shape(self, shape_zyx: tuple[int, int, int]) -> tuple[int, int]:
        """Return the number of columns along u and v."""
        u, v = self.plan_axes
        return shape_zyx[u], shape_zyx[v]

    def plan_sizes_um(self, grid: Grid, purpose: str) -> tuple[float, float]:
        """Return the voxel sizes along u and v; ``InputError`` where they are unknown."""
        sizes = grid.require_voxel_size_um(purpose)
        return sizes[self.plan_axes[0]], sizes[self.plan_axes[1]]

    def column_um(self, grid: Grid, purpose: str) -> float:
        """Return the voxel size across the cell; ``InputError`` where it is unknown."""
        return grid.require_voxel_size_um(purpose)[self.axis]

    def first_high(self, box: Box) -> npt.NDArray[np.int64]:
        """Return, per column (u, v) of a box, the first index that lies on the high side.

        Raises
        ------
        ValueError
            The frame has no plane.
        """
        if self.plane_vox is None:
            raise ValueError("the frame has no plane that parts the sides")
        u0, u1, v0, v1 = self.plan_key(box)
        c, a, b = self.plane_vox
        middle = c + a * np.arange(u0, u1)[:, None] + b * np.arange(v0, v1)[None, :]
        return np.floor(middle).astype(np.int64) + 1

    def is_high(self, index_zyx: Sequence[Indices]) -> npt.NDArray[np.bool_]:
        """Tell which voxels, by their indices in the volume, lie on the high side.

        Examples
        --------
        >>> z = x = np.zeros(3, np.int64)
        >>> Frame.half_depth((1, 4, 1)).is_high((z, np.array([0, 1, 2]), x)).tolist()
        [False, False, True]
        """
        if self.plane_vox is None:
            raise ValueError("the frame has no plane that parts the sides")
        c, a, b = self.plane_vox
        u, v = (index_zyx[axis] for axis in self.plan_axes)
        found: npt.NDArray[np.bool_] = index_zyx[self.axis] > np.floor(c + a * u + b * v)
        return found


def find_frame(
    labelmap: LabelMap, *, axis: int = 1, plating_high: bool = True, plane: bool = True
) -> Frame:
    """Lay the plane halfway between the two electrodes, from a few slices of the labels.

    Nine cuts across the cell are read. In each column the widest stretch without electrode between
    two electrode voxels is taken; the plane is the least-squares fit to the middles of all that
    are at least half as wide as the wide ones. It depends on the labels only, never on blocks.
    Where a scan shows no two electrodes, the sides are parted at half depth.

    Parameters
    ----------
    labelmap
        The labels.
    axis, plating_high
        As in :class:`Frame`.
    plane
        ``False``: part at half depth, as Huang et al. (npj Comput. Mater. 9, 93, 2023) do.

    Returns
    -------
    Frame

    Examples
    --------
    >>> from tomolith.core import PRESETS, Volume
    >>> values = np.zeros((4, 20, 4), np.uint8)
    >>> values[:, :3] = values[:, 13:] = 1
    >>> grid = Grid(values.shape, None)
    >>> found = find_frame(LabelMap(Volume(values, grid), PRESETS["li-operando"]))
    >>> [round(float(c), 6) + 0.0 for c in found.plane_vox]
    [7.5, 0.0, 0.0]
    """
    shape = labelmap.grid.shape_zyx
    fallback = Frame.half_depth(shape, axis=axis, plating_high=plating_high)
    labelmap = with_one_electrode(labelmap)
    if not plane or ELECTRODE not in labelmap.schema.names:
        return fallback
    value, u_axis = labelmap.schema[ELECTRODE].value, fallback.plan_axes[0]
    n = shape[u_axis]
    indices = sorted({round((i + 0.5) * n / _SAMPLED_SLICES - 0.5) for i in range(_SAMPLED_SLICES)})
    found = [_middles(labelmap, fallback, value, u) for u in indices if 0 <= u < n]
    u, v, middle, width = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not len(width):
        return fallback
    wide = width >= 0.5 * np.quantile(width, 0.9)
    terms = np.stack([np.ones(wide.sum()), u[wide], v[wide]], axis=1)
    c, a, b = np.linalg.lstsq(terms, middle[wide], rcond=None)[0]
    return Frame(axis, plating_high, (float(c), float(a), float(b)))


def _middles(
    labelmap: LabelMap, frame: Frame, value: int, u: int
) -> tuple[npt.NDArray[np.float64], ...]:
    """Return u, v, middle and width of the widest gap of each column of one cut."""
    start, stop = [0, 0, 0], list(labelmap.grid.shape_zyx)
    start[frame.plan_axes[0]], stop[frame.plan_axes[0]] = u, u + 1
    cut = frame.across(
        labelmap.read(Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])))
    )[0]
    here = np.zeros((cut.shape[0] + 2, cut.shape[1]), np.bool_)
    here[1:-1] = cut == value
    row, column = np.divmod(np.flatnonzero(here[1:] != here[:-1]), cut.shape[1])
    order = np.lexsort((row, column))
    ends, v = row[order].reshape(-1, 2), column[order][::2]  # of each stretch of electrode
    pairs = np.flatnonzero(v[1:] == v[:-1])  # with another stretch above it in the same column
    before, end, v = ends[pairs, 1] - 1, ends[pairs + 1, 0], v[pairs]
    width = end - before - 1
    order = np.lexsort((end, -width, v))
    widest = order[np.unique(v[order], return_index=True)[1]]
    middle = (end + before) / 2
    found = v[widest].astype(np.float64), middle[widest], width[widest].astype(np.float64)
    return np.full(len(widest), float(u)), *found
