"""The faces of both electrodes on a cross-section, laid over each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.report.figures import to_png
from tomolith.report.lithium_files import LithiumFiles
from tomolith.report.lithium_style import WIDTH_IN, Drawn, legend, plain, stage_titles

_LOOKS = {
    "first": ("#000000", "-"),
    "half": ("#D55E00", (0, (5, 1.5))),
    "last": ("#0072B2", (0, (1.5, 1))),
}


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """Heights of a face along one line of the plan, in µm; NaN where there is none."""

    stage: str
    scan: str
    side: str
    axes: tuple[str, str]
    at_um: float
    along_um: npt.NDArray[np.float64]
    height_um: npt.NDArray[np.float32]


def draw_edges(files: LithiumFiles) -> Drawn | None:
    """Faces of both electrodes along the middle of the plan, in the chosen scans."""
    edges = [edge for edge in _read(files) if np.isfinite(edge.height_um).any()]
    if not edges or not files.series:  # edges of different cells say nothing together
        return None
    titles, first = stage_titles(files), edges[0]
    figure = Figure(figsize=_size(edges), layout="constrained")
    axes = figure.subplots()
    labelled: set[str] = set()
    for edge in edges:
        colour, dashes = _LOOKS[edge.stage]
        label = None if edge.scan in labelled else titles[edge.scan]
        labelled.add(edge.scan)
        axes.plot(*(edge.along_um, edge.height_um), c=colour, linestyle=dashes, lw=1.3, label=label)
    plain(axes)
    axes.set(xlabel=f"along {first.axes[1]} (µm)", ylabel="height across the cell (µm)")
    axes.set_aspect("equal")
    axes.margins(x=0.01, y=0.12)
    _name_sides(axes, edges)
    legend(figure, loc="outside lower center", n_columns=3)
    n_scans = len({edge.scan for edge in edges})
    caption = (
        f"Inner faces of both electrodes in {n_scans} scan{'s' if n_scans > 1 else ''}, on the "
        f"cross-section at {first.axes[0]} = "
        f"{first.at_um:.0f} µm. Heights count from the centre of the volume; both axes have the "
        "same scale. A gap in a line: no electrode is seen there."
    )
    return Drawn("lithium-edges.png", to_png(figure), "Edges of the electrodes", caption)


def _read(files: LithiumFiles) -> Iterator[_Edge]:
    for stage, scan in files.stages.items():
        for side in (STRIPPING, PLATING):
            entry = files.map_of(scan, f"position_{side.replace(' ', '_')}")
            if entry is None or entry.pixel_um is None:
                continue
            values, (down, right) = files.read(entry), entry.pixel_um
            row = values.shape[0] // 2
            along = (np.arange(values.shape[1]) + 0.5) * right
            yield _Edge(stage, scan, side, entry.axes, (row + 0.5) * down, along, values[row])


def _name_sides(axes: Axes, edges: Sequence[_Edge]) -> None:
    """Write the name of each side at its edge of the panel."""
    mean = {
        side: np.nanmean(np.concatenate([e.height_um for e in edges if e.side == side]))
        for side in dict.fromkeys(e.side for e in edges)
    }
    lowest = min(mean, key=lambda side: mean[side])
    for side in mean:
        y, va = (0.02, "bottom") if side == lowest else (0.98, "top")
        axes.text(0.01, y, f"electrode, {side}", transform=axes.transAxes, va=va, fontsize=9)


def _size(edges: Sequence[_Edge]) -> tuple[float, float]:
    """Return the size of the figure in inches at which both axes can have the same scale."""
    heights = np.concatenate([edge.height_um for edge in edges])
    span = 1.24 * max(float(np.nanmax(heights) - np.nanmin(heights)), 1.0)
    width = float(edges[0].along_um[-1])
    inch_um = min((WIDTH_IN - 1.0) / width, 4.5 / span)
    return max(inch_um * width + 1.0, 4.5), max(inch_um * span, 1.2) + 1.0
