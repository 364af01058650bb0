"""Four gigavoxels of labels measured in one pass: memory, and speed beside plain reading."""

from __future__ import annotations

import cProfile
import json
import math
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.common import Result, table
from benchmarks.measure_child import LABELS, settings_of
from benchmarks.mirrored_cell import write_mirrored
from tomolith.measure.quantify import measure_scan
from tomolith.store.scan import Scan

PULSES = (6, 12, 18, 24)
SHAPE_ZYX, QUICK_SHAPE_ZYX = (1500, 698, 1024), (64, 698, 256)
WORKERS = 2
MOST_BYTES, LEAST_SHARE = 3 * 2**30, 0.5
MIB = 2**20

# What the CPU time of the pass is spent on: the functions (file, name) that add up to it. None of
# them calls another one of them.
PARTS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "the plane between the electrodes (9 cuts)": (("frame.py", "find_frame"),),
        "reading blocks": (("labelmap.py", "read"),),
        "each voxel beside its neighbours": (("runs.py", "_look"),),
        "faces between blocks": (("boundary.py", "_meet"),),
        "voxels per column": (("columns.py", "class_columns"), ("columns.py", "column_counts")),
        "ends of the electrodes": (("surfaces.py", "_electrode_ends"),),
        "voids": (("voids.py", "look_at"),),
        "numbers and maps in the end": (
            ("quantify.py", "_finish"),
            ("electrodes.py", "maps"),
            ("plan_maps.py", "finish"),
        ),
    }
)


def run(*, quick: bool) -> Result:
    """Measure, and return the page."""
    shape = QUICK_SHAPE_ZYX if quick else SHAPE_ZYX
    took: dict[str, list[dict[str, float]]] = {"read": [], "additive": []}
    on_disk = 0
    with tempfile.TemporaryDirectory() as folder:
        for pulse in PULSES:
            path = Path(folder) / f"cell0-t{pulse:02d}.zarr"
            write_mirrored(path, shape, pulse, name=LABELS)
            on_disk += sum(f.stat().st_size for f in (path / "labels").rglob("*") if f.is_file())
        paths = sorted(Path(folder).glob("*.zarr"))
        for path in paths:
            for what in ("read", "additive"):
                took[what].append(_child(what, path))
        took["all"] = [_child("all", paths[1])]
        took["by_one"] = [_child(what, paths[1], workers=1) for what in ("read", "additive")]
        profile = _profile(paths[1])
    n_voxels = math.prod(shape)
    share = _of(took, "read", "wall_s") / _of(took, "additive", "wall_s")
    peak = max(t["peak_bytes"] for t in took["additive"])
    n_z, n_y, n_x = shape
    what = (
        f"A series of {len(PULSES)} simulated label maps, each {n_z} × {n_y} × {n_x} voxels, "
        f"{len(PULSES) * n_voxels / 1e9:.2f} × 10⁹ in all ({on_disk / MIB:.0f} MiB on disk, "
        "chunks and shards as usual), measured scan by scan with the function that the step "
        f"`measure` calls: all {took['additive'][0]['n_quantities']:.0f} additive quantities, the "
        "plan maps and what intervals need, in one pass. Beside it plain reading of the same "
        f"blocks of the same store. Each in a process of its own, {WORKERS} workers, by turns; the "
        "fastest of three rounds each."
    )
    rows = [
        (
            f"`{path.stem}`",
            *(f"{took[w][i][k]:.2f}" for w in ("read", "additive") for k in ("wall_s", "cpu_s")),
            f"{took['read'][i]['wall_s'] / took['additive'][i]['wall_s']:.2f}",
            f"{took['additive'][i]['peak_bytes'] / MIB:.0f}",
        )
        for i, path in enumerate(paths)
    ]
    header = (
        "scan",
        "read, s",
        "read, CPU s",
        "measure, s",
        "measure, CPU s",
        "share",
        "peak, MiB",
    )
    tables = [table(header, rows), _totals(took, n_voxels, share, peak), profile]
    return Result("Four gigavoxels measured", what, tables, _notes(share, peak))


