"""Half a voxel on every border: how much volume a misplaced border is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Self

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.measure.quantities.base import ClassValue, Counts, Quantity, Region
from tomolith.measure.quantities.changes import Pairs, changes, differing
from tomolith.measure.quantities.frame import PLATING, STRIPPING, Frame, Indices
from tomolith.measure.quantities.sides import electrode_part, has_electrodes

Labels = npt.NDArray[np.uint8]
Places = Sequence[Indices]


def between(a: str, b: str) -> str:
    """Return the name of the border between two classes, ``a`` the first in the schema.

    Examples
    --------
    >>> between("background", "pit")
    'background | pit'
    """
    return f"{a} | {b}"


class BoundaryVolume(Quantity):
    """Volume in µm³ that each class gains or loses when all its borders shift by half a voxel.

    Each face that a voxel of the class shares with another class moves by half a voxel along its
    normal. Faces of the scan and faces to unlabelled voxels are no borders. A staircase of faces is
    larger than the smooth surface it stands for: for a plane along the axes it is exact, for a
    sphere 1.5 times, at most 1.73 times as large, so the shift is never taken too small.

    It is also given for each pair of classes, ``a | b``; there the electrode is parted by sides. A
    face is on the side of that voxel of its two which has the smaller index.

    Where blocks meet, the outermost layer of the first is kept until the second one is there.
    Memory: one byte per voxel of the scan's surface, where the blocks come in volume order.

    Examples
    --------
    A slab of 1 × 2 voxels between others: two borders of 2 faces, half a voxel each.

    >>> from tomolith.core import PRESETS
    >>> box = Box((0, 0, 0), (1, 2, 4))
    >>> shift = BoundaryVolume(PRESETS["li-binary"])
    >>> shift.update(Region(np.array([[[0, 1, 0, 0]] * 2], np.uint8).reshape(1, 2, 4), box, box))
    >>> shift.finish(Grid((1, 2, 4), (1.0, 1.0, 1.0)))[1].value
    2.0
    """

    unit = "um3"
    formula = "faces to other classes · voxel volume / 2"
    source = "face count as in Cauchy's projection formula: S ≤ Σ faces · area ≤ √3 S"
    is_physical = True

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._pairs = Pairs()
        self._is_parted = has_electrodes(schema) and self.frame.plane_vox is not None
        self._high: Counts = np.zeros(256, np.int64)  # faces of the electrode, by the other label
        self._layers: dict[tuple[int, Box], Labels] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """The classes, then each pair of them; the two electrodes do not touch."""
        pairs = (between(a, b) for (a, u), (b, v) in combinations(self._strata(), 2) if u != v)
        return (*self.schema.names, *pairs)

    def _strata(self) -> list[tuple[str, int]]:
        """Return names and values of the classes, the electrode parted by sides."""
        sides = (electrode_part(STRIPPING), electrode_part(PLATING))
        return [
            (name, c.value)
            for c in self.schema.classes
            for name in (sides if self._is_parted and c.name == "electrode" else (c.name,))
        ]

    def update(self, region: Region) -> None:
        """Count the faces within the core, and those to the blocks beside it."""
        labels = np.ascontiguousarray(region.core_labels)
        along_y, n_x = changes(region, 1), labels.shape[2]
        self._pairs.add(along_y.before, along_y.after)
        which = self._of_electrode(along_y.before, along_y.after)
        z, x = np.divmod(along_y.column[which], n_x)
        self._add_high(
            (along_y.before[which], along_y.after[which]),
            (z, along_y.position[which] - 1, x),
            region.core.start_zyx,
        )
        for z_here, at, before, after in _along_z_and_x(labels):
            self._pairs.add(before, after)
            which = self._of_electrode(before, after)
            y, x = np.divmod(at[which], n_x)
            zyx = (np.full_like(y, z_here), y, x)
            self._add_high((before[which], after[which]), zyx, region.core.start_zyx)
        for axis in range(3):
            start, stop = region.core.start_zyx[axis], region.core.stop_zyx[axis]
            for cut_at, index in ((start, 0), (stop, stop - start - 1)):
                if cut_at:  # the face of the scan is no border
                    cut = _cut(region.core, axis, cut_at)
                    self._meet(axis, cut, labels.take(index, axis=axis))

    def _of_electrode(self, before: Labels, after: Labels) -> Indices:
        """Return which faces are faces of an electrode, if that is parted."""
        if not self._is_parted:
            return np.zeros(0, np.intp)
        value = self.schema["electrode"].value
        return np.flatnonzero((before == value) | (after == value))

    def _add_high(
        self, labels: tuple[Labels, Labels], zyx: Places, start_zyx: tuple[int, int, int]
    ) -> None:
        """Count those faces of the electrode that lie on the high side."""
        before, after = labels
        if not len(before):
            return
        is_high = self.frame.is_high([i + n for i, n in zip(zyx, start_zyx, strict=True)])
        other = np.where(before == self.schema["electrode"].value, after, before)
        self._high += np.bincount(other[is_high], minlength=256)

    def merge(self, other: Self) -> None:
        """Add the faces of ``other``, and those between its blocks and these."""
        self._pairs.merge(other._pairs)
        self._high += other._high
        for (axis, cut), layer in other._layers.items():
            self._meet(axis, cut, layer)

    def _meet(self, axis: int, cut: Box, layer: Labels) -> None:
        """Compare a layer beside a cut with the one across it, once both are there."""
        if (axis, cut) not in self._layers:
            self._layers[axis, cut] = layer
            return
        other = self._layers.pop((axis, cut))
        places = np.nonzero(other != layer)
        one, two = other[places], layer[places]
        self._pairs.add(one, two)
        which = self._of_electrode(one, two)
        zyx = [p[which] for p in places]
        zyx.insert(axis, np.full(len(which), -1))  # the voxel before the cut
        self._add_high((one[which], two[which]), zyx, cut.start_zyx)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        half = grid.voxel_volume_um3 / 2
        pairs = self._pairs.counts()
        faces = pairs + pairs.T
        faces[:, self.schema.unlabelled] = 0
        n = [int(faces[c.value].sum()) for c in self.schema.classes]
        for (a, u), (b, v) in combinations(self._strata(), 2):
            if u != v:
                sided = [(s, o) for s, o in ((a, v), (b, u)) if s not in self.schema.names]
                n.append(self._of_side(*sided[0], faces) if sided else int(faces[u, v]))
        return tuple(ClassValue(p, k * half) for p, k in zip(self.parts, n, strict=True))

    def _of_side(self, electrode: str, other: int, faces: Counts) -> int:
        """Return the faces between the electrode of a side and a label."""
        high = int(self._high[other])
        if electrode == electrode_part(self.frame.sides[1]):
            return high
        return int(faces[self.schema["electrode"].value, other]) - high


def _cut(core: Box, axis: int, at: int) -> Box:
    """Return the face of a block as a flat box, the same for the blocks on both sides."""
    start, stop = list(core.start_zyx), list(core.stop_zyx)
    start[axis] = stop[axis] = at
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _along_z_and_x(labels: Labels) -> Iterator[tuple[int, Indices, Labels, Labels]]:
    """Yield the different neighbours along z and x, slice by slice.

    With each come the slice and, in C order within it, the place of the first voxel.
    """
    n_x = labels.shape[2]
    buffer = np.empty(labels[0].size, np.bool_)
    for z in range(len(labels)):
        here = labels[z].ravel()
        at = differing(here[:-1], here[1:], buffer)
        at = at[at % n_x != n_x - 1]  # from the end of a line to the next one
        yield z, at, here[at], here[at + 1]
        if z:
            below = labels[z - 1].ravel()
            at = differing(below, here, buffer)
            yield z - 1, at, below[at], here[at]
