"""The true numbers of one scan of a simulated cell, by the shortest way on the whole array.

Nothing of ``tomolith.measure`` is used: voxels are counted with NumPy, pieces are labelled with
SciPy, skeletons followed voxel by voxel, and sides, heights and tilt are those of the simulation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from tomolith.core import PRESETS, Box
from tomolith.phantom import Cell
from tomolith.phantom.noise import axes_um
from tomolith.phantom.truth import porosity_frac

SCHEMA = PRESETS["li-operando"]
STRIPPING, PLATING = "stripping side", "plating side"
GROWN = {PLATING: ("dendrite", "deposited"), STRIPPING: ("redeposited",)}
ALL_NEIGHBOURS = np.ones((3, 3, 3), np.bool_)
MIN_VOXELS = 27  # smallest piece that counts, as the quantities have it by default
EXACT = 1e-9
# Share of the true number by which a measured one may be off; all others are exact. Faces are true
# where the simulated layers meet, not where voxels do, and so is the plane halfway between them.
TOLERANCES = {
    "position": 0.01,
    "gap": 0.01,
    "cell_thickness": 0.01,
    "local_thickness": 0.01,
    "thickness_across_tilt": 0.01,
    "voxel_count_by_side": 0.02,
    "volume_by_side": 0.02,
    "share_by_side": 0.02,
}
Key = tuple[str, str]
Found = Iterator[tuple[str, str, "float | Truth | None"]]


@dataclass(frozen=True)
class Truth:
    """A true number; ``of`` is what a relative tolerance refers to, if not the number itself."""

    value: float | None
    of: float | None = None


@dataclass(frozen=True)
class WholeScan:
    """All labels of a scan, axes (z, y, x), y running from the stripping to the plating side."""

    cell: Cell
    pulse: int
    labels: np.ndarray

    @property
    def size_um(self) -> float:
        """Side of a voxel."""
        return self.cell.settings.voxel_size_um

    @property
    def is_plating(self) -> np.ndarray:
        """Which voxels lie beyond the tilted plane halfway between the simulated electrodes."""
        s, layers = self.cell.settings, self.cell.boundaries_um(self.pulse)
        z, y, x = axes_um(s.shape_zyx, s.voxel_size_um, Box.whole(s.shape_zyx))
        lift = self.cell.layers.lift_um(z, x)
        halfway = lift + float(((layers[1] + layers[-2]) / 2 - lift).mean())
        return np.asarray(y[None, :, None] > halfway[:, None, :])

    @property
    def cos_tilt(self) -> float:
        """What lengths along the axis are to be multiplied by, to lie across the layers."""
        return math.cos(math.radians(self.cell.settings.tilt_deg))

    def has(self, name: str) -> np.ndarray:
        """Return which voxels are of a class."""
        return np.asarray(self.labels == SCHEMA[name].value)

    def electrode(self, side: str) -> np.ndarray:
        """Return which voxels are of the electrode of a side."""
        return self.has("electrode") & (self.is_plating == (side == PLATING))


def scan_truth(scan: WholeScan) -> dict[Key, Truth]:
    """Return every number of a scan by quantity and part."""
    made = (counts, faces, thicknesses, voids, surfaces, dead, dendrites, skeletons)
    found: dict[Key, Truth] = {}
    for make in made:
        for quantity, part, truth in make(scan):
            found[quantity, part] = truth if isinstance(truth, Truth) else Truth(truth)
    return found


def deviation(found: float | None, truth: Truth) -> float:
    """Return how far a measured number is off, as a share of the truth; infinite where one is none.

    Examples
    --------
    >>> deviation(1.5, Truth(1.0)), deviation(1.5, Truth(1.0, of=10.0))
    (0.5, 0.05)
    """
    if found is None or truth.value is None:
        return 0.0 if found is truth.value else math.inf
    whole = truth.value if truth.of is None else truth.of
    return abs(found - truth.value) / (abs(whole) or 1.0)


def counts(scan: WholeScan) -> Found:
    """Count classes, by sides too, and columns that hold them."""
    one, is_plating = scan.size_um**3, scan.is_plating
    yield "voxel_count", "unlabelled", 0.0
    for name in SCHEMA.names:
        here = scan.has(name)
        n, n_all = int(here.sum()), scan.labels.size
        yield "voxel_count", name, n
        yield "volume", name, n * one
        yield "share", name, 100 * n / n_all
        yield "plan_coverage", name, float(here.any(axis=1).mean())
        for side, beyond in ((STRIPPING, ~is_plating), (PLATING, is_plating)):
            k, part = int((here & beyond).sum()), f"{name}, {side}"
            yield "voxel_count_by_side", part, Truth(k, n)
            yield "volume_by_side", part, Truth(k * one, n * one)
            yield "share_by_side", part, Truth(100 * k / n_all, 100 * n / n_all)
    filled, empty = (int(scan.has(name).sum()) for name in ("redeposited", "pit"))
    yield "pit_filling", "pit", filled / (filled + empty) if filled + empty else None
    yield "unfilled_pits", "pit", empty / (filled + empty) if filled + empty else None
    yield from metal(scan)


def metal(scan: WholeScan) -> Found:
    """Count Li of each side, less the pores that the simulation leaves in it."""
    one, total = scan.size_um**3, 0.0
    for side, names in GROWN.items():
        together = scan.electrode(side).sum() * one
        yield "li_volume", f"electrode, {side}", together
        for name in names:
            grown = scan.has(name).sum() * one * (1 - porosity_frac(scan.cell, name))
            yield "li_volume", name, grown
            together += grown
        yield "li_volume", f"all Li, {side}", together
        total += together
    yield "li_volume", "all Li", total


def faces(scan: WholeScan) -> Found:
    """Count the faces between neighbours of two classes, half a voxel each."""
    strata = [n for n in SCHEMA.names if n != "electrode"]
    number = np.zeros(scan.labels.shape, np.int64)
    for i, name in enumerate(strata, start=1):
        number[scan.has(name)] = i
    names = [*strata, f"electrode, {STRIPPING}", f"electrode, {PLATING}"]
    for i, side in enumerate((STRIPPING, PLATING), start=len(strata) + 1):
        number[scan.electrode(side)] = i
    n = np.zeros((len(names), len(names)), np.int64)
    for axis in range(3):
        a, b = np.moveaxis(number, axis, 0)[:-1] - 1, np.moveaxis(number, axis, 0)[1:] - 1
        np.add.at(n, (a.ravel(), b.ravel()), 1)
    n += n.T
    order = ["background", *names[-2:], *strata[1:]]  # as the schema has them
    half, at = scan.size_um**3 / 2, {name: i for i, name in enumerate(names)}
    for a, b in itertools.combinations(order, 2):
        if not (a.startswith("electrode") and b.startswith("electrode")):
            yield "boundary_volume", f"{a} | {b}", n[at[a], at[b]] * half
    for name in strata:
        i = at[name]
        yield "boundary_volume", name, (n[i].sum() - n[i, i]) * half
    yield "boundary_volume", "electrode", n[-2:, :-2].sum() * half


def thicknesses(scan: WholeScan) -> Found:
    """Spread volumes over the plan: along the axis, and across the tilt of the simulation."""
    per_voxel = scan.size_um / (scan.labels.shape[0] * scan.labels.shape[2])
    n = {name: int(scan.has(name).sum()) for name in SCHEMA.names}
    for side, names in GROWN.items():
        n[f"electrode, {side}"] = int(scan.electrode(side).sum())
        n[f"{side}, all Li"] = n[f"electrode, {side}"] + sum(n[name] for name in names)
        whole = ~scan.has("electrode")[:, {STRIPPING: 0, PLATING: -1}[side]]  # within the volume
        per_column = scan.electrode(side).sum(axis=1)[whole & scan.electrode(side).any(axis=1)]
        local = float(per_column.mean()) * scan.size_um * scan.cos_tilt
        yield "local_thickness", f"electrode, {side}", local
    for part, k in n.items():
        yield "effective_thickness", part, k * per_voxel
        yield "thickness_across_tilt", part, k * per_voxel * scan.cos_tilt


def voids(scan: WholeScan) -> Found:
    """Walk up every column from the stripping electrode."""
    pit, filled, electrode = (SCHEMA[n].value for n in ("pit", "redeposited", "electrode"))
    n_over, n_contact, depths = 0, 0, []
    for z, x in np.argwhere(scan.has("redeposited").any(axis=1)):
        column = scan.labels[z, :, x].tolist()
        pairs = set(itertools.pairwise(column))
        n_over += (pit, filled) in pairs
        n_contact += (electrode, filled) in pairs
        last = max(y for y, value in enumerate(column) if value == filled)
        depths.append(sum(value == pit for value in column[:last]))
    deep = [d for d in depths if d]
    n_columns = scan.labels.shape[0] * scan.labels.shape[2]
    yield "void_map_share", "redeposited", n_over / n_columns
    yield "contact_area", "redeposited", n_contact * scan.size_um**2
    yield "void_depth", "redeposited", sum(deep) * scan.size_um / len(deep) if deep else None


def heights(scan: WholeScan) -> dict[str, np.ndarray]:
    """Return the inner face of each electrode over the plan in µm, from the volume's centre."""
    n = scan.labels.shape[1]
    last = n - np.argmax(scan.electrode(STRIPPING)[:, ::-1], axis=1)
    first = np.argmax(scan.electrode(PLATING), axis=1)
    return {STRIPPING: (last - n / 2) * scan.size_um, PLATING: (first - n / 2) * scan.size_um}


