"""A gigavoxel of phantom streamed to disk: memory, speed, and where the time goes."""

from __future__ import annotations

import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.common import Result, table, usable_cores
from tomolith.core import PRESETS, Box, Provenance
from tomolith.phantom import PHANTOM_PRESETS, Phantom, PhantomSettings, label_values
from tomolith.phantom.truth import TruthCounter
from tomolith.store.scan import Scan

SCAN_ID, PULSE = "cell0-t12", 12
SHAPE_ZYX, QUICK_SHAPE_ZYX = (1024, 698, 1500), (64, 300, 300)
PROFILED_ZX = (128, 512)  # of the block that is profiled, over the whole of y
RIVAL_SIDE, QUICK_RIVAL_SIDE = 256, 64
MOST_BYTES, LEAST_SPEED = 2 * 2**30, 5e6
MIB = 2**20

# What the time of a block is spent on: the functions (file, name, and what calls it if that
# matters) that add up to it. None of them calls another one of them.
PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "layers: heights over the plane": (("layers.py", "plane"), ("layers.py", "boundaries")),
        "layers: into voxels": (("drawing.py", "layer_materials"), ("drawing.py", "paint")),
        "dendrites": (("dendrites.py", "distance_um"),),
        "specks in the polymer": (("cell.py", "_speck_frac"),),
        "unevenness of the material": (("noise.py", "fractal_noise", "_still_picture"),),
        "blur and fringes": (("scanner.py", "_optics"),),
        "from samples to voxels": (("scanner.py", "_voxels"),),
        "noise of the detector": (("noise.py", "grain_noise"),),
        "drift and rings": (("scanner.py", "_drift"), ("scanner.py", "_rings")),
        "true numbers": (("truth.py", "add"),),
        "writing image and labels": (("phantom_stream.py", "_store"),),
        "pyramids": (("scan.py", "finish"), ("writer.py", "finish")),
    }
)


def run(*, quick: bool) -> Result:
    """Measure, and return the page."""
    settings = _settings(QUICK_SHAPE_ZYX if quick else SHAPE_ZYX)
    side = QUICK_RIVAL_SIDE if quick else RIVAL_SIDE
    n_z, n_y, n_x = settings.shape_zyx
    n_voxels = n_z * n_y * n_x
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / f"{SCAN_ID}.zarr"
        took = _child("phantom_child", str(path), settings.model_dump_json())
        on_disk = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        rival = _child("plain_child", made, str(side), settings.model_dump_json())
    speed = n_voxels / took["total_s"]
    rows = [
        ("voxels", f"{n_z} × {n_y} × {n_x} = {n_voxels / 1e9:.3f} × 10⁹"),
        ("time, of which to describe the cell", _two(took["total_s"], took["described_s"], "s")),
        ("**speed, everything included**", f"**{speed / 1e6:.2f} Mvoxel/s**"),
        ("cores busy, on average", f"{took['cpu_s'] / took['total_s']:.2f}"),
        ("on disk", f"{on_disk / MIB:.0f} MiB"),
        ("**peak memory**", f"**{took['peak_bytes'] / MIB:.0f} MiB**"),
    ]
    what = (
        f"One simulated scan (`{SCAN_ID}`, preset `operando-paper` with fewer slices and a "
        "narrower field) is computed from its description and streamed to OME-Zarr: image, exact "
        "labels and hand labels with their pyramids, and the true numbers, by a process of its own "
        f"with {usable_cores()} cores."
    )
    tables = [
        table(("", ""), rows),
        "Beside a short script with SciPy and scikit-image, which makes blobs, blurs them alike, "
        "holds all of them in memory and saves them uncompressed, in one thread:\n\n"
        + _beside(took, n_voxels, rival, side**3),
        _profile(settings),
    ]
    return Result("A gigavoxel of phantom", what, tables, _notes(took["peak_bytes"], speed))


def _notes(peak_bytes: float, speed: float) -> list[str]:
    fits = "reached" if peak_bytes < MOST_BYTES else "NOT reached"
    fast = "reached" if speed >= LEAST_SPEED else "NOT reached"
    return [
        f"Asked for: a peak below {MOST_BYTES / MIB:.0f} MiB: **{fits}**. It is `VmHWM` of a "
        "process that does nothing but simulate.",
        f"Asked for: {LEAST_SPEED / 1e6:.0f} Mvoxel/s on two cores: **{fast}**. Other work on the "
        "machine lowers the speed; the CPU time per voxel hardly depends on it.",
        "The profile is of one block in one thread; the deterministic profiler adds to what makes "
        "many calls. 'All else' is what no line above names.",
        "The script holds the whole volume, so its memory grows with it. Its blobs know no time, "
        "no Faraday's law and no blocks, and it makes neither drift nor rings nor pyramids.",
    ]


