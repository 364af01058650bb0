"""Voids between redeposited Li and the electrode below it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tomolith.core import ClassSchema, Grid, Interval
from tomolith.measure.quantities.base import ClassValue, Quantity, QuantityMap, Region
from tomolith.measure.quantities.columns import AnalysedColumns, assemble
from tomolith.measure.quantities.frame import Frame, PlanKey
from tomolith.measure.quantities.runs import Runs, look_through

Flags = npt.NDArray[np.bool_]
Depths = npt.NDArray[np.int32]
_SOURCE = "void map of Huang et al., npj Comput. Mater. 9, 93 (2023)"
_THIN = "half-voxel boundary shift: a void may be one voxel thicker, or be none"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of all columns of a part of the plan, from the stripping electrode outwards.

    Parameters
    ----------
    n_pit, n_below
        Pit voxels; those of them with redeposited Li somewhere above, within the stretch.
    has_filled
        Whether there is redeposited Li.
    over_void, contact
        Whether redeposited Li lies right on a pit voxel, or right on the electrode.
    first, last
        Labels at the ends.
    """

    n_pit: Depths
    n_below: Depths
    has_filled: Flags
    over_void: Flags
    contact: Flags
    first: npt.NDArray[Any]
    last: npt.NDArray[Any]

    def then(self, outer: Stretch, values: tuple[int, int, int]) -> Stretch:
        """Return this stretch followed by the next one outwards."""
        pit, filled, electrode = values
        starts_filled = outer.first == filled
        return Stretch(
            self.n_pit + outer.n_pit,
            np.where(outer.has_filled, self.n_pit + outer.n_below, self.n_below),
            self.has_filled | outer.has_filled,
            self.over_void | outer.over_void | (starts_filled & (self.last == pit)),
            self.contact | outer.contact | (starts_filled & (self.last == electrode)),
            self.first,
            outer.last,
        )


def look_at(runs: Runs, values: tuple[int, int, int], upwards: bool) -> Stretch:
    """Return the stretch of columns seen outwards; values of pit, redeposited and electrode.

    ``upwards``: outwards is towards large indices.
    """
    from tomolith.measure.quantities import compiled

    n, has = compiled.find_voids(runs.begin, runs.stop, runs.label, values, upwards)
    first, last = (runs.first, runs.last) if upwards else (runs.last, runs.first)
    n_pit, n_below = n.reshape(2, *runs.plan_shape)
    has_filled, over_void, contact = has.reshape(3, *runs.plan_shape)
    return Stretch(n_pit, n_below, has_filled, over_void, contact, first, last)


class _Voids(Quantity):
    """Keeps the stretches of each column until all are there."""

    source = _SOURCE
    needs = ("electrode", "pit", "redeposited")

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._stretches: dict[PlanKey, dict[int, Stretch]] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """Redeposited Li."""
        return ("redeposited",)

    @property
    def _values(self) -> tuple[int, int, int]:
        pit, filled, electrode = (
            self.schema[name].value for name in ("pit", "redeposited", "electrode")
        )
        return pit, filled, electrode

    def update(self, region: Region) -> None:
        """Look at the columns of the core."""
        key = ("voids", self.frame)
        if key not in region.cache:
            runs = look_through(region, self.frame).runs
            region.cache[key] = look_at(runs, self._values, self.frame.plating_high)
        start = region.core.start_zyx[self.frame.axis]
        place = self._stretches.setdefault(self.frame.plan_key(region.core), {})
        place[start if self.frame.plating_high else -start] = region.cache[key]

    def merge(self, other: Self) -> None:
        """Add the stretches of ``other``."""
        for key, stretches in other._stretches.items():
            self._stretches.setdefault(key, {}).update(stretches)

    def whole(self, grid: Grid) -> tuple[Flags, Flags, Depths]:
        """Return maps over the plan: over a void, in contact, pit voxels below redeposited Li."""
        return self.once(("voids", self.frame, grid), lambda: self._whole(grid))

    def _whole(self, grid: Grid) -> tuple[Flags, Flags, Depths]:
        columns = {
            key: reduce(lambda a, b: a.then(b, self._values), (s for _, s in sorted(found.items())))
            for key, found in self._stretches.items()
        }
        shape = self.frame.plan_shape(grid.shape_zyx)
        over, contact = (
            assemble({k: getattr(s, name) for k, s in columns.items()}, shape)
            for name in ("over_void", "contact")
        )
        return over, contact, assemble({k: s.n_below for k, s in columns.items()}, shape)


