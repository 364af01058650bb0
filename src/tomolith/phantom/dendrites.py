"""Dendrites: trees of capsules, how they grow, and where they are at what time.

Each point of a tree has an *arrival* from 0 to 1: there is Li once the growth has come so far. A
branch may be *doomed*: it loses contact in discharge and stays as dead Li.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tomolith.phantom.capsules import THICKENING, Capsules
from tomolith.phantom.history import State
from tomolith.phantom.layers import Layers
from tomolith.phantom.noise import Doubles, lattice_noise
from tomolith.phantom.settings import PhantomSettings

FAR_UM = 1e4
_MOSS = 0.13  # roughness of a dendrite's skin, as a share of its radius


@dataclass(frozen=True, slots=True)
class Growth:
    """How far dendrites have grown: Li is where the arrival is at most this.

    Parameters
    ----------
    live, doomed
        For branches that stay in contact and for doomed ones; below 0 there are none.
    """

    live: float = -1.0
    doomed: float = -1.0


@dataclass(frozen=True, slots=True)
class Dendrites:
    """All dendrites of a cell. Positions in µm, y as it is before the plating side swells away."""

    settings: PhantomSettings
    key: int
    capsules: Capsules

    def distance_um(
        self, axes_um: tuple[Doubles, ...], growth: Growth
    ) -> tuple[tuple[slice, ...], Doubles] | None:
        """Return the signed distance to dendrites, negative inside, and for what part of a box.

        Beyond some µm from a surface it may be ``FAR_UM``. ``None``: none is near the box.
        """
        found: Doubles | None = None
        length_um = _LARGEST * self.settings.dendrite_height_um * (1 + THICKENING)
        around, near = self._near(axes_um, growth)
        for i, part, distance, arrival in near:
            limit = growth.doomed if self.capsules.doomed[i] else growth.live
            if found is None:
                found = np.full([p.stop - p.start for p in around], FAR_UM)
            np.maximum(distance, (arrival - limit) * length_um, out=distance)
            np.minimum(found[part], distance, out=found[part])
        if found is None:
            return None
        pores = self._pores(tuple(axis[p] for axis, p in zip(axes_um, around, strict=True)))
        return around, found if pores is None else np.maximum(found, pores)

    def arrivals(
        self, axes_um: tuple[Doubles, ...]
    ) -> tuple[tuple[slice, ...], Doubles, Doubles] | None:
        """Return when Li arrives at the voxels of a box: on live and on doomed branches.

        Where it never does the arrival is infinite. The same voxels as in :meth:`distance_um`
        are inside.
        """
        everywhere = Growth(2.0, 2.0)
        around, near = self._near(axes_um, everywhere)
        shape = [p.stop - p.start for p in around]
        if 0 in shape:
            return None
        live, doomed = np.full(shape, np.inf), np.full(shape, np.inf)
        for i, part, distance, arrival in near:
            out = doomed if self.capsules.doomed[i] else live
            arrival[distance >= 0] = np.inf
            np.minimum(out[part], arrival, out=out[part])
        pores = self._pores(tuple(axis[p] for axis, p in zip(axes_um, around, strict=True)))
        if pores is not None:
            live[pores >= 0] = np.inf
            doomed[pores >= 0] = np.inf
        return around, live, doomed

    def _near(
        self, axes_um: tuple[Doubles, ...], growth: Growth
    ) -> tuple[tuple[slice, ...], Iterator[tuple[int, tuple[slice, ...], Doubles, Doubles]]]:
        """Return the part of a box near dendrites, and its capsules as they are at that growth."""
        moss = _MOSS * self.settings.dendrite_radius_um
        margin = 4 * moss + 2 * self.settings.voxel_size_um
        limit = np.where(self.capsules.doomed, growth.doomed, growth.live)
        # at the end that arrives first, on the axis
        first = np.minimum(self.capsules.start_arrival, self.capsules.end_arrival)
        grown = first / (1 + THICKENING) <= limit + 0.05
        around = self.capsules.part_near(axes_um, margin, grown)
        inner = tuple(axis[p] for axis, p in zip(axes_um, around, strict=True))

        def visit() -> Iterator[tuple[int, tuple[slice, ...], Doubles, Doubles]]:
            if 0 in [len(axis) for axis in inner]:
                return
            skin = lattice_noise(self.key + 101, inner, 0.9 * self.settings.dendrite_radius_um)
            skin *= np.float32(moss)
            for i, part, distance, arrival in self.capsules.near(inner, margin, grown):
                distance += skin[part]
                yield i, part, distance, arrival

        return around, visit()

    def _pores(self, axes_um: tuple[Doubles, ...]) -> Doubles | None:
        s = self.settings
        if s.porosity_frac == 0:
            return None
        limit = NormalDist().inv_cdf(1 - s.porosity_frac)
        pores = lattice_noise(self.key + 202, axes_um, s.pore_um).astype(np.float64)
        return (pores - limit) * (s.pore_um / 3)


@dataclass(frozen=True, slots=True)
class GrowthRules:
    """How a dendrite grows: lengths in µm, up is -y, from the plating side."""

    height_um: float
    radius_um: float
    branching: float
    tortuosity: float
    ceiling_um: float  # no branch goes above (below this y)
    doom: float  # chance of a branch to be doomed


@dataclass(frozen=True, slots=True)
class _Tip:
    place: Doubles
    heading: Doubles
    radius_um: float
    left_um: float
    grown_um: float
    doomed: bool


_UP = np.array([0.0, -1.0, 0.0])
_THINNEST = 0.4  # share of the first radius at which a branch ends
_LARGEST = 1.4  # of the average height; arrival 1 is the end of such a tree
_LATEST_START = 0.2  # trees do not all nucleate at once
_SPARE = 1.4  # trees are a little larger than their Li, so that growth ends before they do
_NOT_SHARED = 0.75  # of a capsule, what no other one covers
_ROOT_FRAC = 0.3  # this much of a trunk never loses contact before it dissolves


def grow_dendrite(
    root_um: Doubles, rules: GrowthRules, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """Grow one dendrite from ``root_um`` (z, y, x): a mossy foot, a trunk and its branches.

    Returns
    -------
    rows for :meth:`Capsules.of_rows`.
    """
    size = 0.6 + (_LARGEST - 0.6) * rng.random()  # few are alike
    height, radius = rules.height_um * size, rules.radius_um * (0.75 + 0.5 * rng.random())
    start = _LATEST_START * rng.random()

    def arrival(grown_um: float) -> float:
        return start + (1 - start) * min(grown_um / (_LARGEST * rules.height_um), 1.0)

    rows = _grow_foot(root_um, radius, start, rng)
    tips = [_Tip(root_um, _lean(_UP, 0.3, rng), radius, height, 0.0, False)]
    while tips:
        tip = tips.pop()
        step = min(0.9 * tip.radius_um + 1.0, tip.left_um)
        heading = _unit(_lean(tip.heading, rules.tortuosity, rng) + 0.15 * _UP)
        end = tip.place + step * heading
        left, grown = tip.left_um - step, tip.grown_um + step
        thinner = max(tip.radius_um * (1 - 0.5 * step / height), _THINNEST * radius)
        if end[1] - thinner < rules.ceiling_um:
            continue
        times = (arrival(tip.grown_um), arrival(grown), float(tip.doomed))
        rows.append((*tip.place, *end, tip.radius_um, thinner, *times))
        if left <= 0:
            continue
        out_of_root = grown > _ROOT_FRAC * height
        doomed = tip.doomed or (out_of_root and rng.random() < rules.doom * step / height)
        tips.append(_Tip(end, heading, thinner, left, grown, doomed))
        if rng.random() < rules.branching and thinner > _THINNEST * radius:
            lost = tip.doomed or (out_of_root and rng.random() < rules.doom)
            side = _lean(heading, 1.1, rng)
            tips.append(_Tip(end, side, 0.8 * thinner, 0.7 * left, grown, lost))
    return rows


def _grow_foot(
    root_um: Doubles, radius: float, start: float, rng: np.random.Generator
) -> list[tuple[float, ...]]:
    """Short thick stubs around the root, as of mossy Li."""
    rows = []
    early, soon = start, start + 0.1
    for _ in range(3 + int(4 * rng.random())):
        angle, out = 2 * math.pi * rng.random(), radius * (0.5 + 1.5 * rng.random())
        foot = root_um + np.array([out * math.cos(angle), 0.0, out * math.sin(angle)])
        end = foot + radius * (0.3 + 0.9 * rng.random()) * _lean(_UP, 0.5, rng)
        rows.append((*root_um, *foot, radius, 0.9 * radius, early, early, 0.0))
        rows.append((*foot, *end, 0.9 * radius, 0.6 * radius, early, soon, 0.0))
    return rows


def _lean(heading: Doubles, amount: float, rng: np.random.Generator) -> Doubles:
    return _unit(heading + amount * (2.0 * rng.random(3) - 1.0))


def _unit(vector: Doubles) -> Doubles:
    return vector / max(float(np.sqrt((vector * vector).sum())), 1e-9)


def grow_trees(settings: PhantomSettings, layers: Layers, rng: np.random.Generator) -> Capsules:
    """Grow all dendrites of a cell, from random places of the fresh plating interface.

    Without ``n_dendrites`` there are as many as the plated Li allows to grow up.
    """
    s = settings
    half = [n * s.voxel_size_um / 2 for n in s.shape_zyx]
    metal_um = s.dendrite_share * State.after(s, s.n_pulses).visible_um
    wanted_um3 = _SPARE * metal_um * 4 * half[0] * half[2] / (1 - s.porosity_frac)
    rows: list[tuple[float, ...]] = []
    grown_um3, n_trees = 0.0, 0
    while n_trees < s.n_dendrites if s.n_dendrites is not None else grown_um3 < wanted_um3:
        z, x = (2 * rng.random() - 1) * half[0], (2 * rng.random() - 1) * half[2]
        plane = layers.plane(np.array([z]), np.array([x]))
        y = float(plane.plating[0, 0])
        rules = GrowthRules(
            s.dendrite_height_um,
            s.dendrite_radius_um,
            s.branching,
            s.tortuosity,
            ceiling_um=float(plane.lift[0, 0]) + layers.stripping_y + 3 * s.roughness_um,
            doom=s.dead_frac,
        )
        tree = grow_dendrite(np.array([z, y, x]), rules, rng)
        grown_um3 += _tree_um3(tree)
        n_trees += 1
        rows += tree
    return Capsules.of_rows(rows)


def _tree_um3(rows: list[tuple[float, ...]]) -> float:
    """Return roughly the volume of a tree, without its pores."""
    table = np.array(rows)
    length = np.sqrt(((table[:, 3:6] - table[:, :3]) ** 2).sum(axis=1))
    radius = (table[:, 6] + table[:, 7]) / 2
    return _NOT_SHARED * float((math.pi * radius * radius * length).sum())
