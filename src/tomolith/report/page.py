"""Puts the page together: reads the study, draws the figures, fills the template."""

from __future__ import annotations

import base64
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files as resource_files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tomolith.core import LabelClass
from tomolith.measure.confusion import ConfusionRecord
from tomolith.report import comparison, comparison_figures, figures, words
from tomolith.report.figures import FIGURE_DPI
from tomolith.report.judged import shown_verdict
from tomolith.report.lithium import draw_lithium
from tomolith.report.previews import SUBSETS, Preview, make_previews
from tomolith.report.refined import shown_refinement
from tomolith.report.settings import ReportSettings
from tomolith.report.study_files import ModelFiles, StudyFiles, read_study
from tomolith.report.tabulate import Table, at_a_glance, per_scan, score_tables, volume_table
from tomolith.store.atomic import write_bytes, write_text

_SCREEN_DPI = 100
_SHOWN_VERSIONS = ("tomolith", "numpy", "torch", "lightning", "zarr", "scikit-image")


@dataclass(frozen=True)
class Picture:
    """A figure of the page: what it is, in words, and where it lies."""

    title: str
    alt: str
    source: str
    caption: str = ""
    width_px: int = 0


@dataclass(frozen=True)
class PreviewRow:
    """The pictures of one slice."""

    caption: str
    note: str
    is_wide: bool
    pictures: tuple[Picture, ...]
    classes: tuple[LabelClass, ...]


@dataclass(frozen=True)
class Compared:
    """The section on several systems."""

    summary: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Lithium:
    """The section on lithium: its figures, the cycler file, and what was decided about it."""

    pictures: tuple[Picture, ...]
    cycler_file: str
    notes: tuple[str, ...]


class _Album:
    """Saves every figure as a file and hands back the picture for the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[str] = set()

    def add(
        self, file_name: str, png: bytes, *, title: str, alt: str, caption: str = ""
    ) -> Picture:
        write_bytes(self._folder / file_name, png)
        self._kept.add(file_name)
        text = base64.b64encode(png).decode("ascii")
        width_px = round(int.from_bytes(png[16:20], "big") * _SCREEN_DPI / FIGURE_DPI)
        return Picture(title, alt, f"data:image/png;base64,{text}", caption, width_px)

    def drop_others(self) -> None:
        """Remove figures of an earlier report, which would not fit this one."""
        for path in self._folder.glob("*.png"):
            if path.name not in self._kept:
                path.unlink()


def write_page(study: Path, settings: ReportSettings) -> Path:
    """Write the report of a study folder; see :func:`tomolith.report.write_report`."""
    files = read_study(study)
    album = _Album(files.root / "report" / "figures")
    path = files.root / "report" / "index.html"
    write_text(path, _page(files, settings, album))
    album.drop_others()
    return path


def _page(files: StudyFiles, settings: ReportSettings, album: _Album) -> str:
    previews, problems = make_previews(files, settings)
    verdict = shown_verdict(files, problems)
    lithium = _lithium(files, album, problems)
    refined = shown_refinement(files, problems)
    subset = words.headline_subset(files)
    return _template().render(
        title=settings.title or files.name,
        style=_style(),
        summary=words.summary(files),
        simulated=words.simulated(files),
        verdict=verdict,
        lithium=lithium,
        refined=refined,
        problems=[*files.problems, *problems],
        scans=words.scan_rows(files),
        previews=_preview_rows(previews, album),
        models=files.models,
        splits=words.split_rows(files),
        curves=_curves(files, album),
        confusions=_confusions(files, album),
        reliability=_reliability(files, album),
        glance=at_a_glance(files.scores),
        scores=score_tables(files.scores, subset=subset),
        other_scores=score_tables(files.scores, subset=subset, others=True),
        by_scan=per_scan(files.scores),
        patch_px=files.scores.patch_px if files.scores else 0,
        unscored=words.unscored(files),
        volumes=volume_table(files.quantities),
        compared=_compared(files, album),
        colours=words.class_colours(files),
        recipe=files.recipe_text,
        overrides=words.override_rows(files),
        steps=words.step_rows(files),
        versions=_versions(),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("tomolith.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _preview_rows(previews: Sequence[Preview], album: _Album) -> list[PreviewRow]:
    return [
        PreviewRow(
            caption=words.slice_caption(p.scan_id, p.z, SUBSETS[p.subset]),
            note=p.note,
            is_wide=p.is_wide,
            pictures=tuple(
                album.add(
                    panel.file_name,
                    panel.png,
                    title=panel.title,
                    alt=f"{panel.title} of slice {p.z} of {p.scan_id}",
                )
                for panel in p.panels
            ),
            classes=p.classes,
        )
        for p in previews
    ]


def _style() -> str:
    folder = resource_files("tomolith.report") / "templates"
    return (folder / "style.css").read_text(encoding="utf-8")


def _curves(files: StudyFiles, album: _Album) -> list[Picture]:
    return [
        album.add(
            f"training-{model.name}.png",
            figures.curves_png(model.log),
            title=f"Model '{model.name}' ({_network(model)})",
            alt=f"Loss and mean IoU against the epoch for model {model.name}",
        )
        for model in files.models
        if model.log
    ]


def _network(model: ModelFiles) -> str:
    seen = f", {model.n_slices} slices at a time" if model.n_slices > 1 else ""
    return f"{model.network}{seen}"


def _confusions(files: StudyFiles, album: _Album) -> list[Picture]:
    records: tuple[ConfusionRecord, ...] = files.scores.confusions if files.scores else ()
    subset = words.headline_subset(files)
    return [
        album.add(
            f"confusion-{record.system}-{record.subset}.png",
            figures.confusion_png(record),
            title=f"{words.system_name(record.system)}, {words.subset_name(record.subset)}",
            alt=f"Confusion matrix of {record.system} on the {record.subset} slices",
        )
        for record in records
        if record.subset == subset
    ]


def _compared(files: StudyFiles, album: _Album) -> Compared | None:
    """Return the section on several systems; ``None`` where none were compared."""
    found = files.comparison
    if found is None:
        return None
    pictures = [
        album.add(figure.file_name, figure.png, title=figure.title, alt=figure.alt)
        for figure in comparison_figures.draw(files.root, found)
    ]
    return Compared(
        words.compared(found),
        tuple(comparison.tables(found)),
        tuple(comparison.notes(found)),
        tuple(pictures),
    )


def _lithium(files: StudyFiles, album: _Album, problems: list[str]) -> Lithium | None:
    """Return the section on lithium; ``None`` where there is nothing to draw."""
    found, drawn = draw_lithium(files, problems)
    if not drawn:
        return None
    pictures = [
        album.add(f.file_name, f.png, title=f.title, alt=f.title, caption=f.caption) for f in drawn
    ]
    cycler = found.cycler
    return Lithium(tuple(pictures), cycler.file if cycler else "", cycler.notes if cycler else ())


def _reliability(files: StudyFiles, album: _Album) -> list[Picture]:
    subset = words.headline_subset(files)
    return [
        album.add(
            f"reliability-{record.system}-{record.subset}.png",
            figures.reliability_png(record),
            title=f"{words.system_name(record.system)}, {words.subset_name(record.subset)}",
            alt=f"Reliability diagram of {record.system} on the {record.subset} slices",
        )
        for record in (files.scores.reliability if files.scores else ())
        if record.subset == subset
    ]


def _versions() -> list[tuple[str, str]]:
    found = [("Python", platform.python_version())]
    for name in _SHOWN_VERSIONS:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found
