"""Whether scans are a series: one cell, on one grid, in the order of time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tomolith.core import ClassSchema, Grid
from tomolith.errors import InputError, MismatchError

_MEND = "name the scans of one cell in order under 'measure.series'; [] means no series"


@dataclass(frozen=True, slots=True)
class SeriesScan:
    """What must go together in a series.

    Parameters
    ----------
    name
        Of the scan.
    grid, schema
        Of its label map.
    time_s
        When it was taken; ``None`` where nobody knows.
    """

    name: str
    grid: Grid
    schema: ClassSchema
    time_s: float | None = None


def check_series(scans: Sequence[SeriesScan]) -> None:
    """Refuse scans that are no series.

    Raises
    ------
    InputError
        A scan is named twice, or was not taken after the one before it.
    MismatchError
        Scans differ in shape, voxel size or classes, or are independent 2-D images.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> grids = Grid((4, 4, 4), (1.0, 1.0, 1.0)), Grid((4, 4, 5), (1.0, 1.0, 1.0))
    >>> scans = [SeriesScan(n, g, PRESETS["li-binary"]) for n, g in zip("ab", grids)]
    >>> check_series(scans[:1])
    >>> check_series(scans)
    Traceback (most recent call last):
    ...
    tomolith.errors.MismatchError: scan 'b' of the series has 4 × 4 × 5 voxels, 'a' has 4 × 4 × 4
      expected: scans of one cell on one grid
      to mend:  name the scans of one cell in order under 'measure.series'; [] means no series
    """
    for i, scan in enumerate(scans):
        if scan.name in [earlier.name for earlier in scans[:i]]:
            raise InputError(
                f"the scan '{scan.name}' stands twice in the series",
                expected="each scan of one cell once, in the order in which they were taken",
                mend="take one of them out of 'measure.series'",
            )
        for what, of_first, of_this in _facts(scans[0], scan):
            if of_first != of_this:
                raise MismatchError(
                    f"scan '{scan.name}' of the series has {of_this}{what}, "
                    f"'{scans[0].name}' has {of_first}",
                    expected="scans of one cell on one grid",
                    mend=_MEND,
                )
    for before, after in itertools.pairwise(scans):
        if before.time_s is not None and after.time_s is not None:
            _check_times(before.name, before.time_s, after.name, after.time_s)


def _facts(first: SeriesScan, this: SeriesScan) -> list[tuple[str, str, str]]:
    """Return what must be equal: words behind it, and what it is of the two scans."""
    shapes = [" × ".join(map(str, s.grid.shape_zyx)) for s in (first, this)]
    kinds = ["independent 2-D images" if s.grid.sections else "a volume" for s in (first, this)]
    classes = [", ".join(s.schema.names) for s in (first, this)]
    return [
        ("", kinds[0], kinds[1]),
        (" voxels", shapes[0], shapes[1]),
        ("", _size(first.grid), _size(this.grid)),
        ("", f"the classes {classes[0]}", f"the classes {classes[1]}"),
    ]


def _size(grid: Grid) -> str:
    if grid.voxel_size_um is None:
        return "no known voxel size"
    return "voxels of " + " × ".join(f"{size:g}" for size in grid.voxel_size_um) + " µm"


def _check_times(first: str, first_s: float, second: str, second_s: float) -> None:
    if second_s > first_s:
        return
    relation = "at the same time as" if second_s == first_s else "before"
    raise InputError(
        f"scan '{second}' ({second_s / 60:g} min) follows '{first}' ({first_s / 60:g} min) in the "
        f"series, but was taken {relation} it",
        expected="scans of one cell in the order in which they were taken",
        mend=_MEND,
    )
