"""Tapered capsules: what dendrites and specks are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.phantom.noise import Doubles

THICKENING = 0.25  # how much later the skin of a capsule arrives than its axis
_N_COLUMNS = 11


@dataclass(frozen=True, slots=True)
class Capsules:
    """Tapered capsules: balls of changing radius swept along straight segments.

    Parameters
    ----------
    start_um, end_um
        Shape (n, 3), axes (z, y, x).
    start_radius_um, end_radius_um
        Shape (n,).
    start_arrival, end_arrival
        Shape (n,): when growth has come to the two ends of the axis.
    doomed
        Shape (n,), bool.
    """

    start_um: Doubles
    end_um: Doubles
    start_radius_um: Doubles
    end_radius_um: Doubles
    start_arrival: Doubles
    end_arrival: Doubles
    doomed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start_um)

    @classmethod
    def of_rows(cls, rows: list[tuple[float, ...]]) -> Capsules:
        """Build from rows of start (3), end (3), two radii, two arrivals and doomed (0 or 1)."""
        table = np.array(rows, dtype=np.float64).reshape(-1, _N_COLUMNS)
        return cls(
            table[:, :3],
            table[:, 3:6],
            table[:, 6],
            table[:, 7],
            table[:, 8],
            table[:, 9],
            table[:, 10] > 0,
        )

    def reach_um(self, margin_um: float) -> tuple[Doubles, Doubles]:
        """Return the lowest and highest corner of each capsule's bounding box plus a margin."""
        grow = (np.maximum(self.start_radius_um, self.end_radius_um) + margin_um)[:, None]
        low = np.minimum(self.start_um, self.end_um) - grow
        return low, np.maximum(self.start_um, self.end_um) + grow

    def part_near(
        self, axes_um: tuple[Doubles, ...], margin_um: float, chosen: npt.NDArray[np.bool_]
    ) -> tuple[slice, ...]:
        """Return the part of a box that holds all of it near the ``chosen`` capsules."""
        low, high = self.reach_um(margin_um)
        meets = self._meets(axes_um, low, high) & chosen
        if not meets.any():
            return (slice(0, 0),) * 3
        corner, other = low[meets].min(axis=0), high[meets].max(axis=0)
        return tuple(
            slice(*map(int, np.searchsorted(axis, (corner[a], other[a]))))
            for a, axis in enumerate(axes_um)
        )

    def near(
        self, axes_um: tuple[Doubles, ...], margin_um: float, chosen: npt.NDArray[np.bool_]
    ) -> Iterator[tuple[int, tuple[slice, ...], Doubles, Doubles]]:
        """Visit the ``chosen`` capsules that come near a box, each with the voxels around it.

        Parameters
        ----------
        axes_um
            Positions of the voxels along z, y and x.
        margin_um
            How far from the surface voxels are visited.
        chosen
            Shape (n,).

        Yields
        ------
        (i, part, distance_um, arrival)
            Index of the capsule; the part of the box; there, the signed distance to its surface
            (negative inside) and the arrival, from the axis to the skin a little later.
        """
        low, high = self.reach_um(margin_um)
        for i in np.flatnonzero(self._meets(axes_um, low, high) & chosen):
            part = tuple(
                slice(*np.searchsorted(axis, (low[i, a], high[i, a])))
                for a, axis in enumerate(axes_um)
            )
            if all(p.start < p.stop for p in part):
                places = [axis[p] for axis, p in zip(axes_um, part, strict=True)]
                yield int(i), part, *self._one(i, places)

    def _meets(
        self, axes_um: tuple[Doubles, ...], low: Doubles, high: Doubles
    ) -> npt.NDArray[np.bool_]:
        meets = np.ones(len(self), bool)
        for a, axis in enumerate(axes_um):
            meets &= (high[:, a] >= axis[0]) & (low[:, a] <= axis[-1])
        return meets

    def _one(self, i: int, axes_um: list[Doubles]) -> tuple[Doubles, Doubles]:
        way = self.end_um[i] - self.start_um[i]
        dz, dy, dx = (
            (axis - self.start_um[i, a]).reshape([-1 if k == a else 1 for k in range(3)])
            for a, axis in enumerate(axes_um)
        )
        length2 = float(way[0] * way[0] + way[1] * way[1] + way[2] * way[2])
        if length2 == 0.0:
            along = np.zeros(np.broadcast_shapes(dz.shape, dy.shape, dx.shape))
        else:
            along = (dz * way[0] + dy * way[1] + dx * way[2]) / length2
            np.clip(along, 0.0, 1.0, out=along)
        ez, ey, ex = dz - along * way[0], dy - along * way[1], dx - along * way[2]
        from_axis = np.sqrt(ez * ez + ey * ey + ex * ex)
        radius = self.start_radius_um[i] + along * (self.end_radius_um[i] - self.start_radius_um[i])
        arrival = self.start_arrival[i] + along * (self.end_arrival[i] - self.start_arrival[i])
        arrival = (arrival + THICKENING * (from_axis / radius)) / (1 + THICKENING)
        return from_axis - radius, arrival
