"""The cell: a compact description from which any box of voxels can be drawn, after any pulse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.capsules import Capsules
from tomolith.phantom.dendrites import Dendrites, grow_trees
from tomolith.phantom.drawing import MATERIALS, Drawing, fraction, layer_materials
from tomolith.phantom.layers import Layers, place_pits
from tomolith.phantom.levels import Levels, solve_levels
from tomolith.phantom.noise import Doubles, Floats, axes_um, make_key
from tomolith.phantom.settings import PhantomSettings

_MOST_PLACES = 1_000_000
_MEAN_SAMPLES = 512  # positions along z at which the mean of a pattern is taken


@dataclass(frozen=True, slots=True)
class Cell:
    """One simulated cell: layers with rough interfaces, trees of capsules, round specks.

    Positions are in µm from the centre of the volume.

    Parameters
    ----------
    levels
        For each pulse that can be drawn.
    specks
        Capsules in the polymer, as dark as Li; each is there from its arrival on, a share of the
        cycle.

    Examples
    --------
    >>> cell = Cell.build(PhantomSettings(preset="tiny"), 0)
    >>> drawing = cell.draw(Box((0, 0, 0), (8, 64, 8)), 12)
    >>> sorted({MATERIALS[i] for i in np.unique(drawing.material)})[:2]
    ['background', 'deposited']
    """

    settings: PhantomSettings
    layers: Layers
    dendrites: Dendrites
    specks: Capsules
    levels: Mapping[int, Levels]

    @classmethod
    def build(cls, settings: PhantomSettings, index: int) -> Cell:
        """Make the cell of that index; the same seed and index give the same cell.

        Raises
        ------
        RecipeError
            Pits would go through the electrode.
        """
        key = make_key(settings.seed, index)
        rng = np.random.Generator(np.random.PCG64(make_key(settings.seed, index, "geometry")))
        angle = 2 * math.pi * rng.random()
        slope = math.tan(math.radians(settings.tilt_deg))
        slopes = (slope * math.sin(angle), slope * math.cos(angle))
        layers = _scaled(Layers(settings, key, slopes, place_pits(settings, rng)))
        dendrites = Dendrites(settings, key, grow_trees(settings, layers, rng))
        specks = _place_specks(settings, slopes, rng)
        return cls(
            settings,
            layers,
            dendrites,
            specks,
            solve_levels(settings, layers, dendrites, settings.scans),
        )

    def draw(self, box: Box, pulse: int, *, step: int = 1) -> Drawing:
        """Draw a box of voxels after ``pulse`` pulses, one of ``settings.scans``.

        The box may reach beyond the volume, where the cell goes on. With a ``step`` it counts cubes
        of so many voxels a side, and these are drawn as if they were the voxels.
        """
        axes = axes_um(self.settings.shape_zyx, self.settings.voxel_size_um, box, step=step)
        voxel = step * self.settings.voxel_size_um
        material, boundaries, near = self._materials(axes, pulse)
        dendrite_frac: Floats | None = None
        if near is not None:
            part, distance = near
            dendrite_frac = np.zeros(material.shape, np.float32)
            dendrite_frac[part] = fraction(distance, voxel)
        speck_frac = self._speck_frac(axes, pulse, voxel)
        return Drawing(material, axes[1], voxel, boundaries, dendrite_frac, speck_frac)

    def materials(self, box: Box, pulse: int) -> npt.NDArray[np.uint8]:
        """Return what :meth:`draw` says of the material, in less time."""
        axes = axes_um(self.settings.shape_zyx, self.settings.voxel_size_um, box)
        return self._materials(axes, pulse)[0]

    def _materials(
        self, axes: tuple[Doubles, Doubles, Doubles], pulse: int
    ) -> tuple[
        npt.NDArray[np.uint8], tuple[Doubles, ...], tuple[tuple[slice, ...], Doubles] | None
    ]:
        """Return materials, heights between layers, and distances to dendrites in some part."""
        levels, (z, y, x) = self.levels[pulse], axes
        boundaries = self.layers.boundaries(self.layers.plane(z, x), levels.amounts)
        material = layer_materials(y, boundaries)
        # dendrites move with the plating side
        near = self.dendrites.distance_um((z, y - levels.amounts.swelling, x), levels.growth)
        if near is not None:
            part, distance = near
            # Li of the bulk is electrode: dendrites end at the fresh interface
            base = boundaries[6][part[0], None, part[2]] - y[None, part[1], None]
            np.maximum(distance, -base, out=distance)
            material[part][distance < 0] = MATERIALS.index("dendrite")
        return material, boundaries, near

    def boundaries_um(self, pulse: int) -> tuple[Doubles, ...]:
        """Return the heights between the layers over the field of view, each (n_z, n_x).

        Large planes are given at every k-th z and x only, at most some million places.
        """
        s = self.settings
        z, _, x = axes_um(s.shape_zyx, s.voxel_size_um, Box.whole(s.shape_zyx))
        stride = max(1, math.isqrt(len(z) * len(x) // _MOST_PLACES))
        plane = self.layers.plane(z[::stride], x[::stride])
        return self.layers.boundaries(plane, self.levels[pulse].amounts)

    def _speck_frac(
        self, axes: tuple[Doubles, Doubles, Doubles], pulse: int, voxel: float
    ) -> Floats | None:
        there = self.specks.start_arrival <= pulse / (2 * self.settings.n_pulses)
        out: Floats | None = None
        for _, part, distance, _ in self.specks.near(axes, 2 * voxel, there):
            if out is None:
                out = np.zeros([len(axis) for axis in axes], np.float32)
            np.maximum(out[part], fraction(distance, voxel), out=out[part])
        return out


def _scaled(layers: Layers) -> Layers:
    """Return the layers with patterns of mean 1 over the field of view."""
    s = layers.settings
    z, _, x = axes_um(s.shape_zyx, s.voxel_size_um, Box.whole(s.shape_zyx))
    plane = layers.plane(z[:: max(1, len(z) // _MEAN_SAMPLES)], x)
    pit_mean = float(plane.pit.mean()) or 1.0
    return replace(layers, even_mean=float(plane.even.mean()), pit_mean=pit_mean)


def _place_specks(
    settings: PhantomSettings, slope_zx: tuple[float, float], rng: np.random.Generator
) -> Capsules:
    """Place dark specks in the polymer: some for ever, as fiducials, some bubbles in time."""
    s = settings
    half = [n * s.voxel_size_um / 2 for n in s.shape_zyx]
    middle_y = s.electrode_um + s.electrolyte_um / 2 - s.thickness_um / 2
    rows: list[tuple[float, ...]] = []
    for i in range(s.n_defects + s.n_bubbles):
        radius = s.dendrite_radius_um * (0.7 + 0.9 * rng.random())
        room = max(s.electrolyte_um / 2 - radius - 3 * s.roughness_um, 0.0)
        z, x = (2 * rng.random() - 1) * half[0], (2 * rng.random() - 1) * half[2]
        lift = z * slope_zx[0] + x * slope_zx[1]
        y = middle_y + (2 * rng.random() - 1) * room + lift
        since = rng.random() if i >= s.n_defects else 0.0
        rows.append((z, y, x, z, y, x, radius, radius, since, since, 0.0))
    return Capsules.of_rows(rows)
