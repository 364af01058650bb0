"""What all lithium figures share: colours, marks, error bars, the time axis, scale bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from tomolith.core import LabelClass
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.report.figures import length_text, nice_length_um
from tomolith.report.lithium_files import Line, LithiumFiles

INK, SOFT, SHADE = "#222222", "#777777", "#eceff2"
WIDTH_IN = 8.6
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1.5, 1, 1.5)), (0, (7, 2)), (0, (3, 1, 1, 1)))
_APART_FRAC = 0.008
_DASHES_IN_LEGEND = 3.4  # times the font size: two dashes at least
_AT_HALF_FRAC = 0.01
_MOST_NAMES = 13


@dataclass(frozen=True)
class Drawn:
    """One figure: its file, its pixels, its title, and a sentence that says what it shows."""

    file_name: str
    png: bytes
    title: str
    caption: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How a line looks; colour is never the only difference between two."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[float, ...]] = "-"
    is_hollow: bool = False


SIDES = {PLATING: Mark(INK, "o"), STRIPPING: Mark("#CC79A7", "s", (0, (5, 1.5)))}
"""Sides of the cell wherever both are in one panel."""


def class_marks(classes: Sequence[LabelClass]) -> dict[str, Mark]:
    """Return the mark of each class: its colour in the schema, and a marker of its own.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> class_marks(PRESETS["li-operando"].classes)["dendrite"].colour
    '#D55E00'
    """
    return {
        c.name: Mark(c.colour, _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, c in enumerate(classes)
    }


def stage_titles(files: LithiumFiles) -> dict[str, str]:
    """Return what the chosen scans are called in a figure, by the name of the scan.

    Examples
    --------
    >>> from pathlib import Path
    >>> stage_titles(LithiumFiles(Path(), (), ()))
    {}
    """
    words = {"first": "first", "half": _half_words(files), "last": "last"}
    return {scan: f"{words[stage]}: {scan}" for stage, scan in files.stages.items()}


def _half_words(files: LithiumFiles) -> str:
    """Return what the middle scan is called: at half cycle only where the current turns at it."""
    if files.cycler is None or "half" not in files.stages:
        return "middle"
    first, last = files.cycler.half_cycles[0], files.cycler.half_cycles[-1]
    off_min = abs(files.places[files.stages["half"]] - first.stop_min)
    is_at_half = len(files.cycler.half_cycles) > 1 and off_min <= _AT_HALF_FRAC * last.stop_min
    return "half cycle" if is_at_half else "middle"


def draw_line(axes: Axes, line: Line, mark: Mark, *, scale: float = 1.0, label: str = "") -> None:
    """Draw numbers with their intervals, which need not hold the number."""
    x = [p.x for p in line.points]
    barred = [p for p in line.points if p.low is not None and p.high is not None]
    low, high = (
        [scale * (p.low or 0.0) for p in barred],
        [scale * (p.high or 0.0) for p in barred],
    )
    axes.vlines([p.x for p in barred], low, high, color=mark.colour, linewidth=1.1, alpha=0.8)
    for ends in (low, high):
        axes.plot([p.x for p in barred], ends, "_", color=mark.colour, markersize=5, alpha=0.8)
    axes.plot(
        x,
        [scale * p.value for p in line.points],
        color=mark.colour,
        marker=mark.marker,
        linestyle=mark.dashes,
        linewidth=1.5,
        markersize=5,
        markeredgewidth=1.2,
        markerfacecolor="white" if mark.is_hollow else mark.colour,
        label=label or line.name,
    )


def side_by_side(lines: Sequence[Line]) -> list[Line]:
    """Move the points of several lines apart a little, so that their bars do not hide each other.

    Points without a bar stay where they are.

    Examples
    --------
    >>> from tomolith.report.lithium_files import Point
    >>> bars = (Point(0.0, 1.0, 0.5, 1.5), Point(100.0, 1.0, 0.5, 1.5))
    >>> [line.points[1].x for line in side_by_side([Line("a", bars), Line("b", bars)])]
    [99.6, 100.4]
    """
    if sum(line.has_bars for line in lines) < 2:
        return list(lines)
    places = [p.x for line in lines for p in line.points]
    step = _APART_FRAC * (max(places) - min(places))
    return [
        replace(
            line,
            points=tuple(
                p if p.low is None else replace(p, x=p.x + step * (i - (len(lines) - 1) / 2))
                for p in line.points
            ),
        )
        for i, line in enumerate(lines)
    ]


def time_axis(axes: Axes, files: LithiumFiles, *, words: bool = True) -> None:
    """Shade charge and discharge and name the axis; without a cycler, the scans are its ticks."""
    if files.cycler is not None:
        shade_half_cycles(axes, files, words=words)
        axes.set_xlabel("time under current (min)")
        return
    names = files.scans
    axes.set_xlim(-0.4, len(names) - 0.6)
    step = -(-len(names) // _MOST_NAMES)
    axes.set_xticks(range(0, len(names), step), names[::step])
    axes.tick_params(axis="x", rotation=40 if len(names) > 3 else 0)
    for text in axes.get_xticklabels():
        text.set_horizontalalignment("right" if len(names) > 3 else "center")
        text.set_rotation_mode("anchor")


def shade_half_cycles(axes: Axes, files: LithiumFiles, *, words: bool = True) -> None:
    """Shade each discharge, and write above the panel which way the current flows."""
    halves = files.cycler.half_cycles if files.cycler else ()
    for half in halves:
        if half.direction < 0:
            axes.axvspan(half.start_min, half.stop_min, color=SHADE, linewidth=0, zorder=0)
        if words and len(halves) <= 4:
            axes.annotate(
                "charge" if half.direction > 0 else "discharge",
                ((half.start_min + half.stop_min) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8.5,
                color=SOFT,
            )
    if halves:
        span = halves[-1].stop_min - halves[0].start_min
        axes.set_xlim(halves[0].start_min - 0.035 * span, halves[-1].stop_min + 0.035 * span)


def plain(axes: Axes) -> None:
    """Take away what no one reads: upper and right edge; a faint grid below the data."""
    axes.grid(color="#dddddd", linewidth=0.7, axis="y")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(target: Axes | Figure, *, loc: str = "best", n_columns: int = 1) -> None:
    """Name the lines; handles are long enough to show which of them are dashed."""
    target.legend(
        frameon=False, fontsize=9, loc=loc, ncols=n_columns, handlelength=_DASHES_IN_LEGEND
    )


def volume_scale(largest_um3: float) -> tuple[float, str]:
    """Return the factor and the unit that keep the ticks of a volume axis short.

    Examples
    --------
    >>> volume_scale(2.5e7), volume_scale(40.0)
    ((1e-06, '10⁶ µm³'), (1.0, 'µm³'))
    """
    if not largest_um3 > 1000:
        return 1.0, "µm³"
    power = 3 * int(math.log10(largest_um3) // 3)
    return 10.0**-power, f"10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))} µm³"


def largest(lines: Sequence[Line]) -> float:
    """Return the largest size of any number or interval."""
    ends = [v for line in lines for p in line.points for v in (p.value, p.low, p.high)]
    return max((abs(v) for v in ends if v is not None), default=0.0)


def bars_text(lines: Sequence[Line], *, are_beside: bool = True) -> str:
    """Return the sentences that say what the error bars of a figure mean.

    ``are_beside`` tells that lines of one panel went through :func:`side_by_side`.
    """
    if not any(line.has_bars for line in lines):
        return "No error bars: none were estimated."
    meanings = list(dict.fromkeys(m for line in lines for m in line.meanings))
    some = "" if all(p.low is not None for line in lines for p in line.points) else ", where known"
    what = f" ({'; '.join(meanings)})" if meanings else ""
    if len(meanings) > 2:
        what = "; the column 'method' of the table says of what"
    text = f"Bars: 95 % interval{some}{what}."
    if are_beside and sum(line.has_bars for line in lines) > 1:
        text += " Bars of one scan stand beside each other, so that none hides another."
    return text


def scale_bar(axes: Axes, size_um: tuple[float, float]) -> None:
    """Draw a scale bar into a map whose axes are in µm; ``size_um`` is its height and width."""
    height, width = size_um
    length = nice_length_um(width)
    margin, thick = 0.045 * min(height, width), 0.022 * min(height, width)
    left = width - margin - length
    axes.add_patch(
        Rectangle((left, height - margin - thick), length, thick, fc="white", ec="black", lw=0.6)
    )
    axes.text(
        width - margin,
        height - 1.5 * margin - thick,
        length_text(length),
        color="white",
        ha="right",
        va="bottom",
        fontsize=7.5,
        fontweight="bold",
        path_effects=[withStroke(linewidth=2, foreground="black")],
    )
