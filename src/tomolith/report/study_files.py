"""Reads the files of a study, as far as they are there."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tomolith.errors import InputError, ReadError, TomolithError
from tomolith.measure.evaluate import Scores
from tomolith.measure.rows import QuantityRow
from tomolith.measure.tables import read_scores, read_table
from tomolith.report.compared import Comparison, read_comparison
from tomolith.store.scan import Scan


@dataclass(frozen=True)
class SliceRange:
    """Slices ``z_start`` to ``z_stop`` (not included) of a scan."""

    scan_id: str
    z_start: int
    z_stop: int


@dataclass(frozen=True)
class ModelFiles:
    """What a model folder says about training.

    Parameters
    ----------
    name
        Name of the folder.
    network
        Name of the network.
    seed
        Random seed.
    log
        Columns of ``log.csv``; ``None`` for empty cells.
    split
        Slices of each subset.
    n_slices
        How many slices it sees at a time.
    """

    name: str
    network: str
    seed: int | None = None
    log: dict[str, list[float | None]] = field(default_factory=dict)
    split: dict[str, list[SliceRange]] = field(default_factory=dict)
    n_slices: int = 1


@dataclass(frozen=True)
class StepMark:
    """When a step ran, and with what.

    Parameters
    ----------
    settings
        Its section of the recipe as it was run, overrides included.
    overrides
        What was given with ``--set``.
    outputs
        Paths of what it made, relative to the study.
    """

    step: str
    started: str
    seconds: float | None
    key: str
    code_version: str
    summary: str
    settings: dict[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyFiles:
    """All that the report shows of a study.

    Parameters
    ----------
    problems
        Sentences about files that are there and cannot be read.
    """

    root: Path
    recipe_text: str | None
    recipe: dict[str, Any]
    scans: tuple[Scan, ...]
    models: tuple[ModelFiles, ...]
    scores: Scores | None
    quantities: tuple[QuantityRow, ...]
    marks: tuple[StepMark, ...]
    problems: tuple[str, ...]
    comparison: Comparison | None = None

    @property
    def name(self) -> str:
        """Name of the study: from the recipe, else the folder's."""
        return str(self.recipe.get("name") or self.root.name)

    def chosen(self, step: str, key: str, default: str) -> str:
        """Return a name from the settings of a step: as it was run, else as in the recipe."""
        for mark in self.marks:
            if mark.step == step and key in mark.settings:
                return str(mark.settings[key])
        section = self.recipe.get(step)
        return str(section.get(key, default)) if isinstance(section, dict) else default


def read_study(root: Path) -> StudyFiles:
    """Read a study folder.

    Raises
    ------
    InputError
        It is no folder, or holds neither a recipe nor scans nor measurements.
    """
    root = root.resolve()
    names = ("recipe.yaml", "scans", "models", "measurements")
    if not any((root / name).exists() for name in names):
        raise InputError(
            "this is no study: it holds neither a recipe nor results",
            expected=f"a folder with {', '.join(names)}",
            where=root,
            mend="give the folder that 'tomolith run' wrote",
        )
    problems: list[str] = []
    # what was last run; the study's own recipe.yaml may be another one
    text = _text(root / ".tomolith" / "recipe.yaml") or _text(root / "recipe.yaml")
    recipe = _yaml(text)
    marks = tuple(_active(_marks(root / ".tomolith" / "steps"), recipe))
    return StudyFiles(
        root=root,
        recipe_text=text,
        recipe=recipe,
        scans=tuple(_scans(root, marks, problems)),
        models=tuple(
            _model(folder)
            for folder in _made(root, "models", "*/", marks)
            if not (folder / "compare.json").exists()  # these are shown as a comparison
        ),
        scores=_scores(root / "measurements", problems),
        quantities=_quantities(root / "measurements", problems),
        marks=marks,
        comparison=_comparison(root, marks, recipe, problems),
        problems=tuple(problems),  # last: reading adds to them
    )


def _active(marks: Sequence[StepMark], recipe: dict[str, Any]) -> list[StepMark]:
    """Leave out the marks of steps that the recipe (or an override) no longer asks for."""
    if not recipe:
        return list(marks)
    overridden = {o.partition("=")[0].split(".")[0] for mark in marks for o in mark.overrides}
    return [mark for mark in marks if mark.step in {*recipe, *overridden}]


