"""Lithium figures drawn from the table: what changes from scan to scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import electrode_part
from tomolith.measure.rows import SERIES
from tomolith.report.figures import to_png
from tomolith.report.lithium_files import Line, LithiumFiles
from tomolith.report.lithium_style import (
    INK,
    WIDTH_IN,
    Drawn,
    Mark,
    bars_text,
    class_marks,
    draw_line,
    largest,
    legend,
    plain,
    side_by_side,
    time_axis,
    volume_scale,
)

_BETWEEN = " ~ "
_SIGNIFICANT = 0.05


def draw_curves(files: LithiumFiles) -> Iterator[Drawn]:
    """Yield every figure that the rows allow; none for fewer than two scans."""
    if len(files.scans) < 2:
        return
    for draw in (_volumes, _thickness, _coverage, _pits, _pearson, _gap):
        figure = draw(files)
        if figure is not None:
            yield figure


def _against(files: LithiumFiles) -> str:
    return "time under current" if files.cycler else "scan"


def _shaded(files: LithiumFiles) -> str:
    if files.cycler:
        return " Discharge is shaded."
    if files.series:
        return ""
    return " The scans are not known to be one cell, so the points are not joined."


def _mark(files: LithiumFiles, mark: Mark) -> Mark:
    """Return the mark, without its line where the scans are not known to be a series."""
    return mark if files.series else replace(mark, dashes="none")


def _volumes(files: LithiumFiles) -> Drawn | None:
    """Volumes of the classes; those of electrodes, far larger, in a panel of their own."""
    marks = class_marks(files.classes)
    panels: list[list[Line]] = [[], []]
    for c in files.classes:
        line = files.line("volume", c.name)
        if line and c.role != "background" and any(p.value for p in line.points):
            panels[c.role == "electrode"].append(line)
    panels = [lines for lines in panels if lines]
    if not panels:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    widths = [1.7, 1.0] if len(panels) == 2 else [1.0]
    all_axes = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
    for axes, lines in zip(all_axes, panels, strict=True):
        scale, unit = volume_scale(largest(lines))
        for line in side_by_side(lines):
            draw_line(axes, line, _mark(files, marks[line.name]), scale=scale)
        _finish(axes, files, f"volume ({unit})")
        axes.set_ylim(*_around(axes, lines))
        legend(axes)
    lines = [line for found in panels for line in found]
    caption = f"Volume of each class against {_against(files)}.{_shaded(files)} {bars_text(lines)}"
    return Drawn("lithium-volumes.png", to_png(figure), "Volumes through the cycle", caption)


def _around(axes: Axes, lines: Sequence[Line]) -> tuple[float, float]:
    """Return limits that begin just below 0 unless the numbers vary little about a large one."""
    low, high = axes.get_ylim()
    values = [p.value for line in lines for p in line.points]
    # whole markers at 0, and what bars reach below it is no volume
    return (-0.03 * high, high) if min(values) < 0.5 * max(values) else (low, high)


def _thickness(files: LithiumFiles) -> Drawn | None:
    """Effective thickness of both sides, the electrode alone and with what grew on it."""
    marks = class_marks(files.classes)
    alone = next((marks[c.name] for c in files.classes if c.role == "electrode"), Mark(INK, "s"))
    panels = {}
    for side in (STRIPPING, PLATING):
        pairs = (
            (electrode_part(side), "electrode", alone),
            (f"{side}, all Li", "with deposits", Mark(INK, "o", is_hollow=True)),
        )
        found = [(files.line("effective_thickness", p, name=n), m) for p, n, m in pairs]
        panels[side] = [(line, mark) for line, mark in found if line]
    if not all(panels.values()):
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    all_axes = figure.subplots(1, 2, sharey=True)
    for axes, (side, drawn) in zip(all_axes, panels.items(), strict=True):
        for line, (_, mark) in zip(side_by_side([line for line, _ in drawn]), drawn, strict=True):
            draw_line(axes, line, _mark(files, mark))
        _finish(axes, files, "effective thickness (µm)" if side == STRIPPING else "")
        axes.set_title(side, fontsize=10, pad=18 if files.cycler else 6)
        legend(axes)
    lines = [line for drawn in panels.values() for line, _ in drawn]
    caption = (
        "Volume over plan area of each electrode: alone, and with the Li that grew on it "
        "(dendrites and deposited Li on the plating side, redeposited Li on the stripping side)."
        f"{_shaded(files)} {bars_text(lines)}"
    )
    title = "Effective thickness of both sides"
    return Drawn("lithium-thickness.png", to_png(figure), title, caption)


def _coverage(files: LithiumFiles) -> Drawn | None:
    marks = class_marks(files.classes)
    kinds = [c.name for c in files.classes if c.role not in ("background", "electrode")]
    lines = [line for name in kinds if (line := files.line("plan_coverage", name))]
    lines = [line for line in lines if any(p.value for p in line.points)]
    if not lines:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    axes = figure.subplots()
    for line in side_by_side(lines):
        draw_line(axes, line, _mark(files, marks[line.name]), scale=100.0)
    _finish(axes, files, "plan area covered (%)")
    axes.set_ylim(-2, 102)
    legend(figure, loc="outside right upper")
    caption = (
        "Share of the plan area where a class occurs at all, seen across the cell; the rest is not "
        f"occupied by it.{_shaded(files)} {bars_text(lines)}"
    )
    return Drawn("lithium-coverage.png", to_png(figure), "Plan coverage", caption)


def _pits(files: LithiumFiles) -> Drawn | None:
    """Draw how many pits remain unfilled, counted over either of two things."""
    colour = next((c.colour for c in files.classes if c.name == "pit"), INK)
    drawn = (
        ("pits_left", "of the pits at half cycle", Mark(INK, "o")),
        (
            "unfilled_pits",
            "of pits and redeposited Li in the scan",
            Mark(colour, "s", (0, (5, 1.5)), is_hollow=True),
        ),
    )
    found = [(files.line(quantity, "pit", name=n), mark) for quantity, n, mark in drawn]
    pairs = [(line, mark) for line, mark in found if line]
    if not pairs:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    axes = figure.subplots()
    lines = [line for line, _ in pairs]
    for line, (_, mark) in zip(side_by_side(lines), pairs, strict=True):
        draw_line(axes, line, _mark(files, mark), scale=100.0)
    _finish(axes, files, "pits that remain unfilled (%)")
    axes.set_ylim(bottom=min(-2.0, axes.get_ylim()[0]))
    legend(axes, loc="lower left")
    caption = (
        "Pits that remain unfilled: as a share of the pits at half cycle, and of all pits and "
        "redeposited Li of the scan itself, which redeposited Li outside of pits lowers too."
        f"{_shaded(files)} {bars_text(lines)}"
    )
    return Drawn("lithium-pits.png", to_png(figure), "Unfilled pits", caption)


def _pearson(files: LithiumFiles) -> Drawn | None:
    """Pearson's coefficient of each pair of plan maps, a panel each."""
    parts = files.parts("pearson")
    lines = [line for part in parts if (line := files.line("pearson", part))]
    if not lines:
        return None
    n_columns = min(3, len(lines))
    n_rows = -(-len(lines) // n_columns)
    figure = Figure(figsize=(WIDTH_IN, 0.8 + 2.0 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    for i, (axes, line) in enumerate(zip(panels.ravel(), lines, strict=False)):
        axes.axhline(0, color=INK, linewidth=0.8)
        _draw_tested(axes, files, line)
        _finish(axes, files, "Pearson's r" if i % n_columns == 0 else "", words=i < n_columns)
        pad = 16 if files.cycler and i < n_columns else 5
        axes.set_title(
            line.name.replace(_BETWEEN, " and ").replace("_", " "), fontsize=9.5, pad=pad
        )
        axes.set_ylim(-1.05, 1.05)
        if i < len(lines) - n_columns:
            axes.set_xlabel("")
        else:  # nothing stands below it
            axes.tick_params(labelbottom=True)
    for axes in panels.ravel()[len(lines) :]:
        axes.set_axis_off()
    _legend_of_tests(figure)
    title = "What lies over the same places"
    return Drawn("lithium-pearson.png", to_png(figure), title, _pearson_text(files, lines))


def _draw_tested(axes: Axes, files: LithiumFiles, line: Line) -> None:
    """Draw a coefficient through the series; a filled marker is one that the test rejects."""
    draw_line(axes, line, _mark(files, Mark(INK, "o", is_hollow=True)))
    tests = files.line("pearson_p", line.name)
    chance = {p.x: p.value for p in tests.points} if tests else {}
    sure = [p for p in line.points if chance.get(p.x, 1.0) < _SIGNIFICANT]
    axes.plot([p.x for p in sure], [p.value for p in sure], "o", color=INK, markersize=5, zorder=3)


def _legend_of_tests(figure: Figure) -> None:
    words = {INK: f"p < {_SIGNIFICANT:g}", "white": f"p ≥ {_SIGNIFICANT:g}, or not known"}
    handles = [
        Line2D([], [], ls="", marker="o", mec=INK, mew=1.2, ms=5, mfc=face, label=label)
        for face, label in words.items()
    ]
    figure.legend(handles=handles, frameon=False, fontsize=9, loc="outside lower center", ncols=2)


def _pearson_text(files: LithiumFiles, lines: Sequence[Line]) -> str:
    caption = (
        "Pearson's coefficient of two plan maps, of classes their thickness: above 0 they lie over "
        "the same places, below 0 they avoid each other. Filled: had the two nothing to do with "
        f"each other, fewer than {100 * _SIGNIFICANT:g} % would lie as far from 0 (Dutilleul's "
        f"modified t-test, for each point alone).{_shaded(files)} "
        f"{bars_text(lines, are_beside=False)}"
    )
    in_scans = {r.class_name for r in files.rows if r.quantity == "pearson" and r.scan != SERIES}
    drawn = {line.name for line in lines}
    constant = [part for part in files.parts("pearson") if part in in_scans - drawn]
    if constant:
        names = ", ".join(part.replace(_BETWEEN, " and ") for part in constant)
        caption += f" Not drawn, as one of the two is the same everywhere in every scan: {names}."
    return caption


def _gap(files: LithiumFiles) -> Drawn | None:
    """Draw the gap between the electrodes, and how far it and the cell have grown."""
    gap = files.line("gap", "electrodes", name="gap between the electrodes")
    grown = [
        (files.line("swelling", "gap", name="gap"), Mark(INK, "o")),
        (
            files.line("swelling", "cell", name="whole cell"),
            Mark("#CC79A7", "s", (0, (5, 1.5)), is_hollow=True),
        ),
    ]
    swelling = [(line, mark) for line, mark in grown if line]
    panels = [([(gap, Mark(INK, "o"))] if gap else [], "gap (µm)"), (swelling, "swelling (µm)")]
    panels = [(drawn, label) for drawn, label in panels if drawn]
    if not panels:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.1), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (drawn, label) in zip(all_axes, panels, strict=True):
        for line, (_, mark) in zip(side_by_side([line for line, _ in drawn]), drawn, strict=True):
            draw_line(axes, line, _mark(files, mark))
        _finish(axes, files, label)
        if len(drawn) > 1:
            legend(axes)
    lines = [line for drawn, _ in panels for line, _ in drawn]
    caption = (
        "Mean distance between the inner faces of the electrodes, and how far that distance and "
        f"the whole cell have grown since the first scan.{_shaded(files)} {bars_text(lines)}"
    )
    return Drawn("lithium-swelling.png", to_png(figure), "Gap and swelling", caption)


def _finish(axes: Axes, files: LithiumFiles, label: str, *, words: bool = True) -> None:
    time_axis(axes, files, words=words)
    plain(axes)
    axes.set_ylabel(label)
