"""Voxels, volume and share of each class on each side of the cell."""

from __future__ import annotations

from tomolith.core import Grid
from tomolith.measure.quantities.base import ClassValue
from tomolith.measure.quantities.columns import SidesQuantity
from tomolith.measure.quantities.frame import PLATING, STRIPPING

_SOURCE = "sides as in Huang et al., npj Comput. Mater. 9, 93 (2023), parted by a fitted plane"


class _BySide(SidesQuantity):
    """One number per class and side."""

    source = _SOURCE
    needs = ("electrode",)

    @property
    def parts(self) -> tuple[str, ...]:
        """Each class on the stripping and on the plating side."""
        return tuple(f"{n}, {side}" for n in self.schema.names for side in (STRIPPING, PLATING))

    def _counts(self) -> tuple[int, ...]:
        return tuple(
            self.count(name, side) for name in self.schema.names for side in (STRIPPING, PLATING)
        )

    def _scaled(self, factor: float) -> tuple[ClassValue, ...]:
        return tuple(
            ClassValue(part, n * factor) for part, n in zip(self.parts, self._counts(), strict=True)
        )


class VoxelCountBySide(_BySide):
    """Number of voxels of each class on each side of the cell.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> VoxelCountBySide(PRESETS["li-operando"]).parts[2:4]
    ('electrode, stripping side', 'electrode, plating side')
    """

    unit = "voxels"
    formula = "N of the voxels on that side of the plane between the electrodes"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the counts."""
        return self._scaled(1)


class VolumeBySide(_BySide):
    """Volume of each class on each side of the cell, in µm³.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> from tomolith.measure.quantities.frame import Frame
    >>> box = Box((0, 0, 0), (1, 4, 1))
    >>> volume = VolumeBySide(PRESETS["li-operando"], Frame.half_depth((1, 4, 1)))
    >>> volume.update(Region(np.array([[[1], [0], [1], [1]]], np.uint8), box, box))
    >>> [v.value for v in volume.finish(Grid((1, 4, 1), (2.0, 1.0, 1.0)))[2:4]]
    [2.0, 4.0]
    """

    unit = "um3"
    formula = "V = N · voxel volume, on that side of the plane between the electrodes"
    is_physical = True

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the volumes; ``InputError`` where the voxel size is unknown."""
        return self._scaled(grid.voxel_volume_um3)


class ShareBySide(_BySide):
    """Share of each class on each side in per cent of all voxels that have a class.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Box
    >>> from tomolith.measure.quantities.base import Region
    >>> from tomolith.measure.quantities.frame import Frame
    >>> box = Box((0, 0, 0), (1, 4, 1))
    >>> share = ShareBySide(PRESETS["li-operando"], Frame.half_depth((1, 4, 1)))
    >>> share.update(Region(np.array([[[1], [0], [0], [1]]], np.uint8), box, box))
    >>> [v.value for v in share.finish(Grid((1, 4, 1), None))[:4]]
    [25.0, 25.0, 25.0, 25.0]
    """

    unit = "percent"
    formula = "100 · N on that side / number of voxels that have a class"

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the shares; ``None`` where no voxel has a class."""
        total = sum(self._counts())
        return tuple(
            ClassValue(part, 100.0 * n / total if total else None)
            for part, n in zip(self.parts, self._counts(), strict=True)
        )
