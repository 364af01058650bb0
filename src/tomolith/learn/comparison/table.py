"""The table of a comparison: every number of every system, over its seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from tomolith.core import Grid
from tomolith.learn.comparison.result import ImageScore, SystemResult
from tomolith.learn.comparison.timing import Timing
from tomolith.measure.confusion import ConfusionRecord
from tomolith.measure.rows import TRUTH, CompareRow

N_IMAGES = 5

Name = tuple[str, str, str, str]  # quantity, convention, class, unit


def comparison_rows(
    results: Sequence[SystemResult], timings: Sequence[Timing], *, grid: Grid
) -> tuple[CompareRow, ...]:
    """Return one row per seed, and one of ``all`` seeds with mean and standard deviation.

    Parameters
    ----------
    results
        All runs.
    timings
        One for each system.
    grid
        Of any scan of the comparison, for the volume of a voxel.

    Examples
    --------
    >>> results = [
    ...     SystemResult(f"unet-s{seed}", "unet", "unet", seed, key="00ff", seconds=seconds)
    ...     for seed, seconds in enumerate((50.0, 70.0))
    ... ]
    >>> timing = Timing("unet", "torch", 128, 0.004, 8, 0.003, 10**9)
    >>> rows = comparison_rows(results, [timing], grid=Grid((9, 128, 128), None))
    >>> [(row.seed, row.value) for row in rows if row.quantity == "training_time"]
    [('0', 50.0), ('1', 70.0), ('all', 60.0)]
    """
    rows: list[CompareRow] = []
    for system in dict.fromkeys(result.system for result in results):
        chosen = [result for result in results if result.system == system]
        rows += _system_rows(system, chosen, grid)
        rows += [
            CompareRow(system, "all", *name[:3], value, None, name[3], 1.0)
            for timing in timings
            if timing.system == system
            for name, value in _timing_values(timing)
        ]
    confusion = results[0].confusion
    if confusion is not None:
        rows += [
            CompareRow(TRUTH, "all", *name[:3], value, None, name[3], 1.0)
            for name, value in _occupied(_true_counts(confusion), confusion.classes, grid)
        ]
    return tuple(rows)


def _system_rows(system: str, results: Sequence[SystemResult], grid: Grid) -> Iterator[CompareRow]:
    by_seed = [dict(_values(result, grid)) for result in results]
    for result, values in zip(results, by_seed, strict=True):
        if result.seed is not None:
            for name, value in values.items():
                yield CompareRow(system, str(result.seed), *name[:3], value, None, name[3], 1.0)
    for name in dict.fromkeys(name for values in by_seed for name in values):
        found = [v for values in by_seed if (v := values.get(name)) is not None]
        mean = statistics.fmean(found) if found else None
        sd = statistics.stdev(found) if len(found) > 1 else None
        yield CompareRow(system, "all", *name[:3], mean, sd, name[3], float(len(found)))


def _values(result: SystemResult, grid: Grid) -> Iterator[tuple[Name, float | None]]:
    for row in result.scores:
        if row.scan == "all":
            yield (row.metric, row.convention, row.class_name, ""), row.value
    yield from _image_values(result.images)
    if result.confusion is not None:
        predicted = [sum(column) for column in zip(*result.confusion.counts, strict=True)]
        yield from _occupied(predicted, result.confusion.classes, grid)
    yield ("training_time", "", "", "s"), result.seconds
    if result.n_epochs is not None:
        yield ("epochs", "", "", ""), float(result.n_epochs)


def _image_values(images: Sequence[ImageScore]) -> Iterator[tuple[Name, float | None]]:
    """Yield the mean and spread of the accuracy on the best and on the lowest test images.

    With fewer than ten images the two groups are halves, so that they never overlap; of a single
    image both are that image.
    """
    ordered = sorted(image.accuracy for image in images)
    n = max(1, min(N_IMAGES, len(ordered) // 2))
    for group, found in (("best", ordered[-n:]), ("lowest", ordered[:n])):
        if found:
            sd = statistics.stdev(found) if len(found) > 1 else None
            yield (f"accuracy_{group}_images", "", "", ""), statistics.fmean(found)
            yield (f"accuracy_{group}_images_sd", "", "", ""), sd
            yield (f"n_{group}_images", "", "", ""), float(len(found))


def _true_counts(confusion: ConfusionRecord) -> list[int]:
    missed = confusion.n_prediction_unlabelled
    return [sum(row) + n for row, n in zip(confusion.counts, missed, strict=True)]


def _occupied(
    counts: Sequence[int], classes: Sequence[str], grid: Grid
) -> Iterator[tuple[Name, float | None]]:
    """Yield voxels, volume and share of each class, where the truth is known."""
    total = sum(counts)
    physical = grid.is_physical and not grid.sections
    for name, n in zip(classes, counts, strict=True):
        yield ("occupied_voxels", "", name, "voxels"), float(n)
        if physical:
            yield ("occupied_volume", "", name, "um3"), n * math.prod(grid.voxel_size_um or ())
        yield ("occupied_share", "", name, "percent"), 100 * n / total if total else None


def _timing_values(timing: Timing) -> Iterator[tuple[Name, float]]:
    yield ("latency", "", "", "ms"), 1e3 * timing.latency_s
    yield ("throughput_batch_1", "", "", "Mpx/s"), timing.mpx_per_s
    yield ("throughput_best_batch", "", "", "Mpx/s"), timing.best_mpx_per_s
    yield ("best_batch", "", "", ""), float(timing.best_batch)
    for name, value, unit in (
        ("peak_memory", timing.peak_bytes, "bytes"),
        ("peak_device_memory", timing.device_bytes, "bytes"),
        ("parameters", timing.n_parameters, ""),
        ("flops", timing.n_flops, ""),
    ):
        if value is not None:
            yield (name, "", "", unit), float(value)
