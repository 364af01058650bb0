"""Lithium figures that need the cycler: the balance, the capacity ratio, the voltage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.report.figures import to_png
from tomolith.report.lithium_files import Cycler, Line, LithiumFiles, Point, Voltage
from tomolith.report.lithium_style import (
    INK,
    SIDES,
    SOFT,
    WIDTH_IN,
    Drawn,
    Mark,
    bars_text,
    draw_line,
    largest,
    legend,
    plain,
    side_by_side,
    time_axis,
    volume_scale,
)

_EXPECTED = Mark("#0072B2", "", (0, (5, 1.5)))
_RATIO_SHOWN = (-1.0, 3.0)


def draw_cycler(files: LithiumFiles) -> Iterator[Drawn]:
    """Yield every figure that the cycler's files allow."""
    if files.cycler is None:
        return
    for figure in (
        _closure(files, files.cycler),
        _ratios(files, files.cycler),
        _voltage(files, files.cycler),
    ):
        if figure is not None:
            yield figure


def _closure(files: LithiumFiles, cycler: Cycler) -> Drawn | None:
    """Li that the scans show to have moved, by side, against what the charge says."""
    seen = (
        _line(PLATING, [s.plating_um3 for s in cycler.scans]),
        _line(STRIPPING, [s.stripping_um3 for s in cycler.scans]),
    )
    expected = [
        Point(s.current_on_min, s.expected_um3) for s in cycler.scans if s.expected_um3 is not None
    ]
    lines = [line for line in seen if line.points]
    if not expected or not lines:
        return None
    charge = _with_intervals(files, Line("expected", tuple(expected)))
    scale, unit = volume_scale(largest([*lines, charge]))
    figure = Figure(figsize=(WIDTH_IN, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    for sign, label in ((1.0, "by Faraday's law, from the charge"), (-1.0, "")):
        _draw_expected(axes, charge, sign * scale, label)
    for line in side_by_side(lines):
        label = f"seen in the scans, {line.name}"
        draw_line(axes, line, SIDES[line.name], scale=scale, label=label)
    time_axis(axes, files)
    plain(axes)
    axes.set_ylabel(f"Li gained since the first scan ({unit})")
    legend(figure, loc="outside lower center", n_columns=3)
    caption = (
        "Li that each side has gained since the first scan, as the scans show it, against what "
        "the charge says by Faraday's law on the analysed area: gained by the plating side, lost "
        "by the stripping side. What the points lack to the dashed lines, the scans do not show. "
        "Porous layers count as dense unless the recipe gives their porosity. Discharge is shaded. "
        f"{bars_text(lines)}"
    )
    if charge.has_bars:
        caption += f" Band about the dashed lines: {'; '.join(charge.meanings) or '95 %'}."
    else:
        caption += " The charge carries the cycler's own error, below 1 %, which is not drawn."
    title = "Li inventory against Faraday's law"
    return Drawn("lithium-inventory.png", to_png(figure), title, caption)


def _line(name: str, points: Sequence[Point | None]) -> Line:
    return Line(name, tuple(p for p in points if p is not None))


def _with_intervals(files: LithiumFiles, line: Line) -> Line:
    """Return the expected Li with the intervals of the table, where it has them."""
    row = files.line("expected_li_volume", "cell")
    known = {p.x: p for p in row.points} if row else {}
    points = [
        Point(p.x, p.value, known[p.x].low, known[p.x].high) if p.x in known else p
        for p in line.points
    ]
    return Line(line.name, tuple(points), row.meanings if row else ())


def _draw_expected(axes: Axes, line: Line, scale: float, label: str) -> None:
    barred = [p for p in line.points if p.low is not None and p.high is not None]
    if barred:
        low, high = ([scale * (getattr(p, end) or 0.0) for p in barred] for end in ("low", "high"))
        axes.fill_between(
            [p.x for p in barred], low, high, color=_EXPECTED.colour, alpha=0.25, lw=0
        )
    axes.plot(
        [p.x for p in line.points],
        [scale * p.value for p in line.points],
        color=_EXPECTED.colour,
        linestyle=_EXPECTED.dashes,
        linewidth=1.6,
        label=label or None,
    )


def _ratios(files: LithiumFiles, cycler: Cycler) -> Drawn | None:
    """CT capacity over cycler capacity, from scan to scan."""
    lines = [line for line in cycler.ratios if line.points]
    if not lines:
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=0.8)
    label = "1: all that the charge says"
    axes.axhline(1, color=_EXPECTED.colour, linewidth=1.4, linestyle=_EXPECTED.dashes, label=label)
    for line in side_by_side(lines):
        draw_line(axes, line, SIDES.get(line.name, Mark(SOFT, "^")))
    values = [v for line in lines for p in line.points for v in (p.value, p.low, p.high)]
    known = [v for v in values if v is not None]
    low, high = max(_RATIO_SHOWN[0], min(known)), min(_RATIO_SHOWN[1], max(known))
    axes.set_ylim(min(-0.1, low - 0.05), max(1.15, high + 0.05))
    time_axis(axes, files)
    plain(axes)
    axes.set_ylabel("CT capacity / cycler capacity")
    legend(figure, loc="outside lower center", n_columns=3)
    caption = (
        "Li that the scans show to have moved from one scan to the next, over what the charge "
        "between them says; drawn at the later scan. At the dashed line, 1, the scans show all of "
        f"it; what is lacking to 1 they miss. Discharge is shaded. {bars_text(lines)}"
    )
    n_outside = sum(not _RATIO_SHOWN[0] <= v <= _RATIO_SHOWN[1] for v in known)
    if n_outside:
        caption += " Some points or bars reach beyond the axis; the table has them."
    return Drawn("lithium-capacity.png", to_png(figure), "Capacity ratio", caption)


def _voltage(files: LithiumFiles, cycler: Cycler) -> Drawn | None:
    """Voltage and its envelope against current-on time, with the scans marked."""
    curve = files.voltage
    if curve is None or not len(curve.voltage_v):
        return None
    figure = Figure(figsize=(WIDTH_IN, 3.6), layout="constrained")
    axes = figure.subplots()
    _draw_envelope(axes, curve, [half.start_min for half in cycler.half_cycles[1:]])
    # the line is broken where a rest was left out
    breaks = np.flatnonzero(np.diff(curve.pulse)) + 1
    on_min = np.insert(curve.current_on_min, breaks, np.nan)
    voltage = np.insert(curve.voltage_v, breaks, np.nan)
    axes.plot(on_min, voltage, color=INK, linewidth=1.0, label="voltage")
    axes.axhline(0, color=SOFT, linewidth=0.7)
    places = [s.current_on_min for s in cycler.scans]
    low, high = float(np.nanmin(voltage)), float(np.nanmax(voltage))
    axes.set_ylim(low - 0.17 * (high - low or 1.0), high + 0.08 * (high - low or 1.0))
    transform = axes.get_xaxis_transform()
    axes.plot(
        places, [0.04] * len(places), "^", color="#D55E00", transform=transform, ms=6, label="scan"
    )
    time_axis(axes, files)
    plain(axes)
    axes.set_ylabel("voltage (V)")
    legend(figure, loc="outside lower center", n_columns=3)
    caption = (
        f"Voltage while current flows, rests left out, from {cycler.file}. Band: the envelope, "
        "from the lowest to the highest voltage of each pulse. Triangles: when the scans were "
        "taken. Discharge is shaded."
    )
    return Drawn("lithium-voltage.png", to_png(figure), "Voltage and its envelope", caption)


def _draw_envelope(axes: Axes, curve: Voltage, turns_min: Sequence[float]) -> None:
    """Draw the lowest and highest voltage of each pulse as a band, broken where current turns."""
    starts = np.flatnonzero(np.diff(curve.pulse)) + 1
    turns = [i for i in starts if np.isclose(curve.current_on_min[i], turns_min).any()]
    parts = (curve.current_on_min, curve.lowest_v, curve.highest_v)
    on_min, lowest, highest = (np.insert(part, turns, np.nan) for part in parts)
    colour = _EXPECTED.colour
    axes.fill_between(on_min, lowest, highest, color=colour, alpha=0.18, lw=0, label="envelope")
    for edge in (lowest, highest):
        axes.plot(on_min, edge, color=colour, linewidth=0.9)
