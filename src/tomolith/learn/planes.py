"""Planes in which a volume is predicted slice by slice, each with a patch grid of its own.

In the plane ``xz`` a slice is what has one y, its rows run along z and its columns along x. All
patch grids are anchored at the origin of the volume, so labels do not depend on blocks here
either. Source: batteryNET (Huang et al.) learns from in-plane and cross-sectional slices, and
averages the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tomolith.blocks import PatchGrid
from tomolith.core import Box, Grid
from tomolith.core.box import Triple
from tomolith.core.plane import AXES, turn, turn_back, turn_box_back
from tomolith.errors import InputError

TOLERANCE_FRAC = 0.01


@dataclass(frozen=True, slots=True)
class PlanePatches:
    """The patches of one plane.

    Parameters
    ----------
    name
        ``"xy"``, ``"xz"`` or ``"yz"``.
    patches
        The patch grid of the turned volume: axes (slice, row, column).
    n_slices
        How many slices a 2-D network is shown of a patch: its own in the middle of them.

    Examples
    --------
    >>> plane = PlanePatches.of("xz", (4, 9, 6), patch_px=4, overlap_frac=0.0)
    >>> plane.patches.shape_zyx, plane.halo_zyx
    ((9, 4, 6), (3, 0, 3))
    >>> plane.turn(Box((0, 1, 2), (3, 4, 5))).start_zyx
    (1, 0, 2)
    """

    name: str
    patches: PatchGrid
    n_slices: int = 1

    @classmethod
    def of(
        cls,
        name: str,
        shape_zyx: Triple,
        *,
        patch_px: int,
        overlap_frac: float,
        depth: int = 1,
        n_slices: int = 1,
    ) -> PlanePatches:
        """Return square patches of ``depth`` slices in the plane ``name`` of ``shape_zyx``."""
        shape = turn(shape_zyx, name)
        return cls(name, PatchGrid(shape, (depth, patch_px, patch_px), overlap_frac), n_slices)

    @property
    def axes(self) -> Triple:
        """Axes of the volume that are slice, row and column."""
        return AXES[self.name]

    @property
    def halo_zyx(self) -> Triple:
        """How far beyond a box of the volume the patches that meet it can reach."""
        deep, high, wide = self.patches.halo_zyx
        return turn_back((deep + self.n_slices // 2, high, wide), self.name)

    def turn(self, box: Box) -> Box:
        """Return a box of the volume in (slice, row, column)."""
        return Box(turn(box.start_zyx, self.name), turn(box.stop_zyx, self.name))

    def turn_back(self, box: Box) -> Box:
        """Return a box in (slice, row, column) in the axes of the volume."""
        return turn_box_back(box, self.name)

    def read_box(self, box: Box) -> Box:
        """Return the voxels of the volume that the patches meeting ``box`` need."""
        return self.turn_back(self.between_neighbours(self.patches.read_box(self.turn(box))))

    def between_neighbours(self, box: Box) -> Box:
        """Return a box in (slice, row, column) with the slices that are shown besides its own."""
        half, n = self.n_slices // 2, self.patches.shape_zyx[0]
        (low, *start), (high, *stop) = box.start_zyx, box.stop_zyx
        return Box((max(low - half, 0), *start), (min(high + half, n), *stop))


def check_planes(planes: Sequence[str], grid: Grid, *, key: str = "predict.planes") -> None:
    """Refuse planes across the slices where voxels are not cubes.

    Parameters
    ----------
    planes
        What is asked for.
    grid
        Of the scan.
    key
        Where in the recipe it is asked for.

    Raises
    ------
    InputError
        The scan holds sections, or its voxel size is unknown or differs between the axes by more
        than 1 %.

    Examples
    --------
    >>> check_planes(("xy", "xz"), Grid((9, 9, 9), (2.0, 1.0, 1.0)))
    Traceback (most recent call last):
    ...
    tomolith.errors.InputError: the planes xz need voxels of equal sides
      expected: one voxel size along z, y and x, not 2 × 1 × 1 µm
      where:    predict.planes
      to mend:  set 'planes: [xy]', or resample the scan
    """
    across = [name for name in planes if name != "xy"]
    if across and (expected := _lacks_cubes(grid)):
        raise InputError(
            f"the planes {', '.join(across)} need voxels of equal sides",
            expected=expected,
            where=key,
            mend=f"set '{'planes: [xy]' if key == 'predict.planes' else 'plane: xy'}', "
            "or resample the scan",
        )


def check_cubes(grid: Grid, planes: Sequence[str] = ("xy",), *, where: str) -> None:
    """Refuse scans that a 3-D network cannot see as one space.

    Its kernels reach as far along z as along y and x, so neighbours have to be as far apart.

    Raises
    ------
    InputError
        The scan holds sections, or its voxel size is unknown or differs between the axes by more
        than 1 %; or other planes than that of the slices are asked for.

    Examples
    --------
    >>> check_cubes(Grid((9, 9, 9), (1.0, 1.0, 1.0), sections=True), where="a")
    Traceback (most recent call last):
    ...
    tomolith.errors.InputError: a 3-D network needs voxels of equal sides
      expected: a volume, not sections
      where:    a
      to mend:  resample the scan, or take a network that sees slices
    """
    if expected := _lacks_cubes(grid):
        raise InputError(
            "a 3-D network needs voxels of equal sides",
            expected=expected,
            where=where,
            mend="resample the scan, or take a network that sees slices",
        )
    if tuple(planes) != ("xy",):
        raise InputError(
            f"a 3-D network sees all planes at once, and is asked for {', '.join(planes)}",
            where="predict.planes",
            mend="leave 'planes' out",
        )


def check_context(grid: Grid, context_slices: int, *, key: str) -> None:
    """Refuse slices between their neighbours where a scan holds sections, which have none.

    Raises
    ------
    InputError
        The scan holds sections.
    """
    if context_slices and grid.sections:
        raise InputError(
            f"a network is to see {context_slices} slices on either side, and the scan holds "
            "sections, which are no neighbours",
            expected="a volume",
            where=key,
            mend="take a model that sees one slice: leave 'context_slices' out of its training",
        )


def _lacks_cubes(grid: Grid) -> str:
    """Return what a scan should be to have cubic voxels in one space; nothing where it has."""
    if grid.sections:
        return "a volume, not sections"
    size = grid.voxel_size_um
    if size is not None and max(size) <= min(size) * (1 + TOLERANCE_FRAC):
        return ""
    found = "an unknown one" if size is None else " × ".join(f"{v:g}" for v in size) + " µm"
    return f"one voxel size along z, y and x, not {found}"


def union(boxes: list[Box]) -> Box:
    """Return the smallest box that holds all ``boxes``.

    Examples
    --------
    >>> union([Box((0, 1, 1), (1, 2, 2)), Box((0, 0, 1), (1, 2, 4))])
    Box(start_zyx=(0, 0, 1), stop_zyx=(1, 2, 4))
    """
    z0, y0, x0 = (min(b.start_zyx[a] for b in boxes) for a in range(3))
    z1, y1, x1 = (max(b.stop_zyx[a] for b in boxes) for a in range(3))
    return Box((z0, y0, x0), (z1, y1, x1))
