"""The operation ``time``: the history of each place of the cell, streamed block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, LabelMap
from tomolith.core.box import Triple
from tomolith.errors import MismatchError
from tomolith.measure.confusion import LabelCoder
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.refine.effects import Changes
from tomolith.measure.refine.faces import Faces, find_faces, height_of
from tomolith.measure.refine.region import Region
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.refine.time_model import (
    Costs,
    Step,
    label_costs,
    smooth_labels,
    smooth_probabilities,
    transition_costs,
)
from tomolith.store.array import StoredArray

Bytes = npt.NDArray[np.uint8]
Plan = npt.NDArray[np.int64]
_STRIPPING_SHARE = 0.25  # of the gap: below, places are those of the stripping electrode
SLAB_SLICES = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cell lies in one scan of a series.

    Parameters
    ----------
    axis
        The axis across the cell.
    border
        (c, a, b): the plane, a quarter of the gap from the stripping electrode, that parts what
        stays from what follows the plating electrode.
    plating_high
        Whether the plating side lies at large indices.
    shift
        By how many voxels the plating side has moved along the axis since the first scan.
    """

    axis: int
    border: tuple[float, float, float]
    plating_high: bool
    shift: int

    def is_plating(self, box: Box) -> npt.NDArray[np.bool_]:
        """Return which voxels of a box follow the plating electrode, axes (u, across, v)."""
        u, v = (a for a in range(3) if a != self.axis)
        index = np.arange(box.start_zyx[self.axis], box.stop_zyx[self.axis])[None, :, None]
        shape = (box.shape_zyx[u], box.shape_zyx[v])
        start = (box.start_zyx[u], box.start_zyx[v])
        border = height_of(self.border, shape, start=start)[:, None, :]
        return np.asarray(index >= border if self.plating_high else index <= border)


def find_places(
    maps: Sequence[LabelMap],
    settings: RefineSettings,
    *,
    follow: bool,
    block_zyx: Triple,
    scans: Sequence[str | None] = (),
) -> list[Place]:
    """Find the electrodes of each scan, and how far the plating side has moved.

    The shift is that of the electrode's outer face (median over the columns), which no Li leaves;
    of its inner face where the outer one lies outside of the scan. Errors speak of the maps by the
    names ``scans``.

    Raises
    ------
    InputError
        An electrode is not seen.
    """
    places: list[Place] = []
    first: Faces | None = None
    for labelmap, scan in zip(maps, scans or [None] * len(maps), strict=True):
        faces = find_faces(
            labelmap,
            axis="zyx".index(settings.plan_axis),
            plating_high=settings.plating_side == "high",
            block_zyx=block_zyx,
            scan=scan,
        )
        first = first or faces
        strip, plate = (np.array(first.planes[STRIPPING]), np.array(faces.planes[PLATING]))
        c, a, b = (float(t) for t in strip + _STRIPPING_SHARE * (plate - strip))
        frame = faces.frame
        shift = _shift(first, faces) if follow else 0
        places.append(Place(frame.axis, (c, a, b), frame.plating_high, shift))
    return places


def _shift(first: Faces, faces: Faces) -> int:
    before, now = first.outer[PLATING], faces.outer[PLATING]
    if before is not None and now is not None:
        return round(now - before)
    moved = faces.of_side(PLATING).astype(np.float64) - first.of_side(PLATING)
    return round(float(np.median(moved)))


@dataclass(frozen=True, slots=True)
class TimeModel:
    """Costs of the labels, and by side those of the changes from each scan to the next."""

    table: Costs
    steps: dict[str, list[Costs]]

    @classmethod
    def of(cls, settings: RefineSettings, schema: ClassSchema, steps: Sequence[Step]) -> TimeModel:
        """Return the model of a series."""
        chosen = settings.wanted("time")
        costs = {
            side: [
                transition_costs(
                    schema,
                    side,
                    step,
                    natural=chosen.natural_cost,
                    against=chosen.against_cost,
                )
                for step in steps
            ]
            for side in (STRIPPING, PLATING)
        }
        return cls(label_costs(len(schema), chosen.confidence_frac), costs)


