"""A series of scans of the paper's size refined out of core: time, and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Result, table
from benchmarks.mirrored_cell import write_mirrored
from benchmarks.refine_child import LABELS, settings_of
from tomolith.core import PRESETS, Grid
from tomolith.measure.refine.plan import plan_refinement

PULSES = (6, 12, 24)
PAPER_ZYX, QUICK_ZYX = (2280, 698, 1707), (64, 698, 256)
WRONG_FRAC = 0.001
MOST_BYTES = 3 * 2**30
MIB = 2**20
WORKERS = 2
SLICES = 16  # shortened to a multiple of these
VOXELS_PER_S = 2.5e6  # about, for how many slices fit
SCHEMA = PRESETS["li-operando"]


def run(*, quick: bool, minutes: float | None = None) -> Result:
    """Refine, and return the page; ``minutes``: as many slices as about fit into that."""
    shape = QUICK_ZYX if quick else _shortened(minutes)
    with tempfile.TemporaryDirectory() as folder:
        for pulse in PULSES:
            path = Path(folder) / f"cell0-t{pulse:02d}.zarr"
            write_mirrored(path, shape, pulse, name=LABELS, wrong_frac=WRONG_FRAC)
        on_disk = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
        took = _child(Path(folder))
    n_z, n_y, n_x = shape
    what = (
        f"A series of {len(PULSES)} simulated label maps, each {n_z} × {n_y} × {n_x} voxels, "
        f"{took['n_voxels'] / 1e9:.2f} × 10⁹ in all ({on_disk / MIB:.0f} MiB on disk), of which a "
        f"share of {WRONG_FRAC:g} was replaced by any class, refined with the function that the "
        f"step `refine` calls: {', '.join(took['changed'])}; {WORKERS} workers, a budget of 3 GiB, "
        "in a process of its own."
    )
    if shape != PAPER_ZYX:
        what += (
            f"\n\n**A shortened run**: {n_z} slices per scan instead of the paper's {PAPER_ZYX[0]}."
        )
    title = "Scans as wide as the paper's refined, out of core"
    arguments = "" if minutes is None else f"--minutes {minutes:g}"
    return Result(title, what, _tables(took), _notes(took), arguments)


def _shortened(minutes: float | None) -> tuple[int, int, int]:
    n_z, n_y, n_x = PAPER_ZYX
    if minutes is not None:
        fits = int(60 * minutes * VOXELS_PER_S / (len(PULSES) * n_y * n_x))
        n_z = min(n_z, max(SLICES, fits // SLICES * SLICES))
    return n_z, n_y, n_x


def _tables(took: dict[str, Any]) -> list[str]:
    paper = plan_refinement(
        Grid(PAPER_ZYX, (1.33,) * 3),
        settings_of(PAPER_ZYX[0], WORKERS),
        SCHEMA,
        n_scans=len(PULSES),
    )
    n = took["n_voxels"]
    rows = [
        ("time", f"{took['wall_s']:.0f} s, {took['cpu_s']:.0f} CPU s"),
        ("**speed, all operations**", f"**{n / took['wall_s'] / 1e6:.1f} Mvoxel/s**"),
        ("speed, of CPU time", f"{n / took['cpu_s'] / 1e6:.1f} Mvoxel/s"),
        ("cores busy, on average", f"{took['cpu_s'] / took['wall_s']:.2f}"),
        ("**peak memory**", f"**{took['peak_bytes'] / MIB:.0f} MiB**"),
        ("peak memory, projected", f"{took['projected_bytes'] / MIB:.0f} MiB"),
        (
            f"the same for {' × '.join(map(str, PAPER_ZYX))} voxels each, the paper's size",
            f"{paper.projected_bytes / MIB:.0f} MiB",
        ),
        ("the labels, uncompressed", f"{n / MIB:.0f} MiB"),
    ]
    changed = [
        (f"`{operation}`", f"{count:,}", f"{100 * count / n:.3g} %")
        for operation, count in took["changed"].items()
    ]
    return [table(("the series", ""), rows), table(("operation", "voxels changed", ""), changed)]


def _notes(took: dict[str, Any]) -> list[str]:
    reached = "reached" if took["peak_bytes"] < MOST_BYTES else "NOT reached"
    return [
        f"Asked for: a peak below {MOST_BYTES / MIB:.0f} MiB: **{reached}**, for scans of this "
        "size; for larger ones see what is projected. It is `VmHWM` of a process that does nothing "
        "but refine.",
        "The labels are the phantom's own, of a cell drawn once and laid side by side as mirror "
        "images, with wrong voxels of which each is alone. What a network gets wrong comes in "
        "patches; how good the refined labels are was not asked here.",
        "The time contains reading, writing with checksums, the pyramids and what is kept between "
        "two passes. It suffers from other work on the machine, CPU time less so; the "
        f"{took['halted_s']:.0f} s in which the machine let the process do nothing are left out.",
    ]


def _child(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.refine_child", str(folder), str(WORKERS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)
