"""Columns of labels as runs of one label each: what all counts are worked out from.

Labels are layers and lumps: along a line they change at one voxel in a hundred. A block is looked
through once; counts per column, ends of layers and voids follow from the runs alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.measure.quantities.base import Counts, Region
from tomolith.measure.quantities.frame import Frame

Places = npt.NDArray[np.int32]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The columns along one axis of a block, each a row of runs of one label.

    Parameters
    ----------
    plan_shape
        Number of columns along the other two axes, in the order of the volume's axes; columns are
        numbered in C order over them.
    length
        Voxels of a column.
    begin
        Run i of column c is run ``begin[c] + i``; shape (n_columns + 1,), the last element the
        number of all runs.
    stop, label
        Of each run: the index in the block after its last voxel, and its label. The first run of a
        column begins at 0, the last one stops at ``length``.
    plane
        Per column, the first index in the block on the high side of the plane between the
        electrodes; ``length`` where the frame has no plane.
    """

    plan_shape: tuple[int, int]
    length: int
    begin: Places
    stop: Places
    label: Labels
    plane: Places

    @property
    def first(self) -> Labels:
        """The labels at the beginning of the columns, shape ``plan_shape``."""
        return self.label[self.begin[:-1]].reshape(self.plan_shape)

    @property
    def last(self) -> Labels:
        """The labels at the end of the columns, shape ``plan_shape``."""
        return self.label[self.begin[1:] - 1].reshape(self.plan_shape)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one look through a block shows.

    Parameters
    ----------
    runs
        The columns across the cell.
    pairs
        How often label a stands before another label b along z, y or x, by the side of a's voxel;
        shape (2, 256, 256).
    n_by_side
        Voxels of each label, on the low and on the high side; shape (256, 2).
    """

    runs: Runs
    pairs: Counts
    n_by_side: Counts

    @property
    def n_by_label(self) -> Counts:
        """Voxels of each label, shape (256,)."""
        return self.n_by_side[:, 0] + self.n_by_side[:, 1]


def look_through(region: Region, frame: Frame) -> Look:
    """Look through the core once, for all quantities of a frame.

    Examples
    --------
    >>> from tomolith.core import Box
    >>> box = Box((0, 0, 0), (1, 4, 2))
    >>> labels = np.array([[[1, 0], [1, 0], [0, 0], [0, 2]]], np.uint8)
    >>> runs = look_through(Region(labels, box, box), Frame.half_depth((1, 4, 2))).runs
    >>> runs.begin.tolist(), runs.stop.tolist(), runs.label.tolist()
    ([0, 2, 4], [2, 4, 3, 4], [1, 0, 0, 2])
    """
    key = ("look", frame)
    if key not in region.cache:
        region.cache[key] = region.cache["any_look"] = _look(region, frame)
    found: Look = region.cache[key]
    return found


def any_look(region: Region) -> Look:
    """Return a look at the core along whatever axis, if there was one; else along y."""
    found: Look = region.cache.get("any_look") or look_through(region, Frame())
    return found


def _look(region: Region, frame: Frame) -> Look:
    # here, not above: importing Numba takes longer than answering --help
    from tomolith.measure.quantities import compiled

    labels = np.require(region.core_labels, np.uint8, ["C", "W"])
    plane, length = _plane(region, frame), labels.shape[frame.axis]
    found = compiled.look(labels, frame.axis, plane.ravel())
    begin, stop, label, n_by_side, pairs = found
    runs = Runs(plane.shape, length, begin, stop, label, plane.ravel())
    return Look(runs, pairs, n_by_side)


def _plane(region: Region, frame: Frame) -> Places:
    """Return, per column, the first index in the core on the high side; its length if none is."""
    length = region.core.shape_zyx[frame.axis]
    if frame.plane_vox is None:
        return np.full(frame.plan_shape(region.core.shape_zyx), length, np.int32)
    first = frame.first_high(region.core) - region.core.start_zyx[frame.axis]
    return np.clip(first, 0, length).astype(np.int32)
