"""A 2048 × 2048 × 64 volume within a memory budget, and killed ten times."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import Result, hashes, table
from benchmarks.inputs import mirrored_scan, train_on_phantom
from tomolith.blocks import plan_blocks
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.predict_plan import plan_prediction
from tomolith.learn.settings import PredictSettings
from tomolith.store.scan import Scan

MEMORY = "2GiB"
N_KILLS = 10
START_S = 4.0  # of Python, the libraries and the compiled network, roughly
MIB = 2**20


def run(*, quick: bool) -> Result:
    """Measure, and return the page."""
    shape_zyx = (40, 600, 700) if quick else (64, 2048, 2048)
    shard_zyx = (16, 256, 256) if quick else (32, 512, 512)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        train_on_phantom(folder, minutes=0.1 if quick else 1.0)
        scan = mirrored_scan(folder, "large", shape_zyx, shard_zyx)
        normal = PredictSettings(memory=MEMORY, device="cpu")
        # one shard per block and one block at a time: a kill meets many stages of the work
        small = PredictSettings(
            memory=MEMORY, device="cpu", executor="serial", block_zyx=scan.layout.shard_zyx
        )
        rows, seconds = uninterrupted(folder, scan, normal)
        made = scan.path / "labels" / "prediction"
        whole = hashes(made)
        shutil.rmtree(made)
        moments = random.Random(0)
        n_blocks = len(plan_blocks(scan.grid, shard_zyx=scan.layout.shard_zyx))
        # on average a run gets one block further, so that ten kills end before the work does
        longest = START_S + 4 * seconds / n_blocks
        kills = [kill_after(folder, small, moments.uniform(0.2, longest)) for _ in range(N_KILLS)]
        resumed_seconds, resumed_bytes = in_child(folder, small)
        same = hashes(made) == whole
    kill_rows = [(i + 1, f"{s:.1f} s", f"{n} of {n_blocks}") for i, (s, n) in enumerate(kills)]
    notes = [
        f"After {N_KILLS} kills (SIGKILL) the run was resumed ({resumed_seconds:.0f} s, peak "
        f"{resumed_bytes / MIB:.0f} MiB) and all {len(whole)} files of the label map were compared "
        "with those of the uninterrupted run, which had other blocks and another executor: "
        f"**{'identical' if same else 'DIFFERENT'}** (of metadata all but the time of creation).",
        "The peak is `VmHWM` of a process that does nothing but predict.",
    ]
    what = (
        f"A volume of {' × '.join(map(str, shape_zyx))} voxels (z, y, x; uint8; a simulated cell, "
        "mirrored until it fills the volume) is labelled by a U-Net with default settings and "
        f"`memory: {MEMORY}`, once in one go, and once killed {N_KILLS} times at random moments, "
        "then with one block at a time."
    )
    tables = [table(("", ""), rows), table(("kill", "after", "blocks done by then"), kill_rows)]
    return Result("A large volume within a memory budget", what, tables, notes)


def uninterrupted(
    folder: Path, scan: Scan, settings: PredictSettings
) -> tuple[list[tuple[str, str]], float]:
    """Predict in one go; return what was planned and measured, and the time."""
    plan = plan_prediction(
        scan.grid,
        ModelBundle.load(folder / "model"),
        settings,
        layout=scan.layout,
        dtype=scan.image.dtype,
    )
    seconds, peak_bytes = in_child(folder, settings)
    made = scan.labels("prediction").volume.provenance.inputs[-1]
    rows = [
        ("back end", made),
        ("blocks", f"{len(plan.blocks)} of {' × '.join(map(str, plan.block_zyx))} voxels"),
        ("budget", f"{settings.memory_bytes / MIB:.0f} MiB"),
        ("projected peak memory", f"{plan.projected_bytes / MIB:.0f} MiB"),
        ("**measured peak memory**", f"**{peak_bytes / MIB:.0f} MiB**"),
        ("time, start of Python included", f"{seconds:.0f} s"),
        ("speed", f"{scan.grid.n_voxels / seconds / 1e6:.1f} Mvoxel/s"),
    ]
    return rows, seconds


def in_child(folder: Path, settings: PredictSettings) -> tuple[float, int]:
    """Predict in a process of its own; return its time and peak memory in bytes."""
    start = time.perf_counter()
    process = _child(folder, settings)
    said, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the prediction ended with code {process.returncode}")
    return time.perf_counter() - start, int(said)


def kill_after(folder: Path, settings: PredictSettings, seconds: float) -> tuple[float, int]:
    """Start the prediction, kill it after ``seconds``; return those and the blocks done."""
    process = _child(folder, settings)
    time.sleep(seconds)
    if process.poll() is not None:
        raise RuntimeError("the prediction ended before it was killed")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    journal = folder / ".tomolith" / "large.prediction" / "marks.jsonl"
    return seconds, len(journal.read_bytes().splitlines()) - 1 if journal.is_file() else 0


def _child(folder: Path, settings: PredictSettings) -> subprocess.Popen:
    given = settings.model_dump_json()
    command = [sys.executable, "-m", "benchmarks.predict_child", str(folder), given]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
