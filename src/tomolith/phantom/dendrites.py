"""Dendrites as trees of tapered capsules: how they grow, and how far a voxel is from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
FAR_UM = 1e4


@dataclass(frozen=True, slots=True)
class Capsules:
    """Tapered capsules: balls of changing radius swept along straight segments.

    Parameters
    ----------
    start_um, end_um
        Shape (n, 3), axes (z, y, x).
    start_radius_um, end_radius_um
        Shape (n,).
    """

    start_um: Doubles
    end_um: Doubles
    start_radius_um: Doubles
    end_radius_um: Doubles

    def __len__(self) -> int:
        return len(self.start_um)

    @classmethod
    def of_rows(cls, rows: list[tuple[float, ...]]) -> Capsules:
        """Build from rows of start (3), end (3), start radius and end radius."""
        table = np.array(rows, dtype=np.float64).reshape(-1, 8)
        return cls(table[:, :3], table[:, 3:6], table[:, 6], table[:, 7])

    def reach_um(self, margin_um: float) -> tuple[Doubles, Doubles]:
        """Return the lowest and highest corner of each capsule's bounding box plus a margin."""
        grow = (np.maximum(self.start_radius_um, self.end_radius_um) + margin_um)[:, None]
        low = np.minimum(self.start_um, self.end_um) - grow
        return low, np.maximum(self.start_um, self.end_um) + grow

    def distance_um(self, axes_um: tuple[Doubles, ...], margin_um: float) -> Doubles:
        """Return the signed distance of every voxel to the nearest capsule's surface.

        Parameters
        ----------
        axes_um
            Positions of the voxels along z, y and x.
        margin_um
            Distances are right up to here; beyond, the value may be ``FAR_UM``.

        Returns
        -------
        array (z, y, x) in µm, negative inside.
        """
        out = np.full([len(axis) for axis in axes_um], FAR_UM)
        low, high = self.reach_um(margin_um)
        meets = np.ones(len(self), bool)
        for a, axis in enumerate(axes_um):
            meets &= (high[:, a] >= axis[0]) & (low[:, a] <= axis[-1])
        for i in np.flatnonzero(meets):
            part = tuple(
                slice(*np.searchsorted(axis, (low[i, a], high[i, a])))
                for a, axis in enumerate(axes_um)
            )
            near = self._one_distance_um(
                i, [axis[p] for axis, p in zip(axes_um, part, strict=True)]
            )
            np.minimum(out[part], near, out=out[part])
        return out

    def _one_distance_um(self, i: int, axes_um: list[Doubles]) -> Doubles:
        way = self.end_um[i] - self.start_um[i]
        dz, dy, dx = (
            (axis - self.start_um[i, a]).reshape([-1 if k == a else 1 for k in range(3)])
            for a, axis in enumerate(axes_um)
        )
        length2 = float(way[0] * way[0] + way[1] * way[1] + way[2] * way[2])
        if length2 == 0.0:
            return np.sqrt(dz * dz + dy * dy + dx * dx) - self.start_radius_um[i]
        along = (dz * way[0] + dy * way[1] + dx * way[2]) / length2
        np.clip(along, 0.0, 1.0, out=along)
        ez, ey, ex = dz - along * way[0], dy - along * way[1], dx - along * way[2]
        radius = self.start_radius_um[i] + along * (self.end_radius_um[i] - self.start_radius_um[i])
        return np.sqrt(ez * ez + ey * ey + ex * ex) - radius


@dataclass(frozen=True, slots=True)
class GrowthRules:
    """How a dendrite grows: lengths in µm, up is -y, from the plating side."""

    height_um: float
    radius_um: float
    branching: float
    tortuosity: float
    ceiling_um: float  # no branch goes above (below this y)


@dataclass(frozen=True, slots=True)
class _Tip:
    place: Doubles
    heading: Doubles
    radius_um: float
    left_um: float


_UP = np.array([0.0, -1.0, 0.0])
_THINNEST = 0.4  # share of the first radius at which a branch ends


def grow_dendrite(
    root_um: Doubles, rules: GrowthRules, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """Grow one dendrite from ``root_um`` (z, y, x): a mossy foot, a trunk and its branches.

    Returns
    -------
    rows for :meth:`Capsules.of_rows`.
    """
    size = 0.6 + 0.8 * rng.random()  # few are alike
    height, radius = rules.height_um * size, rules.radius_um * (0.75 + 0.5 * rng.random())
    rows = _grow_foot(root_um, radius, rng)
    tips = [_Tip(root_um, _lean(_UP, 0.3, rng), radius, height)]
    while tips:
        tip = tips.pop()
        step = min(0.9 * tip.radius_um + 1.0, tip.left_um)
        heading = _unit(_lean(tip.heading, rules.tortuosity, rng) + 0.15 * _UP)
        end = tip.place + step * heading
        left = tip.left_um - step
        thinner = max(tip.radius_um * (1 - 0.5 * step / height), _THINNEST * radius)
        if end[1] - thinner < rules.ceiling_um:
            continue
        rows.append((*tip.place, *end, tip.radius_um, thinner))
        if left <= 0:
            continue
        tips.append(_Tip(end, heading, thinner, left))
        if rng.random() < rules.branching and thinner > _THINNEST * radius:
            tips.append(_Tip(end, _lean(heading, 1.1, rng), 0.8 * thinner, 0.7 * left))
    return rows


def _grow_foot(
    root_um: Doubles, radius: float, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """Short thick stubs around the root, as of mossy Li."""
    rows = []
    for _ in range(3 + int(4 * rng.random())):
        angle, out = 2 * math.pi * rng.random(), radius * (0.5 + 1.5 * rng.random())
        start = root_um + np.array([out * math.cos(angle), 0.0, out * math.sin(angle)])
        end = start + radius * (0.3 + 0.9 * rng.random()) * _lean(_UP, 0.5, rng)
        rows.append((*root_um, *start, radius, 0.9 * radius))
        rows.append((*start, *end, 0.9 * radius, 0.6 * radius))
    return rows


def _lean(heading: Doubles, amount: float, rng: np.random.Generator) -> Doubles:
    return _unit(heading + amount * (2.0 * rng.random(3) - 1.0))


def _unit(vector: Doubles) -> Doubles:
    return vector / max(float(np.sqrt((vector * vector).sum())), 1e-9)
