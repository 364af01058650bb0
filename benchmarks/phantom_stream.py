"""A gigavoxel of phantom streamed to disk: memory, speed, and where the time goes."""

from __future__ import annotations

import cProfile
import pstats
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from benchmarks.common import Result, table, usable_cores
from tomolith.core import PRESETS, Box, Provenance
from tomolith.phantom import PHANTOM_PRESETS, Phantom, PhantomSettings, label_values
from tomolith.store.scan import Scan

SCAN_ID, PULSE = "cell0-t12", 12
SHAPE_ZYX, QUICK_SHAPE_ZYX = (1024, 698, 1500), (40, 300, 300)
MOST_BYTES = 2 * 2**30
MIB = 2**20
PROFILED_ZYX = (128, 192, 256)  # a tile, as boxes are made

# What the time of a block is spent on: the functions (file, name, and what calls it if that
# matters) that add up to it. None of them calls another one of them.
PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "layers: heights over the plane": (("layers.py", "plane"), ("layers.py", "boundaries")),
        "layers: into voxels": (("drawing.py", "layer_materials"), ("drawing.py", "paint")),
        "dendrites": (("dendrites.py", "distance_um"),),
        "specks in the polymer": (("cell.py", "_speck_frac"),),
        "unevenness of the material": (("noise.py", "fractal_noise", "_drawn_still"),),
        "blur and fringes": (("scanner.py", "optics"),),
        "noise of the detector": (("scanner.py", "_noise"),),
        "drift and rings": (("scanner.py", "_drift"), ("scanner.py", "_rings")),
        "writing image and labels": (("phantom_stream.py", "_store"),),
    }
)


def run(*, quick: bool) -> Result:
    """Measure, and return the page."""
    settings = _settings(QUICK_SHAPE_ZYX if quick else SHAPE_ZYX)
    n_z, n_y, n_x = settings.shape_zyx
    n_voxels = n_z * n_y * n_x
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / f"{SCAN_ID}.zarr"
        described_s, written_s, peak_bytes = _in_child(path, settings)
        on_disk = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
        parts = _profile(settings, Path(made))
    total_s = described_s + written_s
    rows = [
        ("voxels", f"{n_z} × {n_y} × {n_x} = {n_voxels / 1e9:.3f} × 10⁹"),
        ("the cell described, its levels solved", f"{described_s:.0f} s"),
        ("image, labels and pyramids computed and written", f"{written_s:.0f} s"),
        ("speed, everything included", f"{n_voxels / total_s / 1e6:.2f} Mvoxel/s"),
        ("on disk", f"{on_disk / MIB:.0f} MiB"),
        ("**peak memory**", f"**{peak_bytes / MIB:.0f} MiB**"),
    ]
    reached = "reached" if peak_bytes < MOST_BYTES else "NOT reached"
    notes = [
        f"Asked for: a peak below {MOST_BYTES / MIB:.0f} MiB: **{reached}**. It is `VmHWM` of a "
        "process that does nothing but simulate.",
        "The profile is of one block in one thread, without the pyramid; the deterministic "
        "profiler adds to what makes many calls. 'All else' is what no line above names.",
    ]
    what = (
        f"One simulated scan (`{SCAN_ID}`, preset `operando-paper` with fewer slices and a "
        "narrower field) is computed from its description and streamed to OME-Zarr: image, exact "
        f"labels and hand labels, by a process of its own with {usable_cores()} cores."
    )
    block = " × ".join(map(str, _profiled_box(settings).shape_zyx))
    return Result(
        "A gigavoxel of phantom",
        what,
        [
            table(("", ""), rows),
            f"Where the time goes, in a block of {block} voxels of the plating side:\n\n"
            + table(("", "s", "share"), parts),
        ],
        notes,
    )


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


def _in_child(path: Path, settings: PhantomSettings) -> tuple[float, float, int]:
    command = [sys.executable, "-m", "benchmarks.phantom_child", str(path)]
    done = subprocess.run(
        [*command, settings.model_dump_json()], stdout=subprocess.PIPE, text=True, check=True
    )
    described_s, written_s, peak_bytes = done.stdout.split()
    return float(described_s), float(written_s), int(peak_bytes)


def _profiled_box(settings: PhantomSettings) -> Box:
    """Return a block in the middle of z and x, at the end of y where the dendrites are."""
    start, stop = [], []
    for axis, (n, wanted) in enumerate(zip(settings.shape_zyx, PROFILED_ZYX, strict=True)):
        length = min(n, wanted)
        first = n - length if axis == 1 else (n - length) // 2
        start.append(first)
        stop.append(first + length)
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _profile(settings: PhantomSettings, folder: Path) -> list[tuple[str, str, str]]:
    """Return the seconds and the share of each part of the work on one block."""
    phantom, box = Phantom.build(settings, SCAN_ID), _profiled_box(settings)
    scan = Scan.create(
        folder / "profiled.zarr", phantom.grid, settings.dtype, provenance=Provenance("benchmark")
    )
    profile = cProfile.Profile()
    profile.enable()
    image, material = phantom.render(box)
    _store(scan, box, image, material)
    profile.disable()
    stats = pstats.Stats(profile)
    total = stats.total_tt
    seconds = {part: sum(_seconds(stats, *f) for f in found) for part, found in PARTS.items()}
    seconds["all else"] = total - sum(seconds.values())
    return [(name, f"{s:.2f}", f"{100 * s / total:.0f} %") for name, s in seconds.items()]


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


def _store(scan: Scan, box: Box, image, material) -> None:
    schema = PRESETS["li-operando"]
    truth = scan.create_labels("truth", schema, provenance=Provenance("benchmark"))
    scan.image.array[box.slices] = image
    truth.array[box.slices] = label_values(schema)[material]