class VoidMapShare(_Voids):
    """Share of the plan area where redeposited Li lies right above a void (0 to 1).

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 4, 2))
    >>> share = VoidMapShare(PRESETS["li-operando"], Frame.half_depth((1, 4, 2)))
    >>> columns = np.array([[[1, 1], [3, 1], [5, 5], [0, 0]]], np.uint8)
    >>> share.update(Region(columns, box, box))
    >>> share.finish(Grid((1, 4, 2), None))[0].value
    0.5
    """

    unit = "1"
    formula = "columns with a pit voxel right below a redeposited one / columns that hold labels"

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        super().__init__(schema, frame)
        self._plan = AnalysedColumns(schema, self.frame)

    def update(self, region: Region) -> None:
        """Look at the columns of the core, and count those that hold labels."""
        super().update(region)
        self._plan.update(region)

    def merge(self, other: Self) -> None:
        """Add what ``other`` saw."""
        super().merge(other)
        self._plan.merge(other._plan)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the share."""
        n = self._plan.n
        if not n:
            return (ClassValue("redeposited", None, "no voxel has a class"),)
        over, contact, below = self.whole(grid)
        fewest, most = np.count_nonzero(over & (below > 1)), np.count_nonzero(over | contact)
        interval = Interval(int(fewest) / n, int(most) / n, _THIN)
        value = int(np.count_nonzero(over)) / n
        return (ClassValue("redeposited", value, interval=interval),)


class VoidDepth(_Voids):
    """Mean depth in µm of the void below redeposited Li, where there is one.

    ``depth_map_um`` gives it for each column.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 4, 1))
    >>> depth = VoidDepth(PRESETS["li-operando"], Frame.half_depth((1, 4, 1)))
    >>> depth.update(Region(np.array([[[1], [3], [3], [5]]], np.uint8), box, box))
    >>> depth.finish(Grid((1, 4, 1), (1.0, 2.0, 1.0)))[0].value
    4.0
    """

    unit = "um"
    formula = "pit voxels below redeposited Li · voxel size, mean of the columns that have any"
    is_physical = True
    map_names = ("void_depth",)

    def depth_map_um(self, grid: Grid) -> npt.NDArray[np.float64]:
        """Return the depth of the void below redeposited Li, over the plan."""
        _, _, below = self.whole(grid)
        return below.astype(np.float64) * self.frame.column_um(grid, "the depth of a void")

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the depth where there is a void."""
        depth = self.depth_map_um(grid).astype(np.float32)
        depth[depth == 0] = np.nan
        return (QuantityMap("void_depth", self.unit, depth, nothing=0.0),)

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the mean; ``None`` where there is no void."""
        size = self.frame.column_um(grid, "the depth of a void")
        _, _, below = self.whole(grid)
        n = int(np.count_nonzero(below))
        return (ClassValue("redeposited", int(below.sum()) * size / n if n else None),)


class ContactArea(_Voids):
    """Area in µm² where redeposited Li touches the electrode, seen across the cell.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Box
    >>> box = Box((0, 0, 0), (1, 3, 2))
    >>> area = ContactArea(PRESETS["li-operando"], Frame.half_depth((1, 3, 2)))
    >>> area.update(Region(np.array([[[1, 1], [5, 3], [0, 5]]], np.uint8), box, box))
    >>> area.finish(Grid((1, 3, 2), (2.0, 1.0, 2.0)))[0].value
    4.0
    """

    unit = "um2"
    formula = "columns with an electrode voxel right below a redeposited one · area of a column"
    is_physical = True

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return the area; ``InputError`` where the voxel size is unknown."""
        u, v = self.frame.plan_sizes_um(grid, "a contact area")
        over, contact, below = self.whole(grid)
        most = int(np.count_nonzero(contact | (over & (below == 1))))
        interval = Interval(0.0, most * u * v, _THIN)
        value = int(np.count_nonzero(contact)) * u * v
        return (ClassValue("redeposited", value, interval=interval),)