def _plane(height: np.ndarray, size_um: float) -> tuple[np.ndarray, float]:
    """Return the distances from the least-squares plane along the axis, and the plane's cosine."""
    u, v = np.indices(height.shape) * size_um
    terms = np.stack([np.ones(height.size), u.ravel(), v.ravel()], axis=1)
    found = np.linalg.lstsq(terms, height.ravel(), rcond=None)[0]
    return height.ravel() - terms @ found, 1 / math.sqrt(1 + found[1] ** 2 + found[2] ** 2)


def surfaces(scan: WholeScan) -> Found:
    """Give positions and gaps of the simulated layers, and the shape of the labelled faces."""
    layers = scan.cell.boundaries_um(scan.pulse)
    gap = float((layers[-2] - layers[1]).mean())
    yield "position", f"electrode, {STRIPPING}", float(layers[1].mean())
    yield "position", f"electrode, {PLATING}", float(layers[-2].mean())
    yield "gap", "electrodes", gap
    yield "gap", "electrodes, across the tilt", gap * scan.cos_tilt
    yield "cell_thickness", "cell", float((layers[-1] - layers[0]).mean())
    for side, height in heights(scan).items():
        rest, cosine = _plane(height, scan.size_um)
        yield "roughness", f"electrode, {side}", float(np.sqrt(np.mean(rest**2))) * cosine
        yield "tilt", f"electrode, {side}", math.degrees(math.acos(cosine))