def _beside(
    took: Mapping[str, float], n_voxels: int, rival: Mapping[str, float], n_rival: int
) -> str:
    rows = []
    for name, of, n in (("tomolith", took, n_voxels), ("short script", rival, n_rival)):
        growth = (of["peak_bytes"] - of["bare_bytes"]) / n
        rows.append(
            (
                name,
                f"{n / 1e6:.1f}",
                f"{of['cpu_s'] / n * 1e6:.3f}",
                f"{n / of['total_s'] / 1e6:.2f}",
                f"{of['peak_bytes'] / MIB:.0f} MiB",
                f"{growth:.1f}",
            )
        )
    header = ("", "Mvoxel", "CPU s per Mvoxel", "Mvoxel/s", "peak memory", "bytes per voxel")
    return table(header, rows)


def _two(total: float, part: float, unit: str) -> str:
    return f"{total:.1f} {unit}, {part:.1f} {unit}"


def _settings(shape_zyx: tuple[int, int, int]) -> PhantomSettings:
    """Return the cell of the paper's size, cut down; as many pits and specks per area."""
    paper = PHANTOM_PRESETS["operando-paper"]
    n_z, n_y, n_x = paper["shape_zyx"]
    share = shape_zyx[0] * shape_zyx[2] / (n_z * n_x)
    counts = {name: round(share * paper[name]) for name in ("n_pits", "n_defects", "n_bubbles")}
    fits = {} if shape_zyx[1] == n_y else {"electrolyte_um": 140.0}
    return PhantomSettings(
        preset="operando-paper", shape_zyx=shape_zyx, scans=(PULSE,), **counts, **fits
    )


def _child(module: str, *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def _profile(settings: PhantomSettings) -> str:
    """Return the CPU time and the share of each part of the work on one block."""
    n_z, n_y, n_x = settings.shape_zyx
    shape_zyx = (min(n_z, PROFILED_ZX[0]), n_y, min(n_x, PROFILED_ZX[1]))
    phantom, box = Phantom.build(_settings(shape_zyx), SCAN_ID), Box.whole(shape_zyx)
    profile = cProfile.Profile(time.process_time)
    with tempfile.TemporaryDirectory() as folder:
        profile.enable()
        _one_block(phantom, box, Path(folder) / "profiled.zarr")
        profile.disable()
    stats = pstats.Stats(profile)
    total = stats.total_tt
    seconds = {part: sum(_seconds(stats, *f) for f in found) for part, found in PARTS.items()}
    seconds["all else"] = total - sum(seconds.values())
    rows = [
        (name, f"{s / box.n_voxels * 1e6:.4f}", f"{100 * s / total:.0f} %")
        for name, s in seconds.items()
    ]
    return (
        f"Where the CPU time goes, in a scan of {' × '.join(map(str, shape_zyx))} voxels:\n\n"
        + table(("", "CPU s per Mvoxel", "share"), rows)
    )


def _seconds(stats: pstats.Stats, file: str, name: str, caller: str | None = None) -> float:
    """Return the time inside a function, with all that it calls; by one caller, if named."""
    found = []
    for (path, _, function), (*_, seconds, callers) in stats.stats.items():
        if function != name or Path(path).name != file:
            continue
        if caller is None:
            found.append(seconds)
        found += [timing[3] for (*_, by), timing in callers.items() if by == caller]
    if not found:
        raise RuntimeError(f"the profile knows no '{name}' of {file}; mend PARTS")
    return sum(found)


def _one_block(phantom: Phantom, box: Box, path: Path) -> None:
    """Do on one block, in this thread, what a whole scan is made of."""
    schema, provenance = PRESETS["li-operando"], Provenance("benchmark")
    scan = Scan.create(path, phantom.grid, phantom.settings.dtype, provenance=provenance)
    truth = scan.create_labels("truth", schema, provenance=provenance)
    image, material = phantom.render(box)
    _store(scan, box, image)
    _store(truth, box, label_values(schema)[material])
    TruthCounter(phantom.cell, phantom.pulse).add(box, material)
    truth.finish()
    scan.finish()


def _store(target, box: Box, values) -> None:
    array = target.image.array if isinstance(target, Scan) else target.array
    array[box.slices] = values
