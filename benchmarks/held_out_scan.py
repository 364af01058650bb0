"""What the benchmarks share that learn from several scans of a cell and label another one."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import table
from benchmarks.comparisons import RECIPES, note_commit, training_rows
from benchmarks.extent import Extent
from tomolith.app.run import run_study
from tomolith.app.steps import STEPS
from tomolith.app.steps.base import is_done
from tomolith.app.study import Study

RECIPE = "plane_fusion"
TEST_PULSE = 15
_SHOWN_AS = {"ece": "calibration error"}
Scores = Mapping[str, str]


def load_recipe(extent: Extent) -> dict[str, Any]:
    """Return the recipe of ``plane_fusion`` for ``extent``."""
    text = (RECIPES / f"{RECIPE}.yaml").read_text(encoding="utf-8")
    recipe: dict[str, Any] = yaml.safe_load(text)
    if extent.is_short:
        recipe["train"] |= {"epochs": 100_000, "patience": None, "batch": 4}
        recipe["train"] |= {"minutes": extent.minutes or 0.05, "patches_per_epoch": 512}
    if extent.quick:
        recipe["phantom"] |= {"shape_zyx": [64, 300, 128], "hand_labelled_slices": 4, "n_pits": 2}
        recipe["phantom"]["scans"] = [3, 9, TEST_PULSE]
        recipe["train"] |= {"patches_per_epoch": 16, "patch_px": 64}
    if extent.threads is not None:
        for section in ("train", "predict"):
            recipe[section]["threads"] = extent.threads
    return recipe


def extent_words(extent: Extent) -> str:
    """Say how long each network was trained."""
    if not extent.is_short:
        return "They are trained by the recipe's epochs. One seed."
    return (
        f"**A shortened run**: {extent.minutes or 0.05:g} minutes of training for each; "
        "differences of a few hundredths may be chance. One seed."
    )


def run_scores(recipe: Mapping[str, Any], folder: Path) -> Scores:
    """Run a recipe in ``folder``; return the IoU by class, and the calibration error."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    study = Study.load(path)
    if "train" in recipe and not is_done(STEPS["train"], study):
        note_commit(folder)
    run_study(study, say=print, until="evaluate")
    with (study.measurements / "scores.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["scan"], row["convention"], row["subset"]) == ("all", "pooled", "test")
            and row["system"] != "otsu"
        ]
    found = {row["class"] or "mean": row["value"] for row in rows if row["metric"] == "iou"}
    found |= {_SHOWN_AS[row["metric"]]: row["value"] for row in rows if row["metric"] in _SHOWN_AS}
    return {name: f"{float(value):.3f}" for name, value in found.items()}


def score_table(scores: Mapping[str, Scores], of_what: str) -> str:
    """Return the scores of several systems, of which ``of_what`` says what they differ in."""
    columns = list(next(iter(scores.values())))
    rows = [(name, *(of[column] for column in columns)) for name, of in scores.items()]
    return table((of_what, *columns), rows)


def circumstances_of(extent: Extent, folder: Path) -> list[tuple[str, str]]:
    """Return the rows that tell seeds, threads and the commits of the trainings in ``folder``."""
    return training_rows(
        sorted(path.parent for path in folder.rglob("commits.txt")), [0], extent.threads
    )