def dead(scan: WholeScan) -> Found:
    """Label Li together with its electrode, and add up the pieces that have none of it."""
    one, large = scan.size_um**3, {}
    for side, names in GROWN.items():
        electrode = scan.electrode(side)
        grown = np.isin(scan.labels, [SCHEMA[name].value for name in names])
        pieces, n = ndimage.label(electrode | grown, ALL_NEIGHBOURS)
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)
        is_dead = np.ones(n + 1, np.bool_)
        is_dead[np.unique(pieces[electrode])] = is_dead[0] = False
        counts = is_dead & (sizes >= MIN_VOXELS)
        for name in names:
            large[name] = int((counts[pieces] & scan.has(name)).sum())
        small = int(sizes[is_dead & ~counts].sum())
        yield "dead_li_volume", f"{side}, pieces too small to tell", small * one
    for name, n in large.items():
        yield "dead_li_volume", name, n * one
    yield "dead_li_volume", "all Li", sum(large.values()) * one


def _pieces(scan: WholeScan) -> tuple[np.ndarray, np.ndarray]:
    """Return the pieces of dendrite that count, numbered from 1, and their sizes."""
    pieces, n = ndimage.label(scan.has("dendrite"), ALL_NEIGHBOURS)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    sizes[0] = 0
    kept = np.flatnonzero(sizes >= MIN_VOXELS)
    number = np.zeros(n + 1, np.int64)
    number[kept] = np.arange(1, len(kept) + 1)
    return number[pieces], sizes[kept]


