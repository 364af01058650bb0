"""The true numbers of a simulated cell: what the other steps are meant to find."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tomolith.core import Box
from tomolith.phantom.cell import Cell
from tomolith.phantom.drawing import MATERIALS
from tomolith.phantom.history import State
from tomolith.phantom.noise import axes_um
from tomolith.store.atomic import write_bytes, write_text

LARGEST_CONNECTED_VOXELS = 2**27  # connectivity needs the whole label map in memory
_SLAB_SLICES = 8  # counted together: what is compared stays in the cache
_LITHIUM = ("dendrite", "deposited", "redeposited")
_PIT, _REDEPOSITED = MATERIALS.index("pit"), MATERIALS.index("redeposited")


@dataclass(frozen=True, slots=True)
class TruthRow:
    """One true number.

    Parameters
    ----------
    scan, cell, pulse, time_s
        Which scan; the time is when it is taken, from the start of the protocol.
    quantity, region
        What, and of which class or side.
    value
        The number; ``None`` where it was not computed or does not exist.
    unit
        Unit as a string.
    """

    scan: str
    cell: int
    pulse: int
    time_s: float
    quantity: str
    region: str
    value: float | None
    unit: str


class TruthCounter:
    """Counts the materials of one scan while it is written, block by block, in any order.

    Examples
    --------
    >>> from tomolith.phantom import Cell, PhantomSettings
    >>> cell = Cell.build(PhantomSettings(preset="tiny"), 0)
    >>> counter, box = TruthCounter(cell, 12), Box((0, 0, 0), (64, 64, 64))
    >>> counter.add(box, cell.draw(box, 12).material)
    >>> rows = counter.rows("cell0-t12", 0)
    >>> next(row.unit for row in rows if row.quantity == "plan_coverage")
    '1'
    """

    def __init__(self, cell: Cell, pulse: int) -> None:
        s = cell.settings
        n_z, n_y, n_x = s.shape_zyx
        self._cell, self._pulse = cell, pulse
        self._counts = np.zeros((2, len(MATERIALS)), np.int64)  # stripping side, plating side
        self._covered = np.zeros((len(MATERIALS), n_z, n_x), np.bool_)
        self._over_void = np.zeros((n_z, n_x), np.bool_)
        # pits that end, and redeposited Li that starts, where blocks meet along y
        self._seams: dict[int, npt.NDArray[np.bool_]] = {}
        self._whole: npt.NDArray[np.uint8] | None = None
        if n_z * n_y * n_x <= LARGEST_CONNECTED_VOXELS:
            self._whole = np.zeros(s.shape_zyx, np.uint8)
        self._lock = threading.Lock()

    def add(self, box: Box, material: npt.NDArray[np.uint8]) -> None:
        """Count the voxels of a box; boxes must not overlap."""
        z, _, x = box.slices
        for slab in box.tiles((_SLAB_SLICES, *self._cell.settings.shape_zyx[1:])):
            self._add_slab(slab, material[slab.relative_to(box).slices])
        with self._lock:
            self._seam(box.stop_zyx[1])[0, z, x] |= material[:, -1] == _PIT
            self._seam(box.start_zyx[1])[1, z, x] |= material[:, 0] == _REDEPOSITED
            if self._whole is not None:
                self._whole[box.slices] = material

    def _add_slab(self, box: Box, material: npt.NDArray[np.uint8]) -> None:
        z, _, x = box.slices
        plating_side = self._is_plating_side(box)
        over_void = ((material[:, :-1] == _PIT) & (material[:, 1:] == _REDEPOSITED)).any(axis=1)
        counts, covered = np.zeros_like(self._counts), []
        for i in range(len(MATERIALS)):
            here = material == i
            covered.append(here.any(axis=1))
            n, n_plating = np.count_nonzero(here), np.count_nonzero(here & plating_side)
            counts[:, i] = n - n_plating, n_plating
        with self._lock:
            self._counts += counts
            self._over_void[z, x] |= over_void
            for i, seen in enumerate(covered):
                self._covered[i, z, x] |= seen

    def rows(self, scan_id: str, cell_index: int) -> list[TruthRow]:
        """Return all true numbers of the scan."""
        time_s = self._cell.settings.protocol.scan_time_s(self._pulse)
        return [
            TruthRow(scan_id, cell_index, self._pulse, time_s, quantity, region, value, unit)
            for quantity, region, value, unit in self._numbers()
        ]

    def _numbers(self) -> Iterator[tuple[str, str, float | None, str]]:
        s = self._cell.settings
        voxel_um3 = s.voxel_size_um**3
        area_um2 = s.shape_zyx[0] * s.shape_zyx[2] * s.voxel_size_um**2
        counts = self._counts.sum(axis=0)
        for i, name in enumerate(MATERIALS):
            volume = float(counts[i] * voxel_um3)
            yield "voxel_count", name, float(counts[i]), "voxels"
            yield "volume", name, volume, "um3"
            yield "volume_percent", name, float(100 * counts[i] / counts.sum()), "percent"
            yield "effective_thickness", name, volume / area_um2, "um"
            yield "plan_coverage", name, float(self._covered[i].mean()), "1"
        for name in _LITHIUM:
            metal = 1 - porosity_frac(self._cell, name)
            yield "li_volume", name, float(counts[MATERIALS.index(name)] * voxel_um3 * metal), "um3"
        for side, row in zip(("stripping", "plating"), self._counts, strict=True):
            electrode = float(row[MATERIALS.index("electrode")] * voxel_um3)
            yield "li_volume", f"electrode, {side} side", electrode, "um3"
            yield "effective_thickness", f"electrode, {side} side", electrode / area_um2, "um"
        filled, empty = float(counts[_REDEPOSITED]), float(counts[_PIT])
        share = filled / (filled + empty) if filled + empty else None
        yield "pit_filling", "pit", share, "1"
        yield "void_map_share", "redeposited", float(self._voids().mean()), "1"
        yield from self._geometry_numbers()
        yield from self._history_numbers(area_um2)
        dead = self._dead_voxels()
        yield (
            "dead_li_volume",
            "dendrite and deposited, 26-connected",
            None if dead is None else dead * voxel_um3,
            "um3",
        )

    def _seam(self, y: int) -> npt.NDArray[np.bool_]:
        if y not in self._seams:
            self._seams[y] = np.zeros((2, *self._over_void.shape), np.bool_)
        return self._seams[y]

    def _voids(self) -> npt.NDArray[np.bool_]:
        """Return where redeposited Li lies right above a void, over (z, x)."""
        out = self._over_void.copy()
        for pit_below, filled_above in self._seams.values():
            out |= pit_below & filled_above
        return out

    def _geometry_numbers(self) -> Iterator[tuple[str, str, float | None, str]]:
        heights = self._cell.boundaries_um(self._pulse)
        stripping, plating = float(heights[1].mean()), float(heights[-2].mean())
        yield "position", "electrode, stripping side", stripping, "um"
        yield "position", "electrode, plating side", plating, "um"
        yield "gap", "electrodes", plating - stripping, "um"
        yield "swelling", "plating side", self._cell.levels[self._pulse].amounts.swelling, "um"

    def _history_numbers(self, area_um2: float) -> Iterator[tuple[str, str, float | None, str]]:
        state = State.after(self._cell.settings, self._pulse)
        yield "charge_passed", "charge", state.charged_um * area_um2, "um3"
        yield "charge_passed", "discharge", state.returned_um * area_um2, "um3"
        yield "li_moved", "stripped", state.stripped_um * area_um2, "um3"
        yield "li_moved", "plating side, visible", state.visible_um * area_um2, "um3"
        yield "li_moved", "redeposited, visible", state.redeposited_um * area_um2, "um3"

    def _dead_voxels(self) -> int | None:
        """Count dendrite and deposit that no longer touch the plating electrode."""
        if self._whole is None:
            return None
        box = Box.whole(self._cell.settings.shape_zyx)
        electrode = (self._whole == MATERIALS.index("electrode")) & self._is_plating_side(box)
        plated = np.isin(self._whole, [MATERIALS.index("dendrite"), MATERIALS.index("deposited")])
        pieces, _ = ndimage.label(plated | electrode, np.ones((3, 3, 3), bool))
        alive = np.unique(pieces[electrode])
        return int((plated & ~np.isin(pieces, alive)).sum())

    def _is_plating_side(self, box: Box) -> npt.NDArray[np.bool_]:
        s = self._cell.settings
        z, y, x = axes_um(s.shape_zyx, s.voxel_size_um, box)
        middle = self._cell.layers.middle_um(z, x)
        return y[None, :, None] > middle[:, None, :]


def porosity_frac(cell: Cell, material: str) -> float:
    """Return the share of a labelled layer that is no metal; pores of dendrites are not labelled.

    Examples
    --------
    >>> from tomolith.phantom import Cell, PhantomSettings
    >>> porosity_frac(Cell.build(PhantomSettings(preset="tiny"), 0), "dendrite")
    0.0
    """
    s = cell.settings
    porosities = {
        "deposited": s.deposit_porosity_frac,
        "redeposited": s.redeposit_porosity_frac,
    }
    return porosities.get(material, 0.0)


def write_truth(rows: Sequence[TruthRow], folder: Path) -> None:
    """Write ``truth.parquet`` and ``truth.csv``, each whole or not at all.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted.
    """
    import pandas as pd

    table = pd.DataFrame([asdict(row) for row in rows]).astype({"value": "float64"})
    buffer = BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes(folder / "truth.parquet", buffer.getvalue())
    write_text(folder / "truth.csv", table.to_csv(index=False))