def _totals(
    took: Mapping[str, list[dict[str, float]]], n_voxels: int, share: float, peak: float
) -> str:
    n, every = len(PULSES) * n_voxels, took["all"][0]
    cpu = _of(took, "read", "cpu_s") / _of(took, "additive", "cpu_s")
    busy, reading = (_of(took, w, "cpu_s") / _of(took, w, "wall_s") for w in ("additive", "read"))
    one = [f"{n_voxels / t['wall_s'] / 1e6:.0f} Mvoxel/s" for t in took["by_one"]]
    rows = [
        ("plain reading", f"{n / _of(took, 'read', 'wall_s') / 1e6:.0f} Mvoxel/s"),
        ("measuring", f"{n / _of(took, 'additive', 'wall_s') / 1e6:.0f} Mvoxel/s"),
        ("**share of the plain read rate**", f"**{share:.2f}**; of CPU time {cpu:.2f}"),
        ("cores busy, on average", f"{busy:.2f} while measuring, {reading:.2f} while reading"),
        ("one worker, one scan", f"reading {one[0]}, measuring {one[1]}"),
        ("**peak memory**", f"**{peak / MIB:.0f} MiB**"),
        (
            f"all {every['n_quantities']:.0f} quantities, one scan: dead Li, dendrites too",
            f"{every['wall_s']:.1f} s, {every['cpu_s']:.1f} CPU s, "
            f"{n_voxels / every['wall_s'] / 1e6:.0f} Mvoxel/s, "
            f"peak {every['peak_bytes'] / MIB:.0f} MiB",
        ),
    ]
    return table(("the series", ""), rows)


def _notes(share: float, peak: float) -> list[str]:
    fits, fast = (
        "reached" if good else "NOT reached" for good in (peak < MOST_BYTES, share >= LEAST_SHARE)
    )
    return [
        f"Asked for: a peak below {MOST_BYTES / MIB:.0f} MiB: **{fits}**. It is `VmHWM` of a "
        "process that does nothing but measure.",
        f"Asked for: at least {LEAST_SHARE} of the plain read rate: **{fast}**. Both rates suffer "
        "from other work on the machine; CPU time less so.",
        "The labels are the phantom's own, of a cell drawn once and laid side by side as mirror "
        "images: they compress well, so reading is as fast as it gets. Rough labels are slower to "
        "read, and have more changes to count.",
        f"Plain reading asks for {WORKERS} blocks at a time. Measuring asks for one, ahead of the "
        "one that is counted: Zarr fetches and joins chunks in one thread, whoever asks, so a "
        "second reader is hardly faster. Most of reading is work of the "
        "interpreter, which its lock keeps to one thread; so are the plane before the pass and the "
        "numbers after it.",
        "Each voxel is read once. Before that nine cuts show where the plane between the "
        "electrodes lies; a chunk is 16 slices deep, so they cost as much as 144 slices.",
        "Pieces of dead Li and dendrites are joined over the borders of blocks, skeletons thinned "
        "whole: they are not additive and not among the quantities of the share.",
        "The profile is of one worker, by a deterministic profiler that adds to what makes many "
        "calls; reading hands work to threads of Zarr, which count as reading. 'All else' is what "
        "no line above names.",
    ]


def _of(took: Mapping[str, list[dict[str, float]]], what: str, key: str) -> float:
    return sum(t[key] for t in took[what])


def _child(what: str, path: Path, *, workers: int = WORKERS) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.measure_child", what, str(path), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _profile(path: Path) -> str:
    """Return the CPU time of each part of one pass, by one worker."""
    labels, settings = Scan.open(path, unfinished=True).labels(LABELS), settings_of("additive", 1)
    measure_scan(labels, settings)  # imports and the disk's cache
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    measure_scan(labels, settings)
    profile.disable()
    stats = pstats.Stats(profile)
    total, n = stats.total_tt, labels.grid.box.n_voxels
    seconds = {part: sum(_seconds(stats, *f) for f in found) for part, found in PARTS.items()}
    seconds["all else"] = total - sum(seconds.values())
    rows = [(name, f"{s / n * 1e9:.3f}", f"{100 * s / total:.0f} %") for name, s in seconds.items()]
    return f"Where the CPU time of a pass goes, scan `{path.stem}`:\n\n" + table(
        ("", "CPU s per gigavoxel", "share"), rows
    )


def _seconds(stats: pstats.Stats, file: str, name: str) -> float:
    """Return the time inside a function, with all that it calls, less reading for the plane."""
    found = [
        (seconds, callers)
        for (path, _, function), (*_, seconds, callers) in stats.stats.items()
        if function == name and Path(path).name == file
    ]
    if not found:
        raise RuntimeError(f"the profile knows no '{name}' of {file}; mend PARTS")
    of_plane = sum(
        timing[3]
        for _, callers in found
        for (*_, by), timing in callers.items()
        if by == "_middles"
    )
    return sum(seconds for seconds, _ in found) - of_plane
