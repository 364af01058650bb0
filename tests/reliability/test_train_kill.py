"""A training killed at random moments and started again ends as if it had never been killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tomolith.learn.bundle import ModelBundle

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from tomolith.core import PRESETS, Grid, IntensityStats, LabelMap, Volume
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import Example, train

rng = np.random.default_rng(0)
truth = (rng.random((8, 8, 8)) < 0.4).astype(np.uint8).repeat(8, 1).repeat(8, 2)
grey = (100 + 50 * truth + rng.normal(0, 10, truth.shape)).astype(np.uint8)
grid = Grid(truth.shape, None)
schema = PRESETS["li-binary"]
example = Example(
    "a", Volume(grey, grid), LabelMap(Volume(truth, grid), schema),
    (IntensityStats.of_sample(grey),),
)
settings = TrainSettings.model_validate({
    "network": {"name": "unet", "channels": 4, "depth": 2, "dropout": 0.2},
    "epochs": 60, "patience": None, "patch_px": 32, "batch": 8, "patches_per_epoch": 32,
    "threads": 1, "precision": "fp32",
})
print("ready", flush=True)
result = train([example], settings, Path(sys.argv[1]), schema=schema)
print(len(result.rows), result.stopped)
"""


def _start(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
@pytest.mark.slow_ci
def test_killed_and_resumed_is_the_same_as_never_killed(tmp_path):
    whole = _start(tmp_path / "whole")
    assert whole.wait(240) == 0

    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    folder, kills = tmp_path / "killed", 0
    for _ in range(3):
        process = _start(folder)
        deadline = time.monotonic() + 120
        epochs = _n_epochs(folder)
        while _n_epochs(folder) < epochs + 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.1)))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait(60)
        assert not (folder / "model.yaml").exists()
    assert kills == 3
    assert _start(folder).wait(240) == 0

    expected, found = ModelBundle.load(tmp_path / "whole"), ModelBundle.load(folder)
    assert found.fingerprint == expected.fingerprint
    assert _log(folder) == _log(tmp_path / "whole")
    assert not (folder / "checkpoint.safetensors").exists()


def _n_epochs(folder: Path) -> int:
    return len(_log(folder))


def _log(folder: Path) -> list[str]:
    """Return the rows without their seconds, the last but one column."""
    path = folder / "log.csv"
    if not path.exists():
        return []
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [",".join(row[:-2] + row[-1:]) for row in rows]
