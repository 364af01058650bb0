"""Lithium figures drawn from plan maps: thickness, voids, where Li grows back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from tomolith.errors import ReadError
from tomolith.measure.colocalisation import GROWTH_PART, PLACES
from tomolith.measure.map_files import MapEntry
from tomolith.measure.rows import SERIES
from tomolith.report.figures import to_png
from tomolith.report.lithium_edges import draw_edges
from tomolith.report.lithium_files import LithiumFiles
from tomolith.report.lithium_style import INK, WIDTH_IN, Drawn, scale_bar, stage_titles

_LONGEST_PX = 420
_NOTHING = "#e4e4e4"
_GROWTH = "growth"
_MOST_SCANS = 6
_TITLE_WIDTH = 18
_LOWEST_IN = 2.3  # below it, the words beside an upright colour bar do not fit


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A map, thinned to what a panel can show; ``size_um`` is its height and width."""

    entry: MapEntry
    values: npt.NDArray[np.float32]
    size_um: tuple[float, float]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is there."""
        return not (self.values > 0).any()

    @property
    def way(self) -> str:
        """How the map lies, in words."""
        down, right = self.entry.axes
        return f"{down} down and {right} to the right"


def draw_maps(files: LithiumFiles, problems: list[str]) -> Iterator[Drawn]:
    """Yield every figure that the maps allow; sentences about damaged maps go to ``problems``."""
    figures: tuple[Callable[[LithiumFiles], Drawn | None], ...]
    figures = (_series, draw_edges, _voids, _growth)
    for draw in figures:
        try:
            figure = draw(files)
        except ReadError as error:
            problems.append(f"A figure is not shown: {error.found}.")
            continue
        if figure is not None:
            yield figure


def _plan(files: LithiumFiles, entry: MapEntry) -> _Plan:
    values = files.read(entry)
    step = max(1, -(-max(values.shape) // _LONGEST_PX))
    down, right = entry.pixel_um or (1.0, 1.0)
    size = (values.shape[0] * down, values.shape[1] * right)
    return _Plan(entry, values[::step, ::step], size)


def _series(files: LithiumFiles) -> Drawn | None:
    """Thickness maps: a row for each class, a column for each chosen scan, one colour bar."""
    titles = scans_shown(files)
    grid: dict[str, list[_Plan | None]] = {}
    for name in [c.name for c in files.classes if c.role not in ("background", "electrode")]:
        entries = [_of_class(files, scan, name) for scan in titles]
        plans = [None if e is None else _plan(files, e) for e in entries]
        if any(p and not p.is_empty for p in plans):
            grid[name] = plans
    plans = [p for row in grid.values() for p in row if p]
    if not plans:
        return None
    top = _top(plans)
    figure, panels = _panels(plans[0], len(grid), len(titles), beside_in=2.0)
    image: AxesImage | None = None
    for axes_row, (name, row) in zip(panels, grid.items(), strict=True):
        axes_row[0].set_ylabel(name, fontsize=9.5, rotation=0, ha="right", va="center")
        for axes, plan in zip(axes_row, row, strict=True):
            if plan is not None:
                image = _show(axes, plan, top, has_scale=axes is panels[-1, -1]) or image
    for axes, title in zip(panels[0], titles.values(), strict=True):
        axes.set_title(title, fontsize=8 if len(titles) > 3 else 9)
    unit = plans[0].entry.unit
    _bar(figure, image, panels, "thickness (µm)" if unit == "um" else "share of the column")
    caption = (
        "Thickness of each class above every point of the electrode, seen across the cell, "
        f"{plans[0].way}. All maps have the same colours, the thickest 0.5 % of their points the "
        "last one; grey: the class is not there."
    )
    if len(titles) < len(files.scans):
        caption += f" {len(titles)} of {len(files.scans)} scans, spread over the series."
    if plans[0].entry.pixel_um is None:
        caption += " The pixel size is unknown, so there is no scale bar."
    return Drawn("lithium-plan-views.png", to_png(figure), "Plan views of the Li", caption)


def scans_shown(files: LithiumFiles) -> dict[str, str]:
    """Return the titles of scans spread evenly over the series: first, half cycle and last too."""
    scans = files.scans
    n = min(len(scans), _MOST_SCANS)
    chosen = {round(i * (len(scans) - 1) / max(n - 1, 1)) for i in range(n)}
    half = scans.index(files.stages["half"]) if "half" in files.stages else None
    if half is not None and half not in chosen:
        inner = chosen - {0, len(scans) - 1}
        chosen = chosen - {min(inner, key=lambda i: abs(i - half))} | {half}
    stages = stage_titles(files)
    titles = {scans[i]: stages.get(scans[i], scans[i]) for i in sorted(chosen)}
    if len(titles) <= len(stages):
        return titles
    return {
        scan: f"{title.removesuffix(scan).strip()}\n{fill(scan, _TITLE_WIDTH)}".strip()
        for scan, title in titles.items()
    }


def _of_class(files: LithiumFiles, scan: str, name: str) -> MapEntry | None:
    """Return the thickness map of a class, else its density map."""
    known = [m for m in files.maps if (m.scan, m.class_name) == (scan, name)]
    known.sort(key=lambda m: not m.map.startswith("thickness"))
    return known[0] if known else None


def _voids(files: LithiumFiles) -> Drawn | None:
    """Depth of the void below redeposited Li: the first, a middle and the last scan with any."""
    entries = [e for scan in files.scans if (e := files.map_of(scan, "void_depth"))]
    plans = [p for e in entries if not (p := _plan(files, e)).is_empty]
    if not plans:
        return None
    chosen = [plans[i] for i in sorted({0, len(plans) // 2, len(plans) - 1})]
    figure, panels = _panels(chosen[0], 1, len(chosen))
    image: AxesImage | None = None
    top = _top(chosen)
    for axes, plan in zip(panels[0], chosen, strict=True):
        image = _show(axes, plan, top, has_scale=axes is panels[0, -1])
        axes.set_title(plan.entry.scan, fontsize=9)
    _bar(figure, image, panels, "depth of the void (µm)")
    scans = "the scan" if len(chosen) == 1 else "scans"
    caption = (
        f"Where voids lie below redeposited Li, and how deep they are, in {scans} after Li came "
        f"back; grey: no void. Seen across the cell, {chosen[0].way}."
    )
    return Drawn("lithium-voids.png", to_png(figure), "Voids below redeposited Li", caption)


def _growth(files: LithiumFiles) -> Drawn | None:
    """Where Li was plated, against where it came back."""
    entry = next((m for m in files.maps if m.scan == SERIES and m.map.startswith(_GROWTH)), None)
    if entry is None:
        return None
    plan = _plan(files, entry)
    by_class = {c.name: c.colour for c in files.classes}
    colours = [_NOTHING, by_class.get("deposited", "#E69F00")]
    colours += [by_class.get("redeposited", "#009E73"), INK]
    figure, panels = _panels(plan, 1, 1, widest_in=4.6, beside_in=2.6)
    axes = panels[0, 0]
    height, width = plan.size_um
    axes.imshow(
        plan.values,
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=len(PLACES) - 0.5,
        extent=(0, width, height, 0),
        interpolation="nearest",
    )
    if entry.pixel_um is not None:
        scale_bar(axes, plan.size_um)
    rows = {r.class_name: r for r in files.rows if r.quantity == "growth_share"}
    handles = []
    for place, colour in zip(PLACES, colours, strict=True):
        share = rows[place].value if place in rows else None
        label = place if share is None else f"{place}: {100 * share:.1f} %"
        handles.append(Patch(facecolor=colour, edgecolor=INK, linewidth=0.5, label=label))
    figure.legend(handles=handles, frameon=False, fontsize=9, loc="outside right upper")
    # which scans; what the interval means, or why there is none, stands in the table
    method = next((r.method for r in rows.values() if r.method), "")
    scans = re.split("; (?:95 %|no interval):", method)[0]
    caption = (
        f"Where dendrites and deposited Li fell, and where Li was redeposited later"
        f"{f' ({scans})' if scans else ''}; share of the columns that hold labels. "
        f"{_by_chance(files)}{_alike(files)}"
        f"Seen across the cell, {plan.way}."
    )
    return Drawn("lithium-growth.png", to_png(figure), "Where Li grows back", caption)


def _by_chance(files: LithiumFiles) -> str:
    for row in files.rows:
        if row.quantity == "growth_share" and "chance" in row.class_name and row.value is not None:
            return f"Laid at random, both would share {100 * row.value:.1f} % of it. "
    return ""


def _alike(files: LithiumFiles) -> str:
    """Return in words how alike the two thickness maps are."""
    found = {r.quantity: r for r in files.rows if (r.scan, r.class_name) == (SERIES, GROWTH_PART)}
    r, p = found.get("pearson"), found.get("pearson_p")
    if r is None or r.value is None:
        return ""
    between = "" if r.low is None else f" ({r.low:.2f} to {r.high:.2f})"
    chance = "" if p is None or p.value is None else f", p = {p.value:.2g}"
    return f"Pearson's r of the two thickness maps: {r.value:.2f}{between}{chance}. "


def _panels(
    plan: _Plan, n_rows: int, n_columns: int, *, widest_in: float = 2.6, beside_in: float = 1.1
) -> tuple[Figure, npt.NDArray[np.object_]]:
    """Return a figure with panels of the shape of a map, without axes."""
    height, width = plan.size_um
    panel_in = min(widest_in, (WIDTH_IN - 0.4 - beside_in) / n_columns)
    size = (
        0.4 + panel_in * n_columns + beside_in,
        0.35 + n_rows * (min(panel_in * height / width, 6.0) + 0.08),
    )
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, compress=True))
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in panels.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure, panels


def _top(plans: Sequence[_Plan]) -> float:
    """Return the end of the colours: above it lie 0.5 % of what is there at all."""
    there = np.concatenate([plan.values[plan.values > 0] for plan in plans])
    return float(np.percentile(there, 99.5)) if there.size else 1.0


def _show(axes: Axes, plan: _Plan, vmax: float, *, has_scale: bool) -> AxesImage:
    """Draw a map from 0 to ``vmax``; what is 0 or missing is grey."""
    height, width = plan.size_um
    image = axes.imshow(
        np.ma.masked_invalid(np.where(plan.values > 0, plan.values, np.nan)),
        cmap=matplotlib.colormaps["viridis"].with_extremes(bad=_NOTHING),
        vmin=0,
        vmax=vmax,
        extent=(0, width, height, 0),
        interpolation="nearest",
    )
    if has_scale and plan.entry.pixel_um is not None:
        scale_bar(axes, plan.size_um)
    return image


def _bar(
    figure: Figure, image: AxesImage | None, panels: npt.NDArray[np.object_], label: str
) -> None:
    if image is None:
        return
    height = figure.get_figheight()
    is_low = height < _LOWEST_IN
    if is_low:
        figure.set_figheight(height + 0.6)
    bar = figure.colorbar(
        image,
        ax=panels,  # type: ignore[arg-type]
        label=label,
        location="bottom" if is_low else "right",
        shrink=0.5 if is_low else 1.0,
        fraction=0.05,
        aspect=28,
        extend="max",
    )
    bar.outline.set_visible(False)  # type: ignore[operator]
