"""The only place where voxels become micrometres."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tomolith.core.box import Box, Triple
from tomolith.errors import InputError

Sizes = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of an array lie in space, axes (z, y, x).

    Parameters
    ----------
    shape_zyx
        Number of voxels along each axis, all at least 1.
    voxel_size_um
        Voxel size in µm along each axis, or ``None`` where the user states that
        it is unknown; then counts and shares exist and lengths do not.
    origin_um
        Position of the first voxel's centre, in µm.
    sections
        True where z counts independent 2-D images (sections) instead of a
        length: neighbours along z are then no neighbours in space.

    Raises
    ------
    InputError
        A shape below 1, or a voxel size that is not positive and finite.

    Examples
    --------
    >>> grid = Grid((3849, 340, 2071), (1.33, 1.33, 1.33))
    >>> round(grid.voxel_volume_um3, 4)
    2.3526
    >>> f"{82_892_014 / grid.n_voxels:.3%}"
    '3.058%'
    """

    shape_zyx: Triple
    voxel_size_um: Sizes | None
    origin_um: Sizes = (0.0, 0.0, 0.0)
    sections: bool = False

    def __post_init__(self) -> None:
        if len(self.shape_zyx) != 3 or min(self.shape_zyx) < 1:
            raise InputError(
                f"the array has shape {tuple(self.shape_zyx)}",
                expected="three axes (z, y, x) of at least one voxel each",
            )
        if self.voxel_size_um is not None:
            good = len(self.voxel_size_um) == 3 and all(
                math.isfinite(size) and size > 0 for size in self.voxel_size_um
            )
            if not good:
                raise InputError(
                    f"the voxel size is {self.voxel_size_um} µm",
                    expected="three positive numbers (z, y, x) in µm",
                )

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape_zyx)

    @property
    def box(self) -> Box:
        """The box of all voxels."""
        return Box.whole(self.shape_zyx)

    @property
    def is_physical(self) -> bool:
        """True where the voxel size is known."""
        return self.voxel_size_um is not None

    def require_voxel_size_um(self, purpose: str) -> Sizes:
        """Return the voxel size, or refuse.

        Raises
        ------
        InputError
            The voxel size was stated to be unknown.
        """
        if self.voxel_size_um is None:
            raise InputError(
                f"the voxel size is unknown, so {purpose} cannot be given",
                mend="give 'voxel_size_um' for this scan in the recipe, or ask for counts only",
            )
        return self.voxel_size_um

    @property
    def voxel_volume_um3(self) -> float:
        """Volume of one voxel in µm³; ``InputError`` where the size is unknown."""
        return math.prod(self.require_voxel_size_um("a volume in µm³"))
