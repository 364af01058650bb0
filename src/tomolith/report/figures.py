"""Figures as PNG bytes, drawn with matplotlib's objects (no global state, no display)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from tomolith.measure.confusion import ConfusionRecord
from tomolith.measure.reliability import ReliabilityRecord

_BLUE, _ORANGE, _INK = "#0072B2", "#D55E00", "#222222"
_MIN_PX = 360
FIGURE_DPI = 170


def nice_length_um(width_um: float) -> float:
    """Return a round length between a tenth and a quarter of a width.

    Examples
    --------
    >>> nice_length_um(512 * 0.65), nice_length_um(1.1), nice_length_um(30000)
    (50.0, 0.2, 5000.0)
    """
    target = width_um / 4
    power = 10.0 ** math.floor(math.log10(target))
    step = max(s for s in (1, 2, 5) if s * power <= target * (1 + 1e-9))
    return float(f"{step * power:.6g}")


def length_text(length_um: float) -> str:
    """Return a length with the unit that suits it.

    Examples
    --------
    >>> length_text(50.0), length_text(0.2), length_text(5000.0)
    ('50 µm', '200 nm', '5 mm')
    """
    if length_um >= 1000:
        return f"{length_um / 1000:g} mm"
    return f"{length_um:g} µm" if length_um >= 1 else f"{length_um * 1000:g} nm"


def picture_png(rgb: npt.NDArray[np.uint8], pixel_um: float | None) -> bytes:
    """Return a picture (y, x, 3) as PNG, with a scale bar where the pixel size is known.

    Small pictures are enlarged by a whole factor, so that every voxel stays a square.
    """
    factor = max(1, math.ceil(_MIN_PX / max(rgb.shape[:2])))
    rgb = rgb.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = rgb.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(rgb, interpolation="none", aspect="auto")
    axes.set_axis_off()
    if pixel_um is not None:
        _scale_bar(axes, (height, width), pixel_um / factor)
    return to_png(figure, dpi=100)


def _scale_bar(axes: Axes, size: tuple[int, int], pixel_um: float) -> None:
    height, width = size
    length_um = nice_length_um(width * pixel_um)
    length, margin = length_um / pixel_um, 0.035 * min(width, height)
    thick = max(5.0, 0.02 * min(width, height))
    left, top = width - margin - length, height - margin - thick
    edge = [withStroke(linewidth=2.5, foreground="black")]
    bar = Rectangle((left, top), length, thick, facecolor="white", edgecolor="black", lw=0.6)
    axes.add_patch(bar)
    axes.text(
        left + length / 2,
        top - 0.4 * margin,
        length_text(length_um),
        color="white",
        ha="center",
        va="bottom",
        fontsize=max(9.0, width / 36),
        fontweight="bold",
        path_effects=edge,
    )


def curves_png(log: dict[str, list[float | None]]) -> bytes:
    """Return the training curves: loss and validation IoU against the epoch."""
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    loss, iou = figure.subplots(1, 2)
    epochs = log.get("epoch") or [float(i) for i in range(len(next(iter(log.values()))))]
    for name, label, colour in (
        ("train_loss", "training", _BLUE),
        ("validation_loss", "validation", _ORANGE),
    ):
        _line(loss, epochs, log.get(name), label=label, colour=colour)
    _line(iou, epochs, log.get("validation_iou"), label="validation", colour=_ORANGE)
    loss.set(title="Loss", xlabel="epoch", ylabel="loss (no unit)")
    loss.set_ylim(bottom=0)
    iou.set(title="Mean IoU", xlabel="epoch", ylabel="mean IoU (0 to 1)", ylim=(0, 1))
    for axes in (loss, iou):
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    return to_png(figure)


def _line(
    axes: Axes,
    epochs: Sequence[float | None],
    values: Sequence[float | None] | None,
    *,
    label: str,
    colour: str,
) -> None:
    points = [
        (x, y)
        for x, y in zip(epochs, values or (), strict=False)
        if x is not None and y is not None and math.isfinite(y)
    ]
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=colour, label=label, marker="o", markersize=3, linewidth=1.6)


def confusion_png(record: ConfusionRecord) -> bytes:
    """Return a confusion matrix as a heat map: share of each true class, and counts."""
    counts, names, columns = _present(record)
    n_rows, n_columns = counts.shape
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    figure = Figure(figsize=(2.2 + 0.95 * n_columns, 1.3 + 0.72 * n_rows), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i in range(n_rows):
        for j in range(n_columns):
            colour = "white" if share[i, j] > 0.55 else _INK
            text = f"{share[i, j]:.1%}\n{_short(int(counts[i, j]))}" if total[i] else "–"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(n_columns), columns, rotation=25 if n_columns > 3 else 0)
    axes.set_yticks(range(n_rows), names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.9)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return to_png(figure)


def reliability_png(record: ReliabilityRecord) -> bytes:
    """Return a reliability diagram: accuracy against confidence, and the pixels of each bin."""
    n = np.array(record.n_pixels, np.float64)
    edges = np.linspace(0, 1, len(n) + 1)
    filled = n > 0
    confidence = np.array(record.confidence_sum)[filled] / n[filled] / 255
    accuracy = np.array(record.n_right)[filled] / n[filled]
    figure = Figure(figsize=(4.2, 4.9), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="--", label="ideal")
    upper.plot(confidence, accuracy, color=_BLUE, marker="o", markersize=4, label="found")
    upper.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0, 1.01))
    error = record.error
    if error is not None:
        title = f"calibration error {error:.3f}"
        upper.legend(frameon=False, loc="upper left", title=title, alignment="left")
    share = n / n.sum() if n.sum() else n
    lower.bar(edges[:-1], share, width=np.diff(edges), align="edge", color=_BLUE, edgecolor="white")
    lower.set(xlabel="confidence (probability of the class given)", ylabel="share of pixels")
    lower.set_ylim(0, 1)
    for axes in (upper, lower):
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return to_png(figure)


def _present(record: ConfusionRecord) -> tuple[npt.NDArray[np.int64], list[str], list[str]]:
    """Return counts, row names and column names of the classes that occur at all."""
    counts = np.array(record.counts, np.int64)
    missed = np.array(record.n_prediction_unlabelled, np.int64)
    kept = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1) + missed)
    names = [record.classes[i] for i in kept]
    counts = counts[np.ix_(kept, kept)]
    if missed.any():
        return np.column_stack([counts, missed[kept]]), names, [*names, "no class"]
    return counts, names, names


def _short(n: int) -> str:
    """Return a count in at most five characters or so.

    Examples
    --------
    >>> _short(999), _short(12_345), _short(82_892_014)
    ('999', '12.3 k', '82.9 M')
    """
    if n < 1000:
        return str(n)
    return f"{n / 1e3:.3g} k" if n < 999_500 else f"{n / 1e6:.3g} M"


def to_png(figure: Figure, *, dpi: int = FIGURE_DPI) -> bytes:
    """Return a finished figure as PNG."""
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return sink.getvalue()
