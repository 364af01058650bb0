"""Latency, throughput and memory of each system, each measured in a process of its own.

A process of its own, because libraries keep memory and threads that another system would be
charged for; one after the other, in one go, so that all meet the same machine.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tomolith.config import progress, settings_hash
from tomolith.errors import ResourceError
from tomolith.label.splits import Split
from tomolith.learn.backends import usable_cores
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.cost import count_flops, count_parameters
from tomolith.learn.comparison.labellers import Labeller, NetworkLabeller, fit_classical
from tomolith.learn.comparison.material import Material
from tomolith.learn.comparison.memory import peak_bytes, reset_peak
from tomolith.learn.comparison.run import Run
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.optimise import has_depth
from tomolith.learn.settings import TrainSettings
from tomolith.store.atomic import write_text

WARM_UPS = 2
LEAST_CALLS = 3
_GAIN = 1.03  # larger batches are tried for as long as they give this much


@dataclass(frozen=True, slots=True)
class Timing:
    """What labelling patches costs one system.

    Of a 3-D network times and FLOPs are the share of one slice of its cube, which is as large as a
    patch of the others; memory is that of a whole cube, and batches of more are not tried.

    Parameters
    ----------
    system
        Its name.
    engine
        What computed.
    patch_px
        Side of the patches.
    latency_s
        Median time of a patch at batch 1, grey values in main memory to labels in main memory.
    best_batch, best_s
        The batch with the most pixels per second, and its median time for one patch.
    peak_bytes
        Peak memory of the process at batch 1, libraries included.
    device_bytes
        Peak memory on a CUDA device at batch 1; ``None`` without one.
    n_parameters, n_flops
        Of a network; FLOPs of one patch, a multiplication and an addition counting as two.
    """

    system: str
    engine: str
    patch_px: int
    latency_s: float
    best_batch: int
    best_s: float
    peak_bytes: int | None
    device_bytes: int | None = None
    n_parameters: int | None = None
    n_flops: int | None = None

    @property
    def mpx_per_s(self) -> float:
        """Megapixels per second at batch 1."""
        return self.patch_px**2 / self.latency_s / 1e6

    @property
    def best_mpx_per_s(self) -> float:
        """Megapixels per second at the best batch."""
        return self.patch_px**2 / self.best_s / 1e6


def machine() -> str:
    """Return the machine in words."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{_processor()}, {usable_cores()} cores, {device}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def time_systems(
    runs: Sequence[Run],
    material: Material,
    split: Split,
    *,
    root: Path,
    settings: CompareSettings,
    keys: Sequence[str],
) -> tuple[Timing, ...]:
    """Measure one run of each system; what was measured of the same runs before is kept.

    Parameters
    ----------
    runs
        One finished run of each system.
    material, split
        For what classical methods are fitted on anew.
    root
        The study.
    settings
        Of the comparison.
    keys
        Hash of each run.

    Raises
    ------
    ResourceError
        The process that measures a system failed.
    """
    path = root / ".tomolith" / "compare" / "timings.json"
    key = settings_hash(list(keys), settings.timing, settings.predict, machine())
    done, found = _read(path, key)
    # a classical method is fitted anew in its process, which so makes all rounds itself
    turns = [
        run for n in range(settings.timing.rounds) for run in runs if n == 0 or not run.is_classical
    ][done:]
    with progress("latency", total=len(turns)) as bar:
        for i, run in enumerate(turns, start=done + 1):
            timing = _in_child(run, material, split, root=root, settings=settings)
            found[run.system] = _better(found.get(run.system), timing)
            _keep(path, key, i, found)
            bar.advance(note=run.system)
    return tuple(found.values())


def _better(first: Timing | None, second: Timing) -> Timing:
    """Return the faster of two rounds, at batch 1 and at the best batch each."""
    if first is None:
        return second
    one, best = min(first, second, key=_latency), min(first, second, key=_best)
    return replace(one, best_batch=best.best_batch, best_s=best.best_s)


def _latency(timing: Timing) -> float:
    return timing.latency_s


def _best(timing: Timing) -> float:
    return timing.best_s


def _keep(path: Path, key: str, n_done: int, found: Mapping[str, Timing]) -> None:
    timings = [asdict(timing) for timing in found.values()]
    write_text(path, json.dumps({"key": key, "n_done": n_done, "timings": timings}, indent=1))


def _read(path: Path, key: str) -> tuple[int, dict[str, Timing]]:
    """Return how many turns were measured of the same runs, and the best of each system."""
    try:
        values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if values["key"] != key:
            return 0, {}
        return int(values["n_done"]), {row["system"]: Timing(**row) for row in values["timings"]}
    except (OSError, ValueError, KeyError, TypeError):
        return 0, {}


def job_of(
    run: Run, material: Material, split: Split, *, folder: Path, settings: CompareSettings
) -> dict[str, Any]:
    """Return what another process must know to measure a run, as plain values for JSON."""
    return {
        "system": run.system,
        "seed": run.seed,
        "train": run.train.model_dump(mode="json"),
        "folder": str(folder),
        "settings": settings.model_dump(mode="json", include=set(CompareSettings.model_fields)),
        "material": material.to_dict(),
        "split": split.to_dict(),
    }


