"""Particles of a cathode: where they lie, and how far a voxel is from the nearest two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from tomolith.phantom.noise import Doubles, Floats

SOUND, CRACKED, POROUS = 0, 1, 2
_STRETCH = 0.28  # a half-axis is at most this share longer or shorter than the radius
_BATCH = 256  # particles placed against one search tree
_TRIES = 48  # random places looked at per particle; the one with most room is taken


@dataclass(frozen=True, slots=True)
class Grains:
    """Ellipsoids in any orientation.

    Parameters
    ----------
    centre_um
        Shape (n, 3), axes (z, y, x).
    radius_um
        Shape (n,): radius of the ball of about the same volume.
    frame
        Shape (n, 3, 3): the unit vectors of the half-axes.
    half_axes_um
        Shape (n, 3).
    flaw
        Shape (n,): ``SOUND``, ``CRACKED`` or ``POROUS``.
    """

    centre_um: Doubles
    radius_um: Doubles
    frame: Doubles
    half_axes_um: Doubles
    flaw: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.radius_um)

    @classmethod
    def of_table(cls, table: Doubles, rng: np.random.Generator) -> Grains:
        """Give a shape and an orientation to what :func:`place_grains` placed."""
        radius = table[:, 3]
        stretch = 1.0 + _STRETCH * (2.0 * rng.random((len(table), 3)) - 1.0)
        first = _unit(2.0 * rng.random((len(table), 3)) - 1.0)
        third = _unit(np.cross(first, 2.0 * rng.random((len(table), 3)) - 1.0))
        frame = np.stack([first, np.cross(third, first), third], axis=1)
        return cls(
            table[:, :3], radius, frame, radius[:, None] * stretch, table[:, 4].astype(np.uint8)
        )

    def nearest(
        self, axes_um: tuple[Doubles, ...], margin_um: float
    ) -> tuple[Floats, Floats, npt.NDArray[np.uint8]]:
        """Return the distance of every voxel to the two nearest particles' surfaces.

        Parameters
        ----------
        axes_um
            Positions of the voxels along z, y and x, increasing.
        margin_um
            Distances end here: a voxel further away has this distance.

        Returns
        -------
        first, second, flaw
            Arrays (z, y, x): distances in µm, negative inside, near the surface exact to first
            order in the stretch; and the flaw of the nearest particle.
        """
        shape = tuple(len(axis) for axis in axes_um)
        first = np.full(shape, margin_um, np.float32)
        second, flaw = first.copy(), np.zeros(shape, np.uint8)
        extent = np.sqrt(((self.half_axes_um[:, :, None] * self.frame) ** 2).sum(1))
        reach = extent * (1.0 + margin_um / self.radius_um)[:, None]
        low, high = self.centre_um - reach, self.centre_um + reach
        meets = np.ones(len(self), bool)
        for a, axis in enumerate(axes_um):
            meets &= (high[:, a] >= axis[0]) & (low[:, a] <= axis[-1])
        for i in np.flatnonzero(meets):
            part = tuple(
                slice(*np.searchsorted(axis, (low[i, a], high[i, a])))
                for a, axis in enumerate(axes_um)
            )
            near = self._distance_um(i, [axis[p] for axis, p in zip(axes_um, part, strict=True)])
            here = first[part]
            np.minimum(second[part], np.maximum(here, near), out=second[part])
            flaw[part] = np.where(near < here, self.flaw[i], flaw[part])
            np.minimum(here, near, out=here)
        return first, second, flaw

    def _distance_um(self, i: int, axes_um: list[Doubles]) -> Floats:
        """Distance to one particle: its quadratic form, grown from planes to the whole box."""
        rows = self.frame[i] / self.half_axes_um[i][:, None]
        form = rows[0][:, None] * rows[0] + rows[1][:, None] * rows[1] + rows[2][:, None] * rows[2]
        dz, dy, dx = (axis - self.centre_um[i, a] for a, axis in enumerate(axes_um))
        dz, dy = dz[:, None], dy[None, :]
        plane = form[0, 0] * dz * dz + form[1, 1] * dy * dy + 2.0 * form[0, 1] * dz * dy
        slope = 2.0 * (form[0, 2] * dz + form[1, 2] * dy)
        along = dx.astype(np.float32)
        total = slope.astype(np.float32)[:, :, None] + np.float32(form[2, 2]) * along
        total *= along
        total += plane.astype(np.float32)[:, :, None]
        np.sqrt(np.maximum(total, np.float32(0.0), out=total), out=total)
        total -= np.float32(1.0)
        total *= np.float32(self.radius_um[i])
        return total


@dataclass(frozen=True, slots=True)
class Sizes:
    """Which particles: median diameter, its spread, the smallest and largest, and flawed ones."""

    diameter_um: float
    spread: float
    flawed_frac: float

    @property
    def largest_um(self) -> float:
        """Diameter that no particle exceeds."""
        return self.diameter_um * math.exp(1.6 * self.spread)

    def draw_um(self, rng: np.random.Generator) -> float:
        """Draw a diameter: log-normal by volume, cut off at 1.6 standard deviations.

        The median by volume lies ``3 spread**2`` (in logarithms) above the one by number.
        """
        normal = NormalDist()
        low = normal.cdf(-1.6 + 3.0 * self.spread)
        share = low + (normal.cdf(1.6 + 3.0 * self.spread) - low) * rng.random()
        z = normal.inv_cdf(share) - 3.0 * self.spread
        return self.diameter_um * math.exp(self.spread * z)

    def draw_flaw(self, rng: np.random.Generator) -> int:
        """Draw whether a particle is sound, cracked or porous; flaws are equally likely."""
        luck = rng.random()
        if luck >= self.flawed_frac:
            return SOUND
        return CRACKED if luck < 0.5 * self.flawed_frac else POROUS


def place_grains(
    table: Doubles,
    sizes: Sizes,
    half_field_um: Doubles,
    fill_frac: float,
    rng: np.random.Generator,
) -> Doubles:
    """Add particles of ``fill_frac`` of the field's volume where most room is left.

    Parameters
    ----------
    table
        Shape (n, 5): the particles that are there already, centre (3), radius and flaw of each.
    half_field_um
        Half the size of the field along z, y, x, centred on the origin. Particles also lie around
        it, as far as they reach into it.

    Returns
    -------
    The table of all particles, old and new.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> empty, half_um = np.empty((0, 5)), np.full(3, 10.0)
    >>> table = place_grains(empty, Sizes(6.0, 0.0, 0.0), half_um, 0.5, rng)
    >>> len(table), round(0.5 * 26**3 / (np.pi / 6 * 6**3))
    (78, 78)
    """
    half = half_field_um + sizes.largest_um / 2
    left = fill_frac * float(np.prod(2.0 * half))
    diameters = []
    while left > 0:
        diameters.append(sizes.draw_um(rng))
        left -= math.pi / 6 * diameters[-1] ** 3
    diameters.sort(reverse=True)
    for start in range(0, len(diameters), _BATCH):
        radii = np.array(diameters[start : start + _BATCH]) / 2
        flaws = np.array([sizes.draw_flaw(rng) for _ in radii])
        centres = _roomiest(table, radii, half, rng)
        table = np.vstack([table, np.column_stack([centres, radii, flaws])])
    return table


def _roomiest(
    table: Doubles, radii: Doubles, half_um: Doubles, rng: np.random.Generator
) -> Doubles:
    """Choose a place for each of a batch of balls: of some random places the one with most room.

    Room is the power distance ``d**2 - r**2`` to the nearest ball. With ``sqrt(R**2 - r**2)`` as a
    fourth coordinate it is an ordinary distance, which a k-d tree finds.
    """
    tries = (2.0 * rng.random((len(radii), _TRIES, 3)) - 1.0) * half_um
    room = np.full(tries.shape[:2], np.inf)
    if len(table):
        largest = float(table[:, 3].max())
        height = np.sqrt(np.maximum(largest**2 - table[:, 3] ** 2, 0.0))
        flat = np.concatenate([tries, np.zeros((*tries.shape[:2], 1))], axis=2)
        distance, _ = cKDTree(np.column_stack([table[:, :3], height])).query(flat)
        room = distance**2 - largest**2
    centres = np.empty((len(radii), 3))
    for i in range(len(radii)):
        way = tries[i][:, None] - centres[None, :i]
        beside = (way * way).sum(2) - radii[:i] ** 2
        centres[i] = tries[i][np.minimum(room[i], beside.min(1, initial=np.inf)).argmax()]
    return centres


def _unit(vectors: Doubles) -> Doubles:
    length = np.sqrt((vectors * vectors).sum(1, keepdims=True))
    return vectors / np.maximum(length, 1e-9)
