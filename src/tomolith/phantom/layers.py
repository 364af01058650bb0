"""The layers of the cell: heights over the plane (z, x), from the stripping to the plating side.

::

    y  small   | foil      background
       strip_back -------------------
               | electrode (stripping side)
       strip_face -------------------  recedes unevenly in charge
               | void      pit           only under redeposited Li
       void_top ---------------------
               | redeposited
       redeposit_top ----------------
               | pit                     what is not filled
       pit_top ----------------------  recedes evenly: here the polymer follows
               | polymer   background
       deposit_face -----------------
               | deposited
       deposit_base -----------------
               | void      background    only where the bulk had to give Li
       plating_face -----------------
               | electrode (plating side)
       plating_back -----------------
    y  large   | foil      background
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from tomolith.phantom.noise import Doubles, fractal_noise
from tomolith.phantom.settings import PhantomSettings

# From small to large y; between two of them lies a boundary.
LAYER_MATERIALS = (
    "background",
    "electrode",
    "pit",
    "redeposited",
    "pit",
    "background",
    "deposited",
    "background",
    "electrode",
    "background",
)
_ROUGH_SPACING_UM = 45.0
_PATTERN_SPACING_UM = 60.0
_EVEN_SPREAD = 0.25  # how unevenly Li leaves outside the pits (standard deviation)
_REFILL_IN_PITS = 0.6  # share of redeposited Li that follows the pits


@dataclass(frozen=True, slots=True)
class Amounts:
    """How far the layers have moved in one scan, in µm.

    Parameters
    ----------
    stripped
        Mean thickness that the stripping electrode has lost.
    refill
        Scale of the redeposited layer.
    void
        Scale of the voids below it.
    deposit
        Scale of the deposited layer.
    bulk_loss
        Thickness that the plating electrode itself gave.
    swelling
        How far the plating side has moved away.
    """

    stripped: float = 0.0
    refill: float = 0.0
    void: float = 0.0
    deposit: float = 0.0
    bulk_loss: float = 0.0
    swelling: float = 0.0


@dataclass(frozen=True, slots=True)
class Plane:
    """All that is the same in every scan of a cell, over some z and x; each array (n_z, n_x).

    Parameters
    ----------
    lift
        How far the tilt moves the cell along y, in µm.
    stripping, plating
        The fresh inner interfaces, in µm.
    even, pit
        Where Li leaves the stripping electrode; each of mean 1 over the field of view.
    deposit, refill, void
        Where Li is deposited and redeposited, and where voids are, of the order of 1.
    """

    lift: Doubles
    stripping: Doubles
    plating: Doubles
    even: Doubles
    pit: Doubles
    deposit: Doubles
    refill: Doubles
    void: Doubles


@dataclass(frozen=True, slots=True)
class Layers:
    """Compact description of all interfaces of a cell.

    Parameters
    ----------
    pits
        Shape (n, 4): z and x of the centre and the radius, in µm, and the depth (0 to 1).
    even_mean, pit_mean
        Means of the two patterns before they are scaled to 1; see :func:`scaled`.
    """

    settings: PhantomSettings
    key: int
    slope_zx: tuple[float, float]
    pits: npt.NDArray[np.float64]
    even_mean: float = 1.0
    pit_mean: float = 1.0

    @property
    def stripping_y(self) -> float:
        """Height of the fresh stripping interface in µm, without tilt and roughness."""
        return self.settings.electrode_um - self.settings.thickness_um / 2

    def lift_um(self, z_um: Doubles, x_um: Doubles) -> Doubles:
        """Return how far the tilt moves the cell along y, over (z, x)."""
        return z_um[:, None] * self.slope_zx[0] + x_um[None, :] * self.slope_zx[1]

    def middle_um(self, z_um: Doubles, x_um: Doubles) -> Doubles:
        """Return the middle of the polymer, which parts the two sides, over (z, x)."""
        return self.lift_um(z_um, x_um) + self.stripping_y + self.settings.electrolyte_um / 2

    def plane(self, z_um: Doubles, x_um: Doubles) -> Plane:
        """Return what the layers are made of over the product of ``z_um`` and ``x_um``."""
        s = self.settings
        lift, stripping_y = self.lift_um(z_um, x_um), self.stripping_y
        even = np.maximum(1 + _EVEN_SPREAD * self._noise(3, z_um, x_um), 0.2) / self.even_mean
        pit = self._pit_pattern(z_um, x_um) / self.pit_mean if len(self.pits) else even
        covered = NormalDist().inv_cdf(s.deposit_coverage_frac)
        grain = 1 + 0.6 * self._noise(5, z_um, x_um)
        refill = (1 - _REFILL_IN_PITS) * np.maximum(grain, 0) + _REFILL_IN_PITS * pit
        if s.void_coverage_frac > 0:
            above = self._noise(6, z_um, x_um) - NormalDist().inv_cdf(1 - s.void_coverage_frac)
            void = np.where(above > 0, 0.6 + 0.6 * above, 0.0)
        else:
            void = np.zeros_like(lift)
        return Plane(
            lift,
            stripping_y + lift + s.roughness_um * self._noise(1, z_um, x_um, _ROUGH_SPACING_UM),
            stripping_y
            + s.electrolyte_um
            + lift
            + s.roughness_um * self._noise(2, z_um, x_um, _ROUGH_SPACING_UM),
            even,
            pit,
            np.maximum(1 + self._noise(4, z_um, x_um, 30.0) / covered, 0),
            refill,
            void,
        )

    def boundaries(self, plane: Plane, amounts: Amounts) -> tuple[Doubles, ...]:
        """Return the heights in µm between the :data:`LAYER_MATERIALS`, each (n_z, n_x)."""
        s, a = self.settings, amounts
        back = s.thickness_um / 2
        loss = self.loss(plane)
        face = plane.stripping - a.stripped * loss
        void_top = face + a.void * plane.void
        redeposit_top = void_top + a.refill * plane.refill
        pit_top = plane.stripping - a.stripped * (1 - self._pit_share) * plane.even
        deposit_base = plane.plating + a.swelling
        heights = [
            plane.lift - back,
            face,
            void_top,
            redeposit_top,
            pit_top,
            deposit_base - a.deposit * plane.deposit,
            deposit_base,
            deposit_base + a.bulk_loss,
            plane.lift + back - s.swelling_um + a.swelling,
        ]
        for below, above in pairwise(heights):
            np.maximum(above, below, out=above)
        return tuple(heights)

    def loss(self, plane: Plane) -> Doubles:
        """Return where the stripping electrode loses Li, of mean 1."""
        share = self._pit_share
        return (1 - share) * plane.even + share * plane.pit

    @property
    def _pit_share(self) -> float:
        return self.settings.pit_share if len(self.pits) else 0.0

    def _noise(
        self, stream: int, z_um: Doubles, x_um: Doubles, spacing: float = _PATTERN_SPACING_UM
    ) -> Doubles:
        noise = fractal_noise(self.key + 1000 * stream, (z_um, x_um), spacing)
        return noise.astype(np.float64)

    def _pit_pattern(self, z_um: Doubles, x_um: Doubles) -> Doubles:
        """Return bowls, the deepest where they overlap."""
        out = np.zeros((len(z_um), len(x_um)))
        for z, x, radius, depth in self.pits:
            rows = slice(*np.searchsorted(z_um, (z - radius, z + radius)))
            columns = slice(*np.searchsorted(x_um, (x - radius, x + radius)))
            if rows.start < rows.stop and columns.start < columns.stop:
                dz, dx = z_um[rows, None] - z, x_um[None, columns] - x
                bowl = depth * (1 - (dz * dz + dx * dx) / (radius * radius))
                np.maximum(out[rows, columns], bowl, out=out[rows, columns])
        return out


def place_pits(settings: PhantomSettings, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return rows of z, x, radius (µm) and depth (share) of the pits, over the field of view."""
    half = [n * settings.voxel_size_um / 2 for n in settings.shape_zyx]
    rows = [
        (
            (2 * rng.random() - 1) * half[0],
            (2 * rng.random() - 1) * half[2],
            settings.pit_radius_um * (0.6 + 0.8 * rng.random()),
            0.4 + 0.6 * rng.random(),
        )
        for _ in range(settings.n_pits)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)
