"""Predict one scan in a process that does nothing else, so that its memory can be measured.

Arguments: folder with ``large.zarr`` and ``model``, and the settings as JSON. Prints its peak
memory in bytes: seen from outside (``wait4``), that of the process which started it counts too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tomolith.learn.bundle import ModelBundle
from tomolith.learn.predict import predict
from tomolith.learn.settings import PredictSettings
from tomolith.store.scan import Scan

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = PredictSettings.model_validate_json(sys.argv[2])
    predict(Scan.open(folder / "large.zarr"), ModelBundle.load(folder / "model"), settings)
    peak = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    print(int(peak.split()[1]) * 1024)
