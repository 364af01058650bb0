"""The cell: a compact description from which any box of voxels can be drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.dendrites import Capsules, Doubles, GrowthRules, grow_dendrite
from tomolith.phantom.noise import Floats, box_indices, fractal_noise, lattice_noise, make_key
from tomolith.phantom.settings import PhantomSettings

MATERIALS = ("background", "electrode", "dendrite")
_MOSS = 0.13  # roughness of a dendrite's skin, as a share of its radius
_ROUGH_SPACING_UM = 45.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A box of the cell without any degradation, axes (z, y, x).

    Parameters
    ----------
    material
        Index into :data:`MATERIALS`: what lies at the centre of each voxel.
    electrode_frac, dendrite_frac, defect_frac
        Share of each voxel that each fills (partial volume at the borders).
    """

    material: npt.NDArray[np.uint8]
    electrode_frac: Floats
    dendrite_frac: Floats
    defect_frac: Floats


@dataclass(frozen=True, slots=True)
class Cell:
    """Geometry of one simulated cell: two rough electrodes, trees of capsules, round defects.

    Positions are in µm from the centre of the volume.

    Examples
    --------
    >>> cell = Cell.build(PhantomSettings(preset="tiny"), "phantom-0")
    >>> drawing = cell.draw(Box((0, 0, 0), (8, 64, 8)))
    >>> sorted({MATERIALS[i] for i in np.unique(drawing.material)})[:2]
    ['background', 'dendrite']
    """

    settings: PhantomSettings
    key: int
    slope_zx: tuple[float, float]
    dendrites: Capsules
    defects: Capsules

    @classmethod
    def build(cls, settings: PhantomSettings, scan_id: str) -> Cell:
        """Grow the cell of a scan; the same seed and name give the same cell."""
        key = make_key(settings.seed, scan_id)
        rng = np.random.Generator(np.random.PCG64(make_key(settings.seed, scan_id, "geometry")))
        angle = 2 * math.pi * rng.random()
        slope = math.tan(math.radians(settings.tilt_deg))
        slopes = (slope * math.sin(angle), slope * math.cos(angle))
        bare = cls(settings, key, slopes, Capsules.of_rows([]), Capsules.of_rows([]))
        dendrites = Capsules.of_rows(bare._grow_dendrites(rng))
        return cls(settings, key, slopes, dendrites, Capsules.of_rows(bare._place_defects(rng)))

    def draw(self, box: Box) -> Drawing:
        """Draw a box of voxels; it may reach beyond the volume, where the cell goes on."""
        axes = axes_um(self.settings, box)
        voxel = self.settings.voxel_size_um
        electrode = self._electrode_distance_um(axes)
        dendrite = self._dendrite_distance_um(axes)
        # a defect never hides Li: Li first, then what is left of the polymer
        defect = np.maximum(self.defects.distance_um(axes, 2 * voxel), -dendrite)
        material = np.zeros(electrode.shape, np.uint8)
        material[dendrite < 0] = MATERIALS.index("dendrite")
        material[electrode < 0] = MATERIALS.index("electrode")
        electrode_frac = _fraction(electrode, voxel)
        return Drawing(
            material,
            electrode_frac,
            _fraction(dendrite, voxel) * (1 - electrode_frac),
            _fraction(defect, voxel) * (1 - electrode_frac),
        )

    def interface_um(self, side: str, z_um: Doubles, x_um: Doubles) -> Doubles:
        """Return y of an electrode's inner interface over (z, x); side: stripping or plating."""
        s = self.settings
        rough = fractal_noise(self.key + len(side), (z_um, x_um), _ROUGH_SPACING_UM)
        sign = 1.0 if side == "plating" else -1.0
        level = sign * s.electrolyte_um / 2 + s.roughness_um * rough.astype(np.float64)
        return level + self._lift_um(z_um, x_um)

    def _lift_um(self, z_um: Doubles, x_um: Doubles) -> Doubles:
        """Return how far the tilt moves the cell along y, over (z, x)."""
        return z_um[:, None] * self.slope_zx[0] + x_um[None, :] * self.slope_zx[1]

    def _electrode_distance_um(self, axes: tuple[Doubles, ...]) -> Doubles:
        z, y, x = axes
        half = self.settings.thickness_um / 2
        lift = self._lift_um(z, x)[:, None, :]
        y = y[None, :, None]
        stripping = self.interface_um("stripping", z, x)[:, None, :]
        plating = self.interface_um("plating", z, x)[:, None, :]
        upper = np.maximum(y - stripping, lift - half - y)
        lower = np.maximum(plating - y, y - lift - half)
        return np.minimum(upper, lower)

    def _dendrite_distance_um(self, axes: tuple[Doubles, ...]) -> Doubles:
        s = self.settings
        moss = _MOSS * s.dendrite_radius_um
        distance = self.dendrites.distance_um(axes, 4 * moss + 2 * s.voxel_size_um)
        skin = lattice_noise(self.key + 101, axes, 0.9 * s.dendrite_radius_um)
        distance += moss * skin.astype(np.float64)
        if s.porosity_frac > 0:
            limit = NormalDist().inv_cdf(1 - s.porosity_frac)
            pores = lattice_noise(self.key + 202, axes, s.pore_um).astype(np.float64)
            distance = np.maximum(distance, (pores - limit) * (s.pore_um / 3))
        return distance

    def _grow_dendrites(self, rng: np.random.Generator) -> list[tuple[float, ...]]:
        s = self.settings
        half = [n * s.voxel_size_um / 2 for n in s.shape_zyx]
        rows: list[tuple[float, ...]] = []
        for _ in range(s.n_dendrites):
            z, x = (2 * rng.random() - 1) * half[0], (2 * rng.random() - 1) * half[2]
            lift = z * self.slope_zx[0] + x * self.slope_zx[1]
            root = np.array(
                [z, float(self.interface_um("plating", np.array([z]), np.array([x]))[0, 0]), x]
            )
            rules = GrowthRules(
                s.dendrite_height_um,
                s.dendrite_radius_um,
                s.branching,
                s.tortuosity,
                ceiling_um=lift - s.electrolyte_um / 2 + 3 * s.roughness_um,
            )
            rows += grow_dendrite(root, rules, rng)
        return rows

    def _place_defects(self, rng: np.random.Generator) -> list[tuple[float, ...]]:
        """Bubbles in the polymer: as dark as dendrites, but background."""
        s = self.settings
        half = [n * s.voxel_size_um / 2 for n in s.shape_zyx]
        rows: list[tuple[float, ...]] = []
        for _ in range(s.n_defects):
            radius = s.dendrite_radius_um * (0.7 + 0.9 * rng.random())
            room = max(s.electrolyte_um / 2 - radius - 3 * s.roughness_um, 0.0)
            z, x = (2 * rng.random() - 1) * half[0], (2 * rng.random() - 1) * half[2]
            y = (2 * rng.random() - 1) * room + z * self.slope_zx[0] + x * self.slope_zx[1]
            rows.append((z, y, x, z, y, x, radius, radius))
        return rows


def axes_um(settings: PhantomSettings, box: Box) -> tuple[Doubles, ...]:
    """Return the positions of a box's voxels along each axis, from the volume's centre."""
    return tuple(
        (index - (n - 1) / 2) * settings.voxel_size_um
        for index, n in zip(box_indices(box), settings.shape_zyx, strict=True)
    )


def _fraction(distance_um: Doubles, voxel_size_um: float) -> Floats:
    """Share of a voxel inside a surface that passes at a signed distance from its centre."""
    return np.clip(0.5 - distance_um / voxel_size_um, 0.0, 1.0).astype(np.float32)
