"""The lithium section of the page: its figures, and what to say of the cycler."""

from __future__ import annotations

from tomolith.core import ClassSchema, LabelClass
from tomolith.errors import TomolithError
from tomolith.measure.quantities.one_electrode import one_electrode
from tomolith.report.lithium_curves import draw_curves
from tomolith.report.lithium_cycler import draw_cycler
from tomolith.report.lithium_files import LithiumFiles, read_lithium
from tomolith.report.lithium_maps import draw_maps
from tomolith.report.lithium_style import Drawn
from tomolith.report.study_files import StudyFiles

ORDER = (
    *("lithium-volumes", "lithium-thickness", "lithium-coverage", "lithium-pits"),
    "lithium-plan-views",
    *("lithium-inventory", "lithium-capacity", "lithium-voltage"),
    *("lithium-edges", "lithium-swelling", "lithium-voids", "lithium-growth"),
    "lithium-pearson",
)
"""Names of all lithium figures, in the order of the page."""


def draw_lithium(files: StudyFiles, problems: list[str]) -> tuple[LithiumFiles, list[Drawn]]:
    """Return what was read, and every figure for which the numbers are there.

    Parameters
    ----------
    files
        The study.
    problems
        Sentences about files that are there and cannot be read are added.
    """
    found = read_lithium(
        files.root / "measurements",
        files.quantities,
        classes_of(files),
        problems,
        series=_named_series(files),
    )
    if not files.quantities:
        return found, []
    figures = [*draw_curves(found), *draw_cycler(found), *draw_maps(found, problems)]
    figures.sort(key=lambda figure: ORDER.index(figure.file_name.removesuffix(".png")))
    return found, figures


def _named_series(files: StudyFiles) -> tuple[str, ...]:
    """Return the scans that the step ``measure`` was told to be one cell."""
    for mark in files.marks:
        named = mark.settings.get("series") if mark.step == "measure" else None
        if isinstance(named, list):
            return tuple(map(str, named))
    return ()


def classes_of(files: StudyFiles) -> tuple[LabelClass, ...]:
    """Return the classes that were measured: of the label map, else of the recipe."""
    names = {row.labels for row in files.quantities}
    try:
        for scan in files.scans:
            for name in sorted(names & set(scan.label_names())):
                return one_electrode(scan.labels(name).schema).classes
        if "classes" in files.recipe:
            return one_electrode(ClassSchema.from_recipe(files.recipe["classes"])).classes
    except TomolithError:  # the page names damaged scans elsewhere
        pass
    return ()
