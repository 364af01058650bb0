"""Names beside the dots of a scatter plot, where they hide neither each other nor a dot."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

# directions and alignment, the best first
_SIDES = (
    ((0, 1), "center", "bottom"),
    ((0, -1), "center", "top"),
    ((1, 0), "left", "center"),
    ((-1, 0), "right", "center"),
    ((1, 1), "left", "bottom"),
    ((-1, 1), "right", "bottom"),
    ((1, -1), "left", "top"),
    ((-1, -1), "right", "top"),
)
_GAPS_PT = (3, 14, 26, 38)  # between a dot and its name
_LINE_FROM_PT = 10  # names farther away are joined to their dots


@dataclass(frozen=True)
class Dot:
    """A dot of a scatter plot: its name, its place in the units of the axes, and its area."""

    name: str
    x: float
    y: float
    area_pt2: float

    @property
    def radius_pt(self) -> float:
        """Half of its width in points."""
        return math.sqrt(self.area_pt2 / math.pi)


def name_dots(figure: Figure, axes: Axes, dots: Sequence[Dot]) -> list[Annotation]:
    """Write names beside dots, each at the first of some places that is free.

    Where none is free a name stands above its dot. Limits and scales must be set before.

    Examples
    --------
    >>> figure = Figure()
    >>> axes = figure.subplots()
    >>> both = [Dot("unet", 0.5, 0.5, 40.0), Dot("ynet", 0.5, 0.5, 40.0)]
    >>> first, second = (text.get_window_extent() for text in name_dots(figure, axes, both))
    >>> bool(first.overlaps(second))
    False
    """
    figure.draw_without_rendering()  # settles the layout, in which texts are measured
    taken = [_outline(figure, axes, dot) for dot in dots]
    found = []
    for dot in sorted(dots, key=lambda dot: -dot.y):
        for gap, side in itertools.product(_GAPS_PT, _SIDES):
            text = _write(axes, dot, gap, side)
            box = text.get_window_extent()
            inside = axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max)
            if inside and not any(box.overlaps(other) for other in taken):
                if gap > _LINE_FROM_PT:
                    _join(axes, dot, text)
                break
            text.remove()
        else:
            text = _write(axes, dot, _GAPS_PT[0], _SIDES[0])
        taken.append(text.get_window_extent())
        found.append(text)
    return found


def _outline(figure: Figure, axes: Axes, dot: Dot) -> Bbox:
    centre = axes.transData.transform((dot.x, dot.y))
    radius = dot.radius_pt * figure.dpi / 72
    return Bbox([centre - radius, centre + radius])


def _write(axes: Axes, dot: Dot, gap: float, side: tuple[tuple[int, int], str, str]) -> Annotation:
    (right, up), across, along = side
    reach = (dot.radius_pt + gap) / math.hypot(right, up)
    text = axes.annotate(
        dot.name,
        (dot.x, dot.y),
        xytext=(right * reach, up * reach),
        textcoords="offset points",
        ha=across,
        va=along,
        fontsize=9,
    )
    text.set_in_layout(False)
    return text


def _join(axes: Axes, dot: Dot, text: Annotation) -> None:
    """Draw a thin line from a dot to its name."""
    line = {"arrowstyle": "-", "lw": 0.6, "color": "#888888", "shrinkA": 0, "shrinkB": 0}
    joined = axes.annotate(
        "", (dot.x, dot.y), xytext=text.xyann, textcoords="offset points", arrowprops=line
    )
    joined.set_in_layout(False)
