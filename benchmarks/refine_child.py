"""Refine one series in a process that does nothing else, so that its memory can be measured.

Arguments: the folder of the scans and the workers. Prints what it took, as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from benchmarks.common import peak_bytes
from tomolith.measure.refine.plan import plan_refinement
from tomolith.measure.refine.refine import refine
from tomolith.measure.refine.settings import RefineSettings
from tomolith.store.scan import Scan

LABELS = "prediction"
_LOOK_S, _HALT_S = 0.5, 3.0


class Halts(threading.Thread):
    """Adds up the time in which the machine let the process do nothing at all."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.halted_s = 0.0

    def run(self) -> None:
        """Look at both clocks again and again."""
        wall, cpu = time.perf_counter(), time.process_time()
        while True:
            time.sleep(_LOOK_S)
            now, used = time.perf_counter(), time.process_time()
            if now - wall > _HALT_S and used - cpu < 0.1 * (now - wall):
                self.halted_s += now - wall
            wall, cpu = now, used


def settings_of(n_slices: int, workers: int) -> RefineSettings:
    """Return the settings of the step, with every operation."""
    return RefineSettings.model_validate(
        {
            "region": {"z": (8, n_slices - 8)},
            **dict.fromkeys(("time", "allowed", "split", "min_size", "fill_holes"), True),
            "memory": "3GiB",
            "workers": workers,
        }
    )


def main() -> None:
    """Refine all scans of the folder, with every operation."""
    folder, workers = Path(sys.argv[1]), int(sys.argv[2])
    scans = [Scan.open(path, unfinished=True) for path in sorted(folder.glob("*.zarr"))]
    grid, schema = scans[0].grid, scans[0].labels(LABELS).schema
    settings = settings_of(grid.shape_zyx[0], workers)
    plan = plan_refinement(grid, settings, schema, n_scans=len(scans))
    halts = Halts()
    halts.start()
    start, start_cpu = time.perf_counter(), time.process_time()
    found = refine(scans, settings, source=LABELS, steps=("charge", "discharge"))
    wall_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    changed = Counter[str]()
    for effect in found.effects:
        changed[effect.operation] += effect.n_voxels
    taken = {
        "wall_s": wall_s - halts.halted_s,
        "halted_s": halts.halted_s,
        "cpu_s": cpu_s,
        "peak_bytes": peak_bytes(),
    }
    planned = {"projected_bytes": plan.projected_bytes, "n_voxels": found.n_voxels}
    operations = {operation: changed[operation] for operation in found.operations}
    print(json.dumps({**taken, **planned, "changed": operations}))


if __name__ == "__main__":
    main()