def dendrites(scan: WholeScan) -> Found:
    """Label dendrites, and look where their tips are in each column."""
    pieces, sizes = _pieces(scan)
    one, size, n_y = scan.size_um**3, scan.size_um, scan.labels.shape[1]
    yield "dendrite_number", "dendrite", len(sizes)
    for part, take in (("mean", np.mean), ("median", np.median), ("largest", np.max)):
        volume = float(take(sizes)) * one if len(sizes) else None
        yield "dendrite_volume", f"dendrite, {part}", volume
    here, face = pieces > 0, heights(scan)
    there = here.any(axis=1)
    tip = (np.argmax(here, axis=1) - n_y / 2) * size
    last = n_y - np.argmax(here[:, ::-1], axis=1)
    envelope = int((last - np.argmax(here, axis=1))[there].sum())
    yield "envelope_porosity", "dendrite", 1 - int(here.sum()) / envelope if envelope else None
    up = (face[PLATING] - tip)[there] * _plane(face[PLATING], size)[1]
    yield "dendrite_height", "dendrite", float(up.max()) if up.size else None
    mean = float(up.mean()) if up.size else None
    yield "dendrite_height", "dendrite, mean of its columns", mean
    crossed = ((face[PLATING] - tip) / (face[PLATING] - face[STRIPPING]))[there]
    yield "penetration_frac", "dendrite", float(crossed.max()) if crossed.size else 0.0
    nearest = nearest_um(np.where(there, tip, np.nan), face[STRIPPING], size)
    yield "smallest_gap", "dendrite", nearest


def nearest_um(tip: np.ndarray, face: np.ndarray, size: float) -> float | None:
    """Return the smallest distance from a tip to what fills each column up to its face.

    Each tip is held against the columns around it, as far away as the nearest one can be.
    """
    if np.isnan(tip).all():
        return None
    above = np.maximum(tip - face, 0.0)
    best = float(np.nanmin(above))
    reach = math.ceil(best / size)
    n_u, n_v = tip.shape
    for du, dv in itertools.product(range(-reach, reach + 1), repeat=2):
        aside = size * math.hypot(du, dv)
        if aside >= best or abs(du) >= n_u or abs(dv) >= n_v:
            continue
        a = tip[max(-du, 0) : n_u - max(du, 0), max(-dv, 0) : n_v - max(dv, 0)]
        b = face[max(du, 0) : n_u + min(du, 0), max(dv, 0) : n_v + min(dv, 0)]
        if not np.isnan(a).all():
            best = min(best, math.hypot(aside, float(np.nanmin(np.maximum(a - b, 0.0)))))
    return best


def skeletons(scan: WholeScan) -> Found:
    """Thin each dendrite, and follow its lines from voxel to voxel."""
    pieces, _ = _pieces(scan)
    length, n_branchings, n_ends = 0.0, 0, 0
    for i, box in enumerate(ndimage.find_objects(pieces), start=1):
        line = skeletonize(pieces[box] == i, method="lee") > 0
        voxels = {tuple(place) for place in np.argwhere(line).tolist()}
        degree = dict.fromkeys(voxels, 0)
        for a, b in itertools.combinations(sorted(voxels), 2):
            if b[0] - a[0] > 1:
                continue
            if _is_step(a, b, voxels):
                length += math.dist(a, b) * scan.size_um
                degree[a] += 1
                degree[b] += 1
        n_ends += sum(n == 1 for n in degree.values())
        branching = np.zeros(line.shape, np.bool_)
        for place, n in degree.items():
            branching[place] = n > 2
        n_branchings += ndimage.label(branching, ALL_NEIGHBOURS)[1]
    yield "skeleton_length", "dendrite", length
    yield "branching_points", "dendrite", n_branchings
    yield "branching_points", "dendrite, ends", n_ends


def _is_step(a: tuple[int, ...], b: tuple[int, ...], voxels: set[tuple[int, ...]]) -> bool:
    """Tell whether two voxels touch, and no third one makes a way of shorter steps."""
    if max(abs(i - j) for i, j in zip(a, b, strict=True)) > 1:
        return False
    between = itertools.product(*({i, j} for i, j in zip(a, b, strict=True)))
    return not any(c in voxels for c in between if c not in (a, b))
