"""The comparison of systems: its tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tomolith.measure.rows import TRUTH, CompareRow
from tomolith.report.compared import Comparison, SystemFiles, read_comparison
from tomolith.report.tabulate import Table, TableRow
from tomolith.report.words import DASH, duration

_SCORES = (
    ("iou", "pooled", "mIoU, pooled"),
    ("iou", "mean_over_patches", "mIoU, over patches"),
    ("dice", "pooled", "mDSC, pooled"),
    ("dice", "mean_over_patches", "mDSC, over patches"),
    ("fw_iou", "pooled", "fIoU, pooled"),
    ("pixel_accuracy", "pooled", "pixel accuracy"),
    ("ece", "pooled", "calibration error"),
)


def write_figures(root: Path) -> tuple[Path, ...]:
    """Draw the figures of a study's comparison into ``measurements/compare/``.

    Raises
    ------
    ReadError
        The table is damaged.
    DiskError
        A file cannot be written.
    """
    from tomolith.report.comparison_figures import draw  # matplotlib is slow to import
    from tomolith.store.atomic import write_bytes

    comparison = read_comparison(root)
    if comparison is None:
        return ()
    folder = root / "measurements" / "compare"
    drawn = [(folder / figure.file_name, figure.png) for figure in draw(root, comparison)]
    for path, png in drawn:
        write_bytes(path, png)
    kept = {path for path, _ in drawn}
    for old in set(folder.glob("*.png")) - kept:  # of an earlier comparison
        old.unlink()
    return tuple(path for path, _ in drawn)


def tables(comparison: Comparison) -> list[Table]:
    """Return the tables of the page: scores, classes, images, amounts, cost.

    Examples
    --------
    >>> row = CompareRow("u", "all", "iou", "pooled", "", 0.9512, 0.0031, "", 3.0)
    >>> system = SystemFiles("u", "unet", (("u-s0", 0), ("u-s1", 1), ("u-s2", 2)))
    >>> scores, *_ = tables(Comparison((row,), (system,), (), "truth", "a machine"))
    >>> scores.columns[:2], scores.rows[0].cells[:2]
    (('seeds', 'mIoU, pooled'), ('3', '0.951 ± 0.003'))
    """
    found = [
        _scores_table(comparison),
        *(_class_table(comparison, metric) for metric in ("iou", "f1")),
        _images_table(comparison),
        _amount_table(comparison),
        _cost_table(comparison),
    ]
    return [table for table in found if table.columns and table.rows]


def plus_minus(row: CompareRow | None, digits: int = 3) -> str:
    """Return a number with its standard deviation over the seeds, where there is one.

    Examples
    --------
    >>> plus_minus(CompareRow("u", "all", "iou", "pooled", "", 0.9512, 0.0031, "", 3.0))
    '0.951 ± 0.003'
    >>> plus_minus(None)
    '–'
    """
    if row is None or row.value is None:
        return DASH
    spread = "" if row.sd is None else f" ± {row.sd:.{digits}f}"
    return f"{row.value:.{digits}f}{spread}"


def _scores_table(c: Comparison) -> Table:
    def cells(system: SystemFiles) -> Iterator[str]:
        yield system.seeds_text
        for metric, convention, _ in shown:
            yield plus_minus(c.row(system.name, metric, convention=convention))

    trust = any(row.quantity == "ece" for row in c.rows)
    shown = [score for score in _SCORES if score[0] != "ece" or trust]
    rows = tuple(TableRow(s.name, "", tuple(cells(s))) for s in c.ranked)
    columns = ("seeds", *(title for *_, title in shown))
    return Table("Scores on the test slices, best mean IoU first", columns, rows)


def _class_table(c: Comparison, metric: str) -> Table:
    rows = tuple(
        TableRow(
            s.name,
            "",
            tuple(
                plus_minus(c.row(s.name, metric, convention="pooled", class_name=name))
                for name in c.classes
            ),
        )
        for s in c.ranked
    )
    title = {"iou": "IoU", "f1": "F1"}[metric]
    return Table(f"{title} of each class, pooled over all pixels", c.classes, rows)


def _images_table(c: Comparison) -> Table:
    rows = []
    for s in c.ranked:
        cells = []
        for group in ("best", "lowest"):
            mean = c.row(s.name, f"accuracy_{group}_images")
            spread = c.row(s.name, f"accuracy_{group}_images_sd")
            text = DASH if mean is None or mean.value is None else f"{mean.value:.4f}"
            if spread is not None and spread.value is not None:
                text += f" ± {spread.value:.4f}"
            cells.append(text)
        rows.append(TableRow(s.name, "", tuple(cells)))
    first = next((r for r in c.rows if r.quantity == "n_best_images" and r.value), None)
    n = int(first.value or 0) if first else 0
    images = "image" if n == 1 else f"{n} images"
    columns = (f"best {images}", f"lowest {images}")
    title = "Pixel accuracy on a system's own best and lowest test images (± over the images)"
    return Table(title, columns, tuple(rows))


def _amount_table(c: Comparison) -> Table:
    has_volume = any(r.quantity == "occupied_volume" for r in c.rows)
    quantity, unit = ("occupied_volume", "µm³") if has_volume else ("occupied_voxels", "voxels")

    def cell(system: str, name: str) -> str:
        amount = c.row(system, quantity, class_name=name)
        share = c.row(system, "occupied_share", class_name=name)
        if amount is None or amount.value is None:
            return DASH
        text = f"{amount.value:,.0f}"
        return text if share is None else f"{text} ({plus_minus(share, 2)} %)"

    names = [TRUTH, *(s.name for s in c.ranked)]
    rows = tuple(TableRow(n, "", tuple(cell(n, name) for name in c.classes)) for n in names)
    title = f"Amount of each class on the test slices, in {unit} and as a share"
    return Table(title, c.classes, rows)


def _cost_table(c: Comparison) -> Table:
    on_a_gpu = any(row.quantity == "peak_device_memory" for row in c.rows)

    def cells(s: SystemFiles) -> Iterator[str]:
        batch = c.row(s.name, "best_batch")
        yield _plain(c.row(s.name, "latency"), "{:.2f}")
        yield _plain(c.row(s.name, "throughput_batch_1"), "{:.2f}")
        best = _plain(c.row(s.name, "throughput_best_batch"), "{:.2f}")
        yield best if batch is None else f"{best} ({batch.value:.0f})"
        yield _plain(c.row(s.name, "peak_memory"), "{:,.0f}", 2**-20)
        if on_a_gpu:
            yield _plain(c.row(s.name, "peak_device_memory"), "{:,.0f}", 2**-20)
        yield _plain(c.row(s.name, "parameters"), "{:,.3f}", 1e-6)
        yield _plain(c.row(s.name, "flops"), "{:,.2f}", 1e-9)
        training = c.row(s.name, "training_time")
        yield duration(training.value if training else None)

    columns = (
        "latency of a patch (ms)",
        "Mpx/s, batch 1",
        "Mpx/s, best batch (its size)",
        "peak memory (MiB)",
        *(["peak GPU memory (MiB)"] if on_a_gpu else []),
        "parameters (million)",
        "GFLOP per patch",
        "training",
    )
    rows = tuple(TableRow(s.name, "", tuple(cells(s))) for s in c.ranked)
    return Table("Cost", columns, rows)


def _plain(row: CompareRow | None, form: str, factor: float = 1.0) -> str:
    return DASH if row is None or row.value is None else form.format(row.value * factor)


def weight_notes(comparison: Comparison) -> list[str]:
    """Return a sentence for each ensemble: how much each of its members weighs."""
    return [f"Weights of {s.name}: {t}." for s in comparison.ranked if (t := s.weights_text)]


def notes(comparison: Comparison) -> list[str]:
    """Return the sentences that stand below the tables."""
    systems: Sequence[SystemFiles] = comparison.systems
    sizes = sorted({s.patch_px for s in systems if s.patch_px})
    engines: dict[str, list[str]] = {}
    for s in systems:
        engines.setdefault(s.engine, []).append(s.name)
    found = [
        f"Latency: a patch of {' or '.join(f'{n} × {n}' for n in sizes)} pixels from main memory "
        "to labels in main memory, the median after a warm-up. Every system was measured in a "
        f"process of its own, one after the other in the same run, on: {comparison.machine}.",
        "Computed by: "
        + "; ".join(f"{engine} ({', '.join(names)})" for engine, names in engines.items())
        + ".",
        "Peak memory is that of the whole process at batch 1, its libraries included. A "
        "multiplication and an addition count as two FLOP.",
    ]
    found += weight_notes(comparison)
    if any(len(s.runs) == 1 and s.runs[0][1] is not None for s in systems):
        found.append(
            "Where there is one seed there is no spread: a difference to another system may be "
            "chance."
        )
    if any(len(s.runs) > 1 for s in systems):
        found.append("± is the standard deviation over the seeds of training.")
    return found
