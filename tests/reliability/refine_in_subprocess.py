"""Refine a small series in a process of its own, to be killed by a test.

Arguments: folder and seconds that each block takes longer, so that a kill meets the middle.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tomolith.measure.refine import RefineSettings, refine, stages
from tomolith.store.scan import Scan

SETTINGS = {
    "time": {},
    "region": {"z": (1, 15)},
    "block_zyx": (8, 32, 32),
    "workers": 2,
}
STEPS = ("charge", "both")


def main() -> None:
    folder, pause_s = Path(sys.argv[1]), float(sys.argv[2])
    write = stages._Writer.__call__

    def slow(writer, block):
        time.sleep(pause_s)
        return write(writer, block)

    stages._Writer.__call__ = slow
    scans = [Scan.open(path) for path in sorted(folder.glob("*.zarr"))]
    (folder / "ready").touch()
    refine(scans, RefineSettings(**SETTINGS), steps=STEPS)


if __name__ == "__main__":
    main()
