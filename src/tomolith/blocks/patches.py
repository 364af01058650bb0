"""Overlapping patches on a grid anchored at the volume's origin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.core.box import Triple
from tomolith.errors import InputError


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """Patches that cover a volume, the same ones whatever the blocks are.

    Along each axis patches start at multiples of the stride
    ``round(patch * (1 - overlap_frac))``; the last one ends at the volume's edge.
    An axis with patches of one voxel has no overlap.

    Parameters
    ----------
    shape_zyx
        Shape of the volume.
    patch_zyx
        Shape of a patch.
    overlap_frac
        Share of a patch that its neighbour covers too, 0 to below 1.

    Raises
    ------
    InputError
        The volume is smaller than a patch; the largest possible patch is stated.

    Examples
    --------
    >>> PatchGrid((1, 10, 4), (1, 4, 4), 0.25).starts
    ((0,), (0, 3, 6), (0,))
    """

    shape_zyx: Triple
    patch_zyx: Triple
    overlap_frac: float

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_frac < 1:
            raise InputError(f"the overlap is {self.overlap_frac}", expected="0 to below 1")
        if min(self.patch_zyx) < 1:
            raise InputError(f"the patch is {self.patch_zyx}", expected="at least one voxel")
        if any(s < p for s, p in zip(self.shape_zyx, self.patch_zyx, strict=True)):
            largest = tuple(min(s, p) for s, p in zip(self.shape_zyx, self.patch_zyx, strict=True))
            raise InputError(
                f"the volume of {self.shape_zyx} voxels (z, y, x) is smaller than a patch "
                f"of {self.patch_zyx}",
                expected=f"a patch of at most {largest}",
                mend="choose a smaller patch (a side that the network can divide), "
                "or give a larger volume",
            )

    @property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """First voxels of the patches along each axis, in rising order."""
        return tuple(self._axis_starts(axis) for axis in range(3))

    def _axis_starts(self, axis: int) -> tuple[int, ...]:
        whole, patch = self.shape_zyx[axis], self.patch_zyx[axis]
        stride = max(1, round(patch * (1 - self.overlap_frac)))
        regular = range(0, whole - patch + 1, stride)
        last = whole - patch
        return (*regular,) if regular[-1] == last else (*regular, last)

    def _meeting(self, axis: int, box: Box) -> tuple[int, ...]:
        low = box.start_zyx[axis] - self.patch_zyx[axis]
        high = box.stop_zyx[axis]
        return tuple(s for s in self._axis_starts(axis) if low < s < high)

    def patches_meeting(self, box: Box) -> Iterator[Box]:
        """Yield the patches that share a voxel with ``box``, in volume order (z, y, x).

        Examples
        --------
        >>> grid = PatchGrid((1, 4, 10), (1, 4, 4), 0.25)
        >>> [p.start_zyx[2] for p in grid.patches_meeting(Box((0, 0, 4), (1, 4, 10)))]
        [3, 6]
        """
        zs, ys, xs = (self._meeting(axis, box) for axis in range(3))
        pz, py, px = self.patch_zyx
        for z in zs:
            for y in ys:
                for x in xs:
                    yield Box((z, y, x), (z + pz, y + py, x + px))

    def read_box(self, box: Box) -> Box:
        """Return the voxels of all patches that share a voxel with ``box``."""
        met = [self._meeting(axis, box) for axis in range(3)]
        (z0, z1), (y0, y1), (x0, x1) = [
            (starts[0], starts[-1] + patch)
            for starts, patch in zip(met, self.patch_zyx, strict=True)
        ]
        return Box((z0, y0, x0), (z1, y1, x1))

    @property
    def halo_zyx(self) -> Triple:
        """How far beyond a box the patches that meet it can reach."""
        z, y, x = (p - 1 for p in self.patch_zyx)
        return z, y, x

    def axis_counts(self, axis: int, start: int, stop: int) -> npt.NDArray[np.int32]:
        """Return how many patches cover each voxel of one axis, from ``start`` to ``stop``.

        The number of patches on a voxel is the product over the axes.

        Examples
        --------
        >>> PatchGrid((1, 4, 10), (1, 4, 4), 0.25).axis_counts(2, 0, 10)
        array([1, 1, 1, 2, 1, 1, 2, 1, 1, 1], dtype=int32)
        """
        counts = np.zeros(stop - start, np.int32)
        for s in self._axis_starts(axis):
            counts[max(s - start, 0) : max(s + self.patch_zyx[axis] - start, 0)] += 1
        return counts
