"""Which scans of a study are one cell in the order of time, and when they were taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tomolith.app.study import Study
from tomolith.core import LabelMap
from tomolith.errors import InputError, TomolithError
from tomolith.measure.quantities.sides import has_electrodes
from tomolith.measure.series_check import SeriesScan, check_series
from tomolith.phantom.settings import PhantomSettings, scan_name


@dataclass(frozen=True)
class StudySeries:
    """The scans of one cell, in the order of time.

    Parameters
    ----------
    scans
        Names; none where there is no series.
    times_s
        When they were taken, as far as known, on the scanner's clock.
    why_not
        Why the measured scans are no series, where nobody named one; else empty.
    """

    scans: tuple[str, ...] = ()
    times_s: Mapping[str, float] | None = None
    why_not: str = ""


def find_series(study: Study, measured: Sequence[str]) -> StudySeries:
    """Return the series that the recipe names, or all measured scans if they can be one.

    Scans that nobody named are taken for a series where there is a class *electrode*. What does
    not go together is refused where the recipe names a series or a cycler file; else there is
    no series, and it says why.

    Raises
    ------
    InputError
        A scan is named that is not measured or named twice, scans are out of order, or the voxel
        size, which the cycler's charge is scaled by, is unknown.
    MismatchError
        Scans differ in shape, voxel size or classes.
    """
    section = study.recipe.measure
    is_named = section.series is not None
    scans = study.chosen_scans(section.series, key="measure.series") if is_named else measured
    if section.series == ():
        return StudySeries()
    for scan_id in scans:
        if scan_id not in measured:
            raise InputError(
                f"'measure.series' names the scan '{scan_id}', which is not measured",
                expected=f"scans with the label map '{section.labels}': {', '.join(measured)}",
                where=study.recipe_path,
            )
    labels = {scan_id: study.scan(scan_id).labels(section.labels) for scan_id in scans}
    if not is_named and section.cycler is None and not _looks_like_a_cell(labels):
        return StudySeries()
    times_s = scan_times_s(study)
    try:
        check_series(
            [SeriesScan(s, labels[s].grid, labels[s].schema, times_s.get(s)) for s in scans]
        )
    except TomolithError as error:
        if is_named or section.cycler is not None:
            raise
        return StudySeries(why_not=error.found)
    if section.cycler is not None:
        _require_volumes(labels)
    return StudySeries(tuple(scans), {s: times_s[s] for s in scans if s in times_s})


def order_in_words(study: Study, scans: Sequence[str], *, placed: bool = False) -> str:
    """Return the order of the series, where it is taken from, and whether times confirm it.

    Parameters
    ----------
    scans
        Of the series.
    placed
        Whether the cycler file has placed them, by time or by the pulses that the recipe gives.
    """
    recipe, times_s = study.recipe, scan_times_s(study)
    imported = recipe.import_.scans if recipe.import_ else ()
    if recipe.measure.series is not None:
        source = "'measure.series'"
    elif any("{stem}" in entry.id for entry in imported):
        source = "the names of the files, by number"
    else:
        source = "the recipe"
    known = placed or all(scan in times_s for scan in scans)
    unknown = "" if known else "; when they were taken is not known"
    return f"order {', '.join(scans)} taken from {source}{unknown}"


def scan_times_s(study: Study) -> dict[str, float]:
    """Return when scans were taken that know it themselves: those of a simulated cell."""
    settings = study.recipe.phantom
    if not isinstance(settings, PhantomSettings):
        return {}
    return {
        scan_name(cell, state): settings.protocol.scan_time_s(state)
        for cell in range(settings.n_cells)
        for state in settings.scans
    }


def _looks_like_a_cell(labels: Mapping[str, LabelMap]) -> bool:
    return len(labels) > 1 and all(
        has_electrodes(m.schema) and not m.grid.sections for m in labels.values()
    )


def _require_volumes(labels: Mapping[str, LabelMap]) -> None:
    for scan_id, labelmap in labels.items():
        if labelmap.grid.sections or not labelmap.grid.is_physical:
            raise InputError(
                f"the charge cannot be scaled to the area of scan '{scan_id}': it "
                + ("holds 2-D images" if labelmap.grid.sections else "has no known voxel size"),
                expected="volumes with a known voxel size",
                mend="give 'voxel_size_um' for this scan, or leave out 'measure.cycler'",
            )
