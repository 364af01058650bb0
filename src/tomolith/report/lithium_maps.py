"""Lithium figures drawn from plan maps: thickness, voids, electrode edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from tomolith.errors import ReadError
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.report.figures import to_png
from tomolith.report.lithium_files import LithiumFiles, PlanMap
from tomolith.report.lithium_style import INK, WIDTH_IN, Drawn, plain, scale_bar

_LONGEST_PX = 420
_STAGE_LOOKS = {
    "first": ("#000000", "-"),
    "half": ("#D55E00", (0, (5, 1.5))),
    "last": ("#0072B2", (0, (1.5, 1))),
}
_NOTHING = "#e4e4e4"

Values = npt.NDArray[np.float32]


def draw_maps(files: LithiumFiles, problems: list[str]) -> Iterator[Drawn]:
    """Yield every figure that the maps allow; sentences about damaged maps go to ``problems``."""
    figures: tuple[Callable[[LithiumFiles], Drawn | None], ...] = (_series, _voids, _edges)
    for draw in figures:
        try:
            figure = draw(files)
        except ReadError as error:
            problems.append(f"A figure is not shown: {error.found}.")
            continue
        if figure is not None:
            yield figure


def stage_titles(files: LithiumFiles) -> dict[str, str]:
    """Return what the chosen scans are called in a figure, by the name of the scan.

    Examples
    --------
    >>> stage_titles(LithiumFiles((), ()))
    {}
    """
    words = {"first": "first", "half": "half cycle" if files.cycler else "middle", "last": "last"}
    return {scan: f"{words[stage]}: {scan}" for stage, scan in files.stages.items()}


def _series(files: LithiumFiles) -> Drawn | None:
    """Thickness maps: a row for each class, a column for each chosen scan, one colour bar."""
    titles = stage_titles(files)
    kinds = [c.name for c in files.classes if c.role not in ("background", "electrode")]
    grid: dict[str, list[tuple[PlanMap, Values] | None]] = {}
    for name in kinds:
        found = [_thickness_map(files, scan, name) for scan in titles]
        read = [None if m is None else (m, _thinned(m)) for m in found]
        if any(r and np.nanmax(r[1], initial=0) > 0 for r in read):
            grid[name] = read
    if not grid:
        return None
    maps = [r for row in grid.values() for r in row if r]
    top = _top([values for _, values in maps])
    n_rows, n_columns = len(grid), len(titles)
    height, width = _size_um(maps[0][0], maps[0][1])
    panel = min(2.35, (WIDTH_IN - 1.7) / n_columns)
    size = (0.5 + panel * n_columns + 1.0, 0.35 + n_rows * (panel * height / width + 0.08))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    image: AxesImage | None = None
    for axes_row, (name, row) in zip(panels, grid.items(), strict=True):
        axes_row[0].set_ylabel(name, fontsize=9.5)
        for axes, read in zip(axes_row, row, strict=True):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if read is not None:
                is_last = axes is panels[-1, -1]
                image = _show(axes, *read, vmax=top, has_scale=is_last)
    for axes, title in zip(panels[0], titles.values(), strict=True):
        axes.set_title(title, fontsize=9)
    _with_bar(figure, image, panels, maps[0][0])
    known = maps[0][0].pixel_um is not None
    caption = (
        "Thickness of each class above every point of the electrode, seen across the cell, "
        f"{_along(maps[0][0])}. All maps have the same colours, the thickest 0.5 % of their points "
        "the last one; grey: the class is not there."
        + ("" if known else " The pixel size is unknown, so there is no scale bar.")
    )
    return Drawn("lithium-plan-views.png", to_png(figure), "Plan views of the Li", caption)


def _along(plan: PlanMap) -> str:
    return f"{plan.axes[0]} down and {plan.axes[1]} to the right"


def _thickness_map(files: LithiumFiles, scan: str, name: str) -> PlanMap | None:
    """Return the thickness map of a class, else its density map."""
    of_class = [m for m in files.maps if (m.scan, m.class_name) == (scan, name)]
    for start in ("thickness", "density"):
        for plan in of_class:
            if plan.name.startswith(start):
                return plan
    return None


def _thinned(plan: PlanMap) -> Values:
    """Read a map, every n-th pixel, so that it fits a panel."""
    values = plan.read()
    step = max(1, -(-max(values.shape) // _LONGEST_PX))
    return values[::step, ::step]


def _size_um(plan: PlanMap, values: Values) -> tuple[float, float]:
    """Return height and width; in pixels where the pixel size is unknown."""
    down, right = plan.pixel_um or (1.0, 1.0)
    return values.shape[0] * down, values.shape[1] * right


def _top(maps: Sequence[Values]) -> float:
    """Return the end of the colours: above it lie 0.5 % of what is there at all."""
    there = np.concatenate([values[values > 0] for values in maps])
    return float(np.percentile(there, 99.5)) if there.size else 1.0


def _show(
    axes: Axes, plan: PlanMap, values: Values, *, vmax: float, has_scale: bool = True
) -> AxesImage:
    """Draw a map from 0 to ``vmax``; what is 0 or missing is grey."""
    full = _size_um(plan, plan.read()) if plan.pixel_um else _size_um(plan, values)
    colours = matplotlib.colormaps["viridis"].with_extremes(bad=_NOTHING)
    image = axes.imshow(
        np.ma.masked_invalid(np.where(values > 0, values, np.nan)),
        cmap=colours,
        vmin=0,
        vmax=vmax,
        extent=(0, full[1], full[0], 0),
        interpolation="nearest",
    )
    if has_scale and plan.pixel_um is not None:
        scale_bar(axes, full)
    return image


def _with_bar(figure: Figure, image: AxesImage | None, panels: object, plan: PlanMap) -> None:
    if image is None:
        return
    label = {"um": "thickness (µm)", "1": "share of the column"}.get(plan.unit, plan.unit)
    if plan.name == "void_depth":
        label = "depth of the void (µm)"
    bar = figure.colorbar(image, ax=panels, label=label, fraction=0.05, aspect=28, extend="max")  # type: ignore[arg-type]
    bar.outline.set_visible(False)  # type: ignore[operator]


def _voids(files: LithiumFiles) -> Drawn | None:
    """Depth of the void below redeposited Li, in the last scans that have any."""
    found: list[tuple[PlanMap, Values]] = []
    for scan in files.scans:
        plan = files.map_of(scan, "void_depth")
        if plan is not None:
            values = _thinned(plan)
            if np.nanmax(values, initial=0) > 0:
                found.append((plan, values))
    if not found:
        return None
    chosen = [found[i] for i in sorted({0, len(found) // 2, len(found) - 1})]
    top = _top([values for _, values in chosen])
    height, width = _size_um(*chosen[0])
    panel = min(3.2, (WIDTH_IN - 1.2) / len(chosen))
    figure = Figure(
        figsize=(panel * len(chosen) + 1.2, panel * height / width + 0.4), layout="constrained"
    )
    panels = figure.subplots(1, len(chosen), squeeze=False)
    image = None
    for axes, (plan, values) in zip(panels[0], chosen, strict=True):
        image = _show(axes, plan, values, vmax=top, has_scale=axes is panels[0, -1])
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(plan.scan, fontsize=9)
    _with_bar(figure, image, panels, chosen[0][0])
    caption = (
        "Where voids lie below redeposited Li, and how deep they are, in "
        f"{'the scan' if len(chosen) == 1 else 'scans'} after Li came back; grey: no void. Seen "
        f"across the cell, {_along(chosen[0][0])}."
    )
    return Drawn("lithium-voids.png", to_png(figure), "Voids below redeposited Li", caption)


def _edges(files: LithiumFiles) -> Drawn | None:
    """Faces of both electrodes along one line of the plan, in the chosen scans."""
    titles = stage_titles(files)
    drawn: list[tuple[str, str, PlanMap, Values]] = []
    for stage, scan in files.stages.items():
        for side in (STRIPPING, PLATING):
            plan = files.map_of(scan, f"position_{side.replace(' ', '_')}")
            if plan is not None and plan.pixel_um is not None:
                values = plan.read()
                drawn.append((stage, side, plan, values[values.shape[0] // 2]))
    if not drawn or all(not np.isfinite(cut).any() for *_, cut in drawn):
        return None
    plan, row = drawn[0][2], drawn[0][2].read().shape[0] // 2
    figure = Figure(figsize=_edge_size(drawn), layout="constrained")
    axes = figure.subplots()
    middles: dict[str, list[float]] = {STRIPPING: [], PLATING: []}
    for stage, side, of, cut in drawn:
        colour, dashes = _STAGE_LOOKS[stage]
        x = (np.arange(len(cut)) + 0.5) * (of.pixel_um or (1.0, 1.0))[1]
        label = titles[of.scan] if side == STRIPPING else None
        axes.plot(x, cut, color=colour, linestyle=dashes, linewidth=1.3, label=label)
        middles[side].append(float(np.nanmean(cut)) if np.isfinite(cut).any() else np.nan)
    plain(axes)
    axes.set(xlabel=f"along {plan.axes[1]} (µm)", ylabel="height across the cell (µm)")
    axes.set_aspect("equal")
    axes.margins(x=0.01, y=0.12)
    if np.nanmean(middles[STRIPPING]) < np.nanmean(middles[PLATING]):
        pairs = ((STRIPPING, 0.02, "bottom"), (PLATING, 0.98, "top"))
    else:
        pairs = ((PLATING, 0.02, "bottom"), (STRIPPING, 0.98, "top"))
    for side, y, va in pairs:
        axes.text(
            0.01, y, f"electrode, {side}", transform=axes.transAxes, va=va, fontsize=9, color=INK
        )
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    when = "first, half and full cycle" if files.cycler else "the first, middle and last scan"
    caption = (
        f"Inner faces of both electrodes at {when}, on the cross-section at {plan.axes[0]} = "
        f"{row * (plan.pixel_um or (1.0, 1.0))[0]:.0f} µm. Heights count from the centre of the "
        "volume; both axes have the same scale. A gap in a line: no electrode is seen there."
    )
    return Drawn("lithium-edges.png", to_png(figure), "Edges of the electrodes", caption)


def _edge_size(drawn: Sequence[tuple[str, str, PlanMap, Values]]) -> tuple[float, float]:
    """Return the size of the figure in inches at which both axes can have the same scale."""
    heights = np.concatenate([cut for *_, cut in drawn])
    span = 1.24 * max(float(np.nanmax(heights) - np.nanmin(heights)), 1.0)
    _, _, plan, cut = drawn[0]
    width = len(cut) * (plan.pixel_um or (1.0, 1.0))[1]
    inch_um = min((WIDTH_IN - 1.0) / width, 4.5 / span)
    return max(inch_um * width + 1.0, 4.5), max(inch_um * span, 1.2) + 1.0