def _in_child(
    run: Run, material: Material, split: Split, *, root: Path, settings: CompareSettings
) -> Timing:
    folder = root / "models" / run.name
    job = job_of(run, material, split, folder=folder, settings=settings)
    with tempfile.TemporaryDirectory() as made:
        asked, answer = Path(made) / "job.json", Path(made) / "timing.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-m", __name__, str(asked), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not answer.is_file():
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise ResourceError(
                f"the latency of '{run.system}' could not be measured: {said[-1]}",
                where=root,
                mend="run again; if it lacks memory, lower 'compare.timing.max_batch'",
            )
        return Timing(**json.loads(answer.read_text(encoding="utf-8")))


def measure(
    labeller: Labeller, settings: CompareSettings, *, system: str, image: np.ndarray
) -> Timing:
    """Measure a system in this process, on patches cut from ``image`` (y, x), normalised."""
    timing = settings.timing
    network, in_channels = None, 1
    if isinstance(labeller, NetworkLabeller):
        network, in_channels = labeller.network, labeller.bundle.in_channels
    patch_px = labeller.fit_px(timing.patch_px)
    n_slices = patch_px if has_depth(network) else 1
    max_batch = timing.max_batch if n_slices == 1 else 1
    n_flops = None
    if network is not None:
        n_flops = count_flops(network, patch_px, in_channels=in_channels) // n_slices
    reset_peak()
    latency_s = _median_s(labeller, 1, patch_px, image=image, seconds=timing.seconds) / n_slices
    process, device = peak_bytes()
    best_batch, best_s, batch = 1, latency_s, 2
    while batch <= max_batch:
        try:
            found = _median_s(labeller, batch, patch_px, image=image, seconds=timing.seconds)
        except torch.cuda.OutOfMemoryError:
            break
        if found / batch * _GAIN > best_s and batch > 4 * best_batch:
            break  # three doublings have brought little
        if found / batch < best_s:
            best_batch, best_s = batch, found / batch
        batch *= 2
    return Timing(
        system,
        labeller.engine,
        patch_px,
        latency_s,
        best_batch,
        best_s,
        process,
        device,
        None if network is None else count_parameters(network),
        n_flops,
    )


def _median_s(
    labeller: Labeller, batch: int, patch_px: int, *, image: np.ndarray, seconds: float
) -> float:
    label = labeller.for_patches(batch, patch_px)
    patches = cut_patches(image, batch, patch_px)
    return median_s(lambda: label(patches), seconds=seconds)


def median_s(call: Callable[[], object], *, seconds: float) -> float:
    """Return the median time of ``call``, after a warm-up, over about ``seconds``.

    Examples
    --------
    >>> median_s(lambda: None, seconds=0.01) < 0.01
    True
    """
    for _ in range(WARM_UPS):
        call()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < LEAST_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def cut_patches(image: np.ndarray, n: int, patch_px: int) -> np.ndarray:
    """Return ``n`` patches (n, patch_px, patch_px) of an image, mirrored where it is small.

    Examples
    --------
    >>> cut_patches(np.zeros((5, 7), np.float32), 3, 8).shape
    (3, 8, 8)
    """
    pads = [(0, max(0, patch_px - side)) for side in image.shape]
    image = np.pad(image, pads, mode="symmetric")
    room_y, room_x = (side - patch_px + 1 for side in image.shape)
    corners = [(37 * i % room_y, 53 * i % room_x) for i in range(n)]
    return np.stack([image[y : y + patch_px, x : x + patch_px] for y, x in corners])


def answer_job(asked: Path, answer: Path) -> None:
    """Measure what ``asked`` describes, and write the timing to ``answer``."""
    job = json.loads(asked.read_text(encoding="utf-8"))
    settings = CompareSettings.model_validate(job["settings"])
    material, split = Material.from_dict(job["material"]), Split.from_dict(job["split"])
    train = TrainSettings.model_validate(job["train"])
    method = next(s.component for s in settings.systems if s.name == job["system"])
    run = Run(job["system"], job["seed"], method, train)
    labeller: Labeller
    if run.is_classical:
        labeller = fit_classical(run, material, split)
    else:
        labeller = NetworkLabeller(ModelBundle.load(Path(job["folder"])), settings.predict)
    first = split.test[0]
    scan = material.scan(first.scan_id)
    box = material.boxes(split, "test")[first.scan_id][0]
    plane = next(iter(box.tiles((1, *box.shape_zyx[1:]))))
    normalisation = train.normalisation.normalisation()
    image = normalisation.apply(scan.image.read(plane), scan.stats, z_start=first.z_start)[0]
    image = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    timing: Timing | None = None
    for _ in range(settings.timing.rounds if run.is_classical else 1):
        timing = _better(timing, measure(labeller, settings, system=run.system, image=image))
    assert timing is not None
    write_text(answer, json.dumps(asdict(timing)))


if __name__ == "__main__":
    answer_job(Path(sys.argv[1]), Path(sys.argv[2]))