class TimeWork:
    """Smooths all scans of a series at once; of each block the labels of all scans are held.

    Each place on the stripping side is the same voxel in every scan. Places on the plating side
    move with the plating electrode, by the whole voxels of :class:`Place`. What was *unlabelled*
    stays so, and speaks for nothing; so does what lies outside of a scan.

    Parameters
    ----------
    maps
        Label maps of the scans, in their order.
    model
        The costs.
    places
        Where the cell lies in each scan.
    shares
        Probabilities (class, z, y, x) of each scan; ``None``: labels speak for themselves.
    region
        What is cut away first.
    """

    def __init__(
        self,
        maps: Sequence[LabelMap],
        model: TimeModel,
        places: Sequence[Place],
        *,
        shares: Sequence[StoredArray] | None = None,
        region: Region | None = None,
    ) -> None:
        self._maps, self._model, self._places = maps, model, places
        self._shares, self._region = shares, region
        schema = maps[0].schema
        self._none = len(schema)
        self._code = LabelCoder(schema, schema.names, what="the label map")
        self._values = np.array([*schema.values, schema.unlabelled], np.uint8)

    def __call__(self, core: Box) -> tuple[list[Bytes], Changes]:
        """Return the labels of a block in every scan, and what changed."""
        around = [self._around(core, i) for i in range(len(self._maps))]
        given = [self._read(i, box) for i, box in enumerate(around)]
        out = [np.empty(core.shape_zyx, np.uint8) for _ in self._maps]
        changes = Changes()
        u_axis = 0 if self._places[0].axis else 1
        step = list(core.shape_zyx)
        step[u_axis] = min(SLAB_SLICES, step[u_axis])
        for slab in core.tiles((step[0], step[1], step[2])):
            part = slab.relative_to(core).slices
            raw = [g[slab.relative_to(box).slices] for g, box in zip(given, around, strict=True)]
            boxes = [self._around(slab, i) for i in range(len(self._maps))]
            wide = [
                self._cut(g[inner.relative_to(box).slices], inner)
                for g, inner, box in zip(given, boxes, around, strict=True)
            ]
            for i, (cut, after) in enumerate(self._slab(slab, wide, boxes)):
                out[i][part] = after
                changes.count("region", i, raw[i], cut)
                changes.count("time", i, cut, after)
        return out, changes

    def _slab(
        self, slab: Box, wide: Sequence[Bytes], boxes: Sequence[Box]
    ) -> list[tuple[Bytes, Bytes]]:
        """Return the labels of some slices, cut to the region, and the likeliest ones."""
        cut = [w[slab.relative_to(box).slices] for w, box in zip(wide, boxes, strict=True)]
        still = self._histories(cut, [slab] * len(cut), STRIPPING)
        going = self._histories(wide, boxes, PLATING)
        results = []
        for i, (place, box) in enumerate(zip(self._places, boxes, strict=True)):
            plating = np.moveaxis(place.is_plating(slab), 1, place.axis)
            codes = np.where(plating, going[i][slab.relative_to(box).slices], still[i])
            after = self._values[codes]
            after[cut[i] == self._values[-1]] = self._values[-1]
            results.append((cut[i], after))
        return results

    def _histories(self, labels: Sequence[Bytes], boxes: Sequence[Box], side: str) -> list[Bytes]:
        """Return the likeliest class numbers of places that are these boxes of the scans."""
        codes = np.stack([self._code(one).ravel() for one in labels])
        steps = self._model.steps[side]
        if self._shares is None:
            found = smooth_labels(codes, self._model.table, steps)
        else:
            shares = np.stack([self._read_shares(i, box) for i, box in enumerate(boxes)])
            found = smooth_probabilities(codes, shares, steps)
        return [row.reshape(boxes[0].shape_zyx) for row in found]

    def _around(self, box: Box, scan: int) -> Box:
        """Return the places of a box in a scan: all that it shows of the plating side in any."""
        shifts, axis = [place.shift for place in self._places], self._places[0].axis
        start, stop = list(box.start_zyx), list(box.stop_zyx)
        start[axis] += shifts[scan] - max(shifts)
        stop[axis] += shifts[scan] - min(shifts)
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def _read(self, scan: int, box: Box) -> Bytes:
        """Return labels; *unlabelled* outside of the scan."""
        out = np.full(box.shape_zyx, self._values[-1], np.uint8)
        inside = box.clip(self._maps[scan].grid.shape_zyx)
        if inside.n_voxels:
            out[inside.relative_to(box).slices] = self._maps[scan].read(inside)
        return out

    def _cut(self, labels: Bytes, box: Box) -> Bytes:
        return self._region.apply(labels, box) if self._region else labels

    def _read_shares(self, scan: int, box: Box) -> Bytes:
        assert self._shares is not None
        out = np.zeros((self._none, *box.shape_zyx), np.uint8)
        inside = box.clip(self._maps[scan].grid.shape_zyx)
        if inside.n_voxels:
            part = (slice(None), *inside.relative_to(box).slices)
            out[part] = self._shares[scan][(slice(None), *inside.slices)]
        return out.reshape(self._none, -1)


def check_series(maps: Sequence[LabelMap], names: Sequence[str]) -> None:
    """Refuse scans of different grids.

    Raises
    ------
    MismatchError
        Shape, voxel size or classes differ; both scans are named.
    """
    for name, labelmap in zip(names, maps, strict=True):
        for what, first, found in (
            ("shape", maps[0].grid.shape_zyx, labelmap.grid.shape_zyx),
            ("voxel size", maps[0].grid.voxel_size_um, labelmap.grid.voxel_size_um),
            ("classes", maps[0].schema, labelmap.schema),
        ):
            if first != found:
                raise MismatchError(
                    f"the scans '{names[0]}' and '{name}' differ in {what}"
                    + ("" if what == "classes" else f": {first} and {found}"),
                    expected="scans of one series on one grid, with the same classes",
                    where="refine.time",
                    mend="name the scans of each cell under 'refine.time.series'",
                )