def _made(root: Path, folder: str, pattern: str, marks: Sequence[StepMark]) -> list[Path]:
    """Return what lies in ``folder``, without what the last runs of the steps did not make."""
    found = sorted((root / folder).glob(pattern))
    makers = ("phantom", "reconstruct", "import") if folder == "scans" else ("train", "ensemble")
    outputs = [Path(o).parts for mark in marks if mark.step in makers for o in mark.outputs]
    names = {parts[1] for parts in outputs if len(parts) > 1 and parts[0] == folder}
    return [path for path in found if path.name in names] if names else found


def _scans(root: Path, marks: Sequence[StepMark], problems: list[str]) -> list[Scan]:
    found = []
    for path in _made(root, "scans", "*.zarr", marks):
        try:
            found.append(Scan.open(path))
        except TomolithError as error:
            problems.append(f"Scan {path.stem} is not shown: {error.found}.")
    return found


def _scores(folder: Path, problems: list[str]) -> Scores | None:
    if not (folder / "scores.parquet").exists():
        return None
    try:
        return read_scores(folder)
    except ReadError as error:
        problems.append(f"The scores are not shown: {error.found}.")
        return None


def _comparison(
    root: Path, marks: Sequence[StepMark], recipe: dict[str, Any], problems: list[str]
) -> Comparison | None:
    if recipe and "compare" not in {*recipe, *(mark.step for mark in marks)}:
        return None  # left over from another recipe
    try:
        return read_comparison(root)
    except ReadError as error:
        problems.append(f"The comparison is not shown: {error.found}.")
        return None


def _quantities(folder: Path, problems: list[str]) -> tuple[QuantityRow, ...]:
    if not (folder / "quantities.parquet").exists():
        return ()
    try:
        return read_table(folder / "quantities", QuantityRow)
    except ReadError as error:
        problems.append(f"The measurements are not shown: {error.found}.")
        return ()


def _model(folder: Path) -> ModelFiles:
    card = _yaml(_text(folder / "model.yaml"))
    network, made = card.get("network"), card.get("provenance")
    name = network.get("name") if isinstance(network, dict) else network
    seed = made.get("seed") if isinstance(made, dict) else None
    return ModelFiles(
        name=folder.name,
        network=str(name or "network"),
        seed=seed,
        log=read_log(folder / "log.csv"),
        split=_split(folder / "split.json"),
        n_slices=int(_number(card.get("in_channels")) or 1),
    )


def read_log(path: Path) -> dict[str, list[float | None]]:
    """Return the columns of a ``log.csv``; nothing where it is missing."""
    text = _text(path)
    if not text:
        return {}
    rows = list(csv.DictReader(text.splitlines()))
    return {name: [_number(row.get(name)) for row in rows] for name in (rows[0] if rows else ())}


def _split(path: Path) -> dict[str, list[SliceRange]]:
    """Return the ranges by subset; slices of another plane than xy are named so."""
    text = _text(path)
    try:
        subsets = json.loads(text) if text else {}
        plane = subsets.get("plane", "xy")
        across = "" if plane == "xy" else f", slices of the plane {plane}"
        return {
            f"{name}{'' if name == 'test' else across}": [
                SliceRange(str(s), int(a), int(b)) for s, a, b in ranges
            ]
            for name, ranges in subsets.items()
            if isinstance(ranges, list)
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def _marks(folder: Path) -> list[StepMark]:
    marks = []
    for path in folder.glob("*.json"):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        settings, overrides = values.get("settings"), values.get("overrides")
        outputs = values.get("outputs")
        marks.append(
            StepMark(
                step=path.stem,
                started=str(values.get("started_utc") or values.get("started") or ""),
                seconds=_number(values.get("seconds")),
                key=str(values.get("key", "")),
                code_version=str(values.get("code_version", "")),
                summary=str(values.get("summary", "")),
                settings=settings if isinstance(settings, dict) else {},
                overrides=tuple(map(str, overrides)) if isinstance(overrides, list) else (),
                outputs=tuple(outputs) if isinstance(outputs, dict) else (),
            )
        )
    return sorted(marks, key=lambda mark: mark.started)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def _yaml(text: str | None) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
