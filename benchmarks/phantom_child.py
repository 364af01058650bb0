"""Simulate one scan in a process that does nothing else, so that its memory can be measured.

Arguments: the scan's path and the settings as JSON. Prints seconds until the cell is described,
seconds until the scan is written, and the peak memory in bytes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tomolith.core import PRESETS
from tomolith.phantom import Phantom, PhantomSettings
from tomolith.phantom.simulate import write_scan

if __name__ == "__main__":
    path = Path(sys.argv[1])
    settings = PhantomSettings.model_validate_json(sys.argv[2])
    start = time.perf_counter()
    phantom = Phantom.build(settings, path.name.removesuffix(".zarr"))
    described = time.perf_counter()
    write_scan(phantom, path, schema=PRESETS["li-operando"])
    written = time.perf_counter()
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    print(described - start, written - described, int(peak.split()[1]) * 1024)
