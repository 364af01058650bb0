"""Measure one scan in a process that does nothing else, so that its memory can be measured.

Arguments: what to do (``read``, ``additive`` or ``all``), the scan's path and the workers. Prints
what it took, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.common import peak_bytes
from tomolith.core import LabelMap
from tomolith.measure.intervals.attach import NEEDED
from tomolith.measure.one_pass import choose_block
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.measure.quantities import QUANTITIES
from tomolith.measure.quantities.dead_li import DeadLi
from tomolith.measure.quantities.dendrite_pieces import DendriteQuantity
from tomolith.store.scan import Scan

LABELS = "truth"
NOT_ADDITIVE = (DeadLi, DendriteQuantity)  # they join pieces over the borders of blocks


def settings_of(what: str, workers: int) -> MeasureSettings:
    """Return the settings of the step, with all quantities or the additive ones."""
    kinds = {name: QUANTITIES.load(name) for name in QUANTITIES.names()}
    additive = [name for name, kind in kinds.items() if not issubclass(kind, NOT_ADDITIVE)]
    return MeasureSettings(quantities=additive if what == "additive" else None, workers=workers)


def read_all(labels: LabelMap, workers: int) -> None:
    """Read each block once and do nothing with it."""
    cores = labels.grid.box.tiles(choose_block(labels.grid, 1))
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda core: labels.read(core).size, cores):
            pass


def main() -> None:
    """Do it, three times where it is quick; the fastest counts, and the largest memory."""
    what, path, workers = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    labels = Scan.open(path, unfinished=True).labels(LABELS)  # it has no image
    settings = settings_of(what, workers)
    numbers, took = 0, []
    for _ in range(1 if what == "all" else 3):
        start, start_cpu = time.perf_counter(), time.process_time()
        if what == "read":
            read_all(labels, workers)
        else:
            found = measure_scan(labels, settings, region=path.stem, also=NEEDED)
            numbers = len(found.measurements)
        took.append((time.perf_counter() - start, time.process_time() - start_cpu))
    wall_s, cpu_s = (min(each) for each in zip(*took, strict=True))
    found_bytes = {"peak_bytes": peak_bytes(), "n_quantities": len(settings.chosen())}
    print(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "n": numbers, **found_bytes}))


if __name__ == "__main__":
    main()
