"""Figures of a comparison, as PNG bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from tomolith.core import Box, ClassSchema
from tomolith.errors import TomolithError
from tomolith.measure.rows import TRUTH
from tomolith.report.compared import Comparison
from tomolith.report.dot_names import Dot, name_dots
from tomolith.report.figures import to_png
from tomolith.report.previews import overlay, window
from tomolith.report.study_files import read_log
from tomolith.store.scan import Scan

_INK = "#222222"
_FEW = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
_STYLES = ("-", "--", "-.", ":")  # where systems are many, neighbouring colours are alike
_LEAST_SPAN = 0.05  # of mean IoU
_PANEL_PX = 360
_COLUMNS = 5


@dataclass(frozen=True)
class Drawn:
    """One figure: its file, its pixels, and what it shows in words."""

    file_name: str
    png: bytes
    title: str
    alt: str


def draw(root: Path, comparison: Comparison) -> list[Drawn]:
    """Return every figure that the files of the study allow."""
    colours = _colours(comparison)
    found = [
        Drawn(
            "comparison-scores.png",
            scores_png(comparison, colours),
            "Mean IoU and mean Dice on the test slices",
            "Mean IoU and Dice of every system, pooled and over patches",
        ),
        Drawn(
            "comparison-classes.png",
            classes_png(comparison),
            "IoU of each class, pooled over all pixels",
            "Heat map of the IoU of each class by system",
        ),
        Drawn(
            "comparison-amounts.png",
            amounts_png(comparison, colours),
            "Share of each class on the test slices; the line is the truth",
            "Share of each class as each system has it, and the true share",
        ),
        Drawn(
            "comparison-speed.png",
            speed_png(comparison, colours),
            "Mean IoU against latency; the area of a dot grows with the number of parameters",
            "Mean IoU of every system against its latency",
        ),
    ]
    trust = reliability_png(comparison, colours)
    if trust is not None:
        title = "Reliability: how often a class is right that was given with some probability"
        alt = "Share of right pixels against confidence, one line per system"
        found.append(Drawn("comparison-reliability.png", trust, title, alt))
    curves = curves_png(root, comparison, colours)
    if curves is not None:
        title = (
            "Mean IoU on the validation slices, and loss, during training; one line per seed, a "
            "dot where the IoU is best: these weights are kept"
        )
        found.append(
            Drawn("comparison-training.png", curves, title, "Training curves of all networks")
        )
    return [*found, *_samples(root, comparison)]


def _colours(comparison: Comparison) -> dict[str, str]:
    many = matplotlib.colormaps["turbo"]
    n = len(comparison.systems)
    return {
        s.name: _FEW[i]
        if n <= len(_FEW)
        else matplotlib.colors.to_hex(many(0.05 + 0.9 * i / (n - 1)))
        for i, s in enumerate(comparison.systems)
    }


def scores_png(comparison: Comparison, colours: dict[str, str]) -> bytes:
    """Return mean IoU and mean Dice of each system, with the spread over the seeds."""
    systems = comparison.ranked[::-1]  # drawn upwards: the best on top
    figure = Figure(figsize=(8.4, 1.3 + 0.34 * len(systems)), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, metric, title in zip(axes, ("iou", "dice"), ("Mean IoU", "Mean Dice"), strict=True):
        lowest = 1.0
        for y, system in enumerate(systems):
            for convention, shift, face in (
                ("pooled", 0.12, colours[system.name]),
                ("mean_over_patches", -0.12, "white"),
            ):
                row = comparison.row(system.name, metric, convention=convention)
                if row is None or row.value is None:
                    continue
                ax.errorbar(
                    row.value,
                    y + shift,
                    xerr=row.sd,
                    fmt="o",
                    ms=6,
                    mfc=face,
                    color=colours[system.name],
                    capsize=2.5,
                )
                lowest = min(lowest, row.value - (row.sd or 0))
        ax.set(title=title, xlim=(max(0.0, lowest - 0.06), 1.0))
        _plain(ax, "x")
    axes[0].set_yticks(range(len(systems)), [s.name for s in systems])
    axes[0].set_ylim(-0.6, len(systems) - 0.4)
    figure.supxlabel("score (filled: pooled over all pixels; hollow: mean over patches)", size=9)
    return to_png(figure)


def reliability_png(comparison: Comparison, colours: dict[str, str]) -> bytes | None:
    """Return accuracy against confidence of every system that has probabilities, or ``None``.

    All seeds of a system count together; bins with less than one pixel in ten thousand are left
    out, since their accuracy is chance.
    """
    known = [s for s in comparison.ranked if s.reliability is not None]
    if not known:
        return None
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="ideal")
    for system in known:
        record = system.reliability
        assert record is not None
        n = np.array(record.n_pixels, np.float64)
        kept = n > 1e-4 * n.sum()
        confidence = np.array(record.confidence_sum)[kept] / n[kept] / 255
        accuracy = np.array(record.n_right)[kept] / n[kept]
        label = f"{system.name} ({record.error:.3f})"
        colour = colours[system.name]
        axes.plot(confidence, accuracy, color=colour, marker="o", markersize=3.5, label=label)
    axes.set(
        xlabel="confidence (probability of the class given)",
        ylabel="share that is right",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    _plain(axes, "both")
    figure.legend(
        frameon=False, title="calibration error", loc="outside right upper", alignment="left"
    )
    return to_png(figure)


def classes_png(comparison: Comparison) -> bytes:
    """Return the IoU of each class as a heat map: systems down, classes across."""
    systems, classes = comparison.ranked, comparison.classes
    values = np.full((len(systems), len(classes)), np.nan)
    for i, system in enumerate(systems):
        for j, name in enumerate(classes):
            row = comparison.row(system.name, "iou", convention="pooled", class_name=name)
            if row is not None and row.value is not None:
                values[i, j] = row.value
    size = (2.6 + 1.05 * len(classes), 1.1 + 0.42 * len(systems))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = "white" if value > 0.55 else _INK
        text = "–" if math.isnan(value) else f"{value:.3f}"
        axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, rotation=25 if len(classes) > 3 else 0)
    axes.set_yticks(range(len(systems)), [s.name for s in systems])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, label="IoU (0 to 1)")
    bar.outline.set_visible(False)
    return to_png(figure)


def amounts_png(comparison: Comparison, colours: dict[str, str]) -> bytes:
    """Return the share of each class as each system has it, a panel for each class."""
    systems, classes = comparison.ranked[::-1], comparison.classes
    n_columns = min(3, len(classes))
    n_rows = -(-len(classes) // n_columns)
    size = (1.4 + 2.6 * n_columns, (0.9 + 0.26 * len(systems)) * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for ax, name in zip(panels, classes, strict=False):
        true = comparison.row(TRUTH, "occupied_share", class_name=name)
        if true is not None and true.value is not None:
            ax.axvline(true.value, color=_INK, linewidth=1.2)
        for y, system in enumerate(systems):
            row = comparison.row(system.name, "occupied_share", class_name=name)
            if row is not None and row.value is not None:
                colour = colours[system.name]
                ax.errorbar(row.value, y, xerr=row.sd, fmt="o", ms=5.5, color=colour, capsize=2.5)
        ax.set_title(name, fontsize=10)
        ax.set_yticks(range(len(systems)), [s.name for s in systems])
        ax.set_ylim(-0.6, len(systems) - 0.4)
        ax.margins(x=0.15)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        _plain(ax, "x")
    for ax in panels[len(classes) :]:
        ax.set_axis_off()
    figure.supxlabel("share of the labelled voxels (%)", size=9)
    return to_png(figure)


def speed_png(comparison: Comparison, colours: dict[str, str]) -> bytes:
    """Return mean IoU against the latency of a patch."""
    figure = Figure(figsize=(6.8, 4.0), layout="constrained")
    axes = figure.subplots()
    dots = []
    for system in comparison.systems:
        latency = comparison.row(system.name, "latency")
        score = comparison.row(system.name, "iou", convention="pooled")
        if not latency or not score or latency.value is None or score.value is None:
            continue
        size = comparison.row(system.name, "parameters")
        area = 30 + 60 * math.sqrt((size.value or 0) / 1e6) if size else 30
        colour = colours[system.name]
        axes.scatter(latency.value, score.value, s=area, color=colour, alpha=0.85, lw=0)
        axes.errorbar(latency.value, score.value, yerr=score.sd, color=colour, capsize=2.5)
        dots.append(Dot(system.name, latency.value, score.value, area))
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)
    axes.margins(x=0.25, y=0.15)
    axes.set(xlabel="latency of one patch (ms)", ylabel="mean IoU, pooled")
    _plain(axes, "both")
    name_dots(figure, axes, dots)
    return to_png(figure)


def curves_png(root: Path, comparison: Comparison, colours: dict[str, str]) -> bytes | None:
    """Return the training curves of all networks in one figure; ``None`` where there is none.

    Above the mean IoU on the validation slices, below the training loss. A dot marks the best
    epoch, whose weights are kept. The axis of the IoU shows the later half of each curve whole; of
    the first epochs what fits. It never spans less than 0.05: a rise of some thousandths is to look
    like one.
    """
    figure = Figure(figsize=(7.6, 5.8), layout="constrained")
    iou, loss = figure.subplots(2, sharex=True)
    late: list[float] = []
    for i, system in enumerate(comparison.systems):
        colour, style = colours[system.name], _STYLES[i % len(_STYLES)]
        label: str | None = system.name
        for name, _ in system.runs:
            log = read_log(root / "models" / name / "log.csv")
            curve = _points(log, "validation_iou")
            if curve:
                x, y = zip(*curve, strict=True)
                iou.plot(x, y, style, color=colour, label=label, lw=1.4, alpha=0.9)
                iou.plot(*max(curve, key=lambda point: point[1]), "o", color=colour, ms=4)
                late += y[len(y) // 2 :]
                label = None
            if losses := _points(log, "train_loss"):
                loss.plot(*zip(*losses, strict=True), style, color=colour, lw=1.4, alpha=0.9)
    if not late:
        return None
    iou.set(ylabel="mean IoU, validation slices", ylim=_window(late))
    loss.set(xlabel="epoch", ylabel="training loss, each of its own kind", yscale="log")
    _plain_ticks(loss.yaxis)
    loss.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, fontsize=9, loc="outside right upper")
    for axes in (iou, loss):
        _plain(axes, "both")
    return to_png(figure)


def _window(scores: Sequence[float]) -> tuple[float, float]:
    """Return the limits of an axis that shows ``scores``, with some room.

    Examples
    --------
    >>> [round(limit, 4) for limit in _window([0.776, 0.777])]
    [0.722, 0.782]
    """
    high = max(scores)
    low = min(min(scores), high - _LEAST_SPAN)
    room = 0.1 * (high - low)
    return max(0.0, low - room), min(1.0, high + room)


def _points(log: Mapping[str, Sequence[float | None]], name: str) -> list[tuple[float, float]]:
    """Return epoch and value of each epoch that has one."""
    pairs = zip(log.get("epoch", ()), log.get(name, ()), strict=False)
    return [(x, y) for x, y in pairs if x is not None and y is not None and math.isfinite(y)]


def _plain_ticks(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade of a logarithmic axis, without powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _plain(axes: Axes, grid: str) -> None:
    axes.grid(color="#dddddd", linewidth=0.7, axis=grid)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _samples(root: Path, comparison: Comparison) -> Iterator[Drawn]:
    for scan_id, z in comparison.samples:
        try:
            scan = Scan.open(root / "scans" / f"{scan_id}.zarr")
            png = sample_png(scan, z, comparison)
        except TomolithError:
            continue
        title = f"{scan_id}, slice {z}, held out for the test"
        alt = f"Slice {z} of {scan_id}: image, truth, and the labels of every system"
        yield Drawn(f"comparison-{scan_id}-{z}.png", png, title, alt)


def sample_png(scan: Scan, z: int, comparison: Comparison) -> bytes:
    """Return one slice: the image, the truth, and the labels of each system's first run.

    Raises
    ------
    ReadError
        A label map is not there.
    """
    _, height, width = scan.grid.shape_zyx
    box = Box((z, 0, 0), (z + 1, height, width))
    step = max(1, -(-max(height, width) // _PANEL_PX))
    grey = window(scan, z, scan.image.read(box)[0, ::step, ::step])
    maps = {"Truth": comparison.truth}
    maps |= {s.name: f"compare-{s.runs[0][0]}" for s in comparison.systems if s.runs}
    pictures = {"Image": np.repeat(grey[..., None], 3, axis=2)}
    schema = scan.labels(comparison.truth).schema
    for title, name in maps.items():
        values = scan.labels(name).read(box)[0, ::step, ::step]
        pictures[title] = overlay(grey, values, schema, 0.65)
    return _mosaic(pictures, schema, comparison.classes)


def _mosaic(
    pictures: dict[str, npt.NDArray[np.uint8]], schema: ClassSchema, classes: tuple[str, ...]
) -> bytes:
    height, width = next(iter(pictures.values())).shape[:2]
    n_rows = -(-len(pictures) // (_COLUMNS if width < 1.5 * height else 3))
    n_columns = -(-len(pictures) // n_rows)
    side = 9.4 / n_columns
    size = (9.4, (side * height / width + 0.24) * n_rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in panels:
        ax.set_axis_off()
    for ax, (title, rgb) in zip(panels, pictures.items(), strict=False):
        ax.imshow(rgb, interpolation="nearest")
        ax.set_title(title, fontsize=9)
    shown = [c for c in schema.classes if c.role != "background" and c.name in classes]
    handles = [Patch(facecolor=c.colour, label=c.name) for c in shown]
    if handles:
        figure.legend(
            handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=9
        )
    return to_png(figure)
