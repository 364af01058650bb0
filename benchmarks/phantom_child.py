"""Simulate one scan in a process that does nothing else, so that its memory can be measured.

Arguments: the scan's path and the settings as JSON. Prints what it took, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.common import peak_bytes
from tomolith.core import PRESETS
from tomolith.phantom import Phantom, PhantomSettings
from tomolith.phantom.simulate import write_scan
from tomolith.phantom.truth import TruthCounter

if __name__ == "__main__":
    path = Path(sys.argv[1])
    settings = PhantomSettings.model_validate_json(sys.argv[2])
    start, start_cpu, bare_bytes = time.perf_counter(), time.process_time(), peak_bytes()
    phantom = Phantom.build(settings, path.name.removesuffix(".zarr"))
    described = time.perf_counter()
    counter = TruthCounter(phantom.cell, phantom.pulse)
    write_scan(phantom, path, schema=PRESETS["li-operando"], counter=counter)
    counter.rows(phantom.scan_id, 0)
    took = {
        "described_s": described - start,
        "total_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - start_cpu,
        "bare_bytes": bare_bytes,
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(took))
