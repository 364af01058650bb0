"""A phantom: any box of a simulated scan and of its true labels, made when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid
from tomolith.errors import InputError, RecipeError
from tomolith.phantom.attenuation import linear_attenuation
from tomolith.phantom.cell import Cell
from tomolith.phantom.drawing import MATERIALS, SPECK
from tomolith.phantom.motion import Motion, move_labels, move_picture, source_box
from tomolith.phantom.noise import Floats, axes_um, fractal_noise, make_key
from tomolith.phantom.scanner import Scanner, greys
from tomolith.phantom.settings import PhantomSettings, scan_name

_TEXTURE_UM = 24.0
SIMULATED = "simulated: no X-rays, no cell"


@dataclass(frozen=True, slots=True)
class Phantom:
    """One simulated scan. Nothing is stored: boxes are computed, and always with the same bytes.

    Examples
    --------
    >>> settings = PhantomSettings(preset="tiny")
    >>> phantom = Phantom.of(Cell.build(settings, 0), "cell0-t12", 12)
    >>> image, material = phantom.render(Box((0, 0, 0), (4, 64, 4)))
    >>> image.shape, MATERIALS[material[0, 10, 0]]
    ((4, 64, 4), 'electrode')
    """

    cell: Cell
    scanner: Scanner
    scan_id: str
    pulse: int
    motion: Motion

    @classmethod
    def of(cls, cell: Cell, scan_id: str, pulse: int) -> Phantom:
        """Return the scan of a cell after ``pulse`` pulses; its name decides the noise."""
        key = make_key(cell.settings.seed, scan_id, "scanner")
        motion = Motion.of_scan(cell.settings, scan_id, first=pulse == cell.settings.scans[0])
        return cls(cell, Scanner(cell.settings, key), scan_id, pulse, motion)

    @classmethod
    def build(cls, settings: PhantomSettings, scan_id: str) -> Phantom:
        """Make the cell and the scan of that name, one of ``settings.scan_ids``.

        Raises
        ------
        InputError
            The settings make no such scan.
        """
        for index in range(settings.n_cells):
            for pulse in settings.scans:
                if scan_name(index, pulse) == scan_id:
                    return cls.of(Cell.build(settings, index), scan_id, pulse)
        raise InputError(
            f"the phantom has no scan '{scan_id}'",
            expected=f"one of {', '.join(settings.scan_ids)}",
            mend="change 'n_cells' or 'scans' of the phantom, or the name",
        )

    @property
    def settings(self) -> PhantomSettings:
        """What the cell was made by."""
        return self.cell.settings

    @property
    def grid(self) -> Grid:
        """The grid of the scan."""
        return self.settings.grid

    def render(
        self, box: Box
    ) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.uint8]]:
        """Return the grey values of a box and the index of each voxel's material.

        Returns
        -------
        image, material
            Both of the box's shape (z, y, x); ``material`` indexes :data:`MATERIALS`.
        """
        values = greys(self.settings)

        def paint(samples: Box, step: int) -> Floats:
            return self._picture(samples, values, step=step, textured=True)

        return self.scanner.render(box, paint, self.materials)

    def label_values(self, schema: ClassSchema) -> npt.NDArray[np.uint8]:
        """Return the schema's value of each of :data:`MATERIALS`; see :func:`label_values`."""
        return label_values(schema)

    def materials(self, box: Box) -> npt.NDArray[np.uint8]:
        """Return the index of each voxel's material, without making the image."""
        if self.motion.is_still:
            return self.cell.materials(box, self.pulse)
        sources = self.motion.sources(box)
        around = source_box(sources)
        return move_labels(self.cell.materials(around, self.pulse), around, sources)

    def attenuation(self, box: Box) -> Floats:
        """Return the true linear attenuation coefficient of a box in 1/cm, at 27.5 keV.

        Voxels at borders hold the mean of what they share; porous layers that of Li and polymer.
        """
        picture = self._picture(box, attenuations(self.settings), step=1, textured=False)
        return np.maximum(picture, np.float32(0))

    def _picture(
        self, box: Box, values: Mapping[str, float], *, step: int, textured: bool
    ) -> Floats:
        """Return a box, counted in cubes of ``step`` voxels, painted with a value per material."""
        if self.motion.is_still:
            return self._still_picture(box, values, step=step, textured=textured)
        sources = self.motion.sources(box, step=step)
        around = source_box(sources)
        picture = self._still_picture(around, values, step=step, textured=textured)
        return move_picture(picture, around, sources)

    def _still_picture(
        self, box: Box, values: Mapping[str, float], *, step: int, textured: bool
    ) -> Floats:
        s = self.settings
        picture = self.cell.draw(box, self.pulse, step=step).paint(values)
        if s.texture and textured:  # of the material itself: the same in every scan of the cell
            axes = axes_um(s.shape_zyx, s.voxel_size_um, box, step=step)
            grain = fractal_noise(self.cell.layers.key + 11, axes, _TEXTURE_UM)
            grain *= np.float32(s.texture)
            picture += grain
        return picture


def attenuations(settings: PhantomSettings) -> dict[str, float]:
    """Return the attenuation of each material, and of specks, in 1/cm.

    Pits and specks are empty; the pores of deposited and redeposited Li hold polymer.

    Examples
    --------
    >>> mu = attenuations(PhantomSettings())
    >>> mu["electrode"] < mu["deposited"] < mu["background"]
    True
    """
    mu = linear_attenuation()
    lithium, polymer = mu["lithium"], mu["polymer"]

    def porous(porosity_frac: float) -> float:
        return (1 - porosity_frac) * lithium + porosity_frac * polymer

    return {
        "background": polymer,
        "electrode": lithium,
        "dendrite": lithium,
        "pit": mu["void"],
        "deposited": porous(settings.deposit_porosity_frac),
        "redeposited": porous(settings.redeposit_porosity_frac),
        SPECK: mu["void"],
    }


def label_values(schema: ClassSchema) -> npt.NDArray[np.uint8]:
    """Return the schema's value of each of :data:`MATERIALS`.

    A schema may have fewer classes than the cell has materials: then pits are background, and
    deposited and redeposited Li count as dendrite. With a class ``lithium`` instead of
    ``dendrite``, as in ``li-binary``, all three are that, and electrodes background.

    Raises
    ------
    RecipeError
        The schema has no class ``background``, ``electrode`` or ``dendrite``.
    """
    counts_as = {"pit": "background", "deposited": "dendrite", "redeposited": "dendrite"}
    needed = ("background", "electrode", "dendrite")
    if "lithium" in schema.names:
        counts_as = dict.fromkeys(("dendrite", "deposited", "redeposited"), "lithium")
        counts_as |= {"pit": "background", "electrode": "background"}
        needed = ("background", "lithium")
    missing = [name for name in needed if name not in schema.names]
    if missing:
        raise RecipeError(
            f"the classes {', '.join(schema.names)} leave out {', '.join(missing)}",
            expected=f"a class schema with {', '.join(needed)}, which the phantom is made of",
            mend="write 'classes: li-operando' or 'classes: li-binary'",
        )
    names = [name if name in schema.names else counts_as[name] for name in MATERIALS]
    return np.array([schema[name].value for name in names], np.uint8)
