"""A phantom: any box of a simulated scan and of its true labels, made when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.errors import RecipeError
from tomolith.phantom.cell import MATERIALS, Cell
from tomolith.phantom.noise import make_key
from tomolith.phantom.scanner import Scanner
from tomolith.phantom.settings import PhantomSettings

_TILE_ZYX = (64, 128, 256)  # a box is made in tiles of this size, which bounds the memory


@dataclass(frozen=True, slots=True)
class Phantom:
    """One simulated scan. Nothing is stored: boxes are computed, and always with the same bytes.

    Examples
    --------
    >>> phantom = Phantom.build(PhantomSettings(preset="tiny"), "phantom-0")
    >>> image, material = phantom.render(Box((0, 0, 0), (4, 64, 4)))
    >>> image.shape, MATERIALS[material[0, 10, 0]]
    ((4, 64, 4), 'electrode')
    """

    settings: PhantomSettings
    cell: Cell
    scanner: Scanner

    @classmethod
    def build(cls, settings: PhantomSettings, scan_id: str) -> Phantom:
        """Make the compact description of a scan; its seed and its name decide everything."""
        scanner = Scanner(settings, make_key(settings.seed, scan_id, "scanner"))
        return cls(settings, Cell.build(settings, scan_id), scanner)

    @property
    def grid(self) -> Grid:
        """The grid of the scan."""
        size = self.settings.voxel_size_um
        return Grid(self.settings.shape_zyx, (size, size, size))

    def render(
        self, box: Box
    ) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.uint8]]:
        """Return the grey values of a box and the index of each voxel's material.

        Returns
        -------
        image, material
            Both of the box's shape (z, y, x); ``material`` indexes :data:`MATERIALS`.
        """
        image = np.empty(box.shape_zyx, self.settings.dtype)
        material = np.empty(box.shape_zyx, np.uint8)
        for tile in box.tiles(_TILE_ZYX):
            read = self.scanner.reads(tile)
            drawing = self.cell.draw(read)
            here = tile.relative_to(box).slices
            image[here] = self.scanner.image(tile, drawing)
            material[here] = drawing.material[tile.relative_to(read).slices]
        return image, material


def label_values(schema: ClassSchema) -> npt.NDArray[np.uint8]:
    """Return the schema's value of each material.

    Raises
    ------
    RecipeError
        The schema has no class of that name.
    """
    missing = [name for name in MATERIALS if name not in schema.names]
    if missing:
        raise RecipeError(
            f"the classes {', '.join(schema.names)} leave out {', '.join(missing)}",
            expected=f"a class schema with {', '.join(MATERIALS)}, which the phantom is made of",
            mend="write 'classes: li-operando'",
        )
    return np.array([schema[name].value for name in MATERIALS], np.uint8)
