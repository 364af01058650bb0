"""Predict the small scan in a process of its own, to be killed by a test.

Arguments: folder, name of the label map, and settings as JSON. With ``pause_s`` in the
settings each batch takes that much longer, so that a kill meets the middle of the work.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from predict_helpers import small_bundle, small_settings
from tomolith.errors import TomolithError
from tomolith.learn import predict as predict_module
from tomolith.learn.predict import predict
from tomolith.store.scan import Scan


def slowed(pause_s):
    """Return a builder of back ends that take ``pause_s`` longer for each batch."""
    build = predict_module.build_predictor

    def build_slow(*given):
        backend = build(*given)
        logits = backend.logits

        def slow_logits(batch):
            time.sleep(pause_s)
            return logits(batch)

        backend.logits = slow_logits
        return backend

    return build_slow


def main():
    folder, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    pause_s = settings.pop("pause_s", 0)
    if pause_s:
        predict_module.build_predictor = slowed(pause_s)
    scan = Scan.open(folder / "small.zarr")
    (folder / "ready").touch()
    try:
        predict(scan, small_bundle(), small_settings(**settings), name=name)
    except TomolithError as error:
        sys.stderr.write(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
