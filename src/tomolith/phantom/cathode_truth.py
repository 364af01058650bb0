"""The true numbers of a simulated cathode."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, Grid
from tomolith.phantom.cathode import CATHODE_MATERIALS
from tomolith.phantom.truth import TruthRow


class CathodeCounter:
    """Counts the materials of one scan while it is written, block by block, in any order.

    Examples
    --------
    >>> counter = CathodeCounter(Grid((1, 2, 2), (0.5, 0.5, 0.5)))
    >>> counter.add(Box((0, 0, 0), (1, 2, 2)), np.array([[[0, 0], [1, 2]]], np.uint8))
    >>> [(row.region, row.value) for row in counter.rows("cathode0", 0) if row.unit == "um3"]
    [('nmc', 0.25), ('carbon-binder', 0.125), ('pore', 0.125)]
    """

    def __init__(self, grid: Grid) -> None:
        self._voxel_um3 = grid.voxel_volume_um3
        self._counts = np.zeros(len(CATHODE_MATERIALS), np.int64)
        self._lock = threading.Lock()

    def add(self, box: Box, material: npt.NDArray[np.uint8]) -> None:
        """Count the voxels of a box; boxes must not overlap."""
        counts = np.bincount(material.ravel(), minlength=len(CATHODE_MATERIALS))
        with self._lock:
            self._counts += counts

    def rows(self, scan_id: str, index: int) -> list[TruthRow]:
        """Return all true numbers of the scan; a cathode has no protocol, so pulse and time are 0.

        Parameters
        ----------
        index
            Which of the simulated cathodes it is.
        """
        rows = []
        for name, count in zip(CATHODE_MATERIALS, self._counts, strict=True):
            for quantity, value, unit in (
                ("voxel_count", float(count), "voxels"),
                ("volume", float(count * self._voxel_um3), "um3"),
                ("volume_percent", float(100 * count / self._counts.sum()), "percent"),
            ):
                rows.append(TruthRow(scan_id, index, 0, 0.0, quantity, name, value, unit))
        return rows
