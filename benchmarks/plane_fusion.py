"""A U-Net for each plane of the slices, and the fusion of several, on a held-out scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import table
from benchmarks.comparisons import RECIPES, note_commit
from benchmarks.examples import read_scores
from benchmarks.extent import Extent
from tomolith.app.run import run_study
from tomolith.app.study import Study

RECIPE = "ablation_planes"
PLANES = ("xy", "yz", "xz")
FUSED = (("xy", "yz"), ("xy", "xz"), ("xy", "xz", "yz"))
SHOWN = (("yz",), ("xz",), ("xy", "xz", "yz"))  # to the network of xy
_TEST_PULSE = 15
Scores = Mapping[str, str]


def plane_tables(extent: Extent, folder: Path) -> list[str]:
    """Train and predict in ``folder``, and return the words and tables of the page."""
    note_commit(folder)
    base = _recipe(extent)
    learnt = {plane: _scores(_of_plane(base, plane), folder / plane) for plane in PLANES}
    for members in FUSED:
        name = "-".join(members)
        learnt[" + ".join(members)] = _scores(_of_fusion(base, members, folder), folder / name)
    shown = {
        " + ".join(planes): _scores(_of_plane(base, "xy", planes), folder / "xy")
        for planes in SHOWN
    }
    return [
        _words(extent),
        f"**Learnt from the planes that are predicted (IoU)**\n\n{_table('planes', learnt)}",
        "**Learnt from xy alone, other planes predicted (IoU)**\n\n" + _table("planes", shown),
    ]


def _words(extent: Extent) -> str:
    length = "They are trained by the recipe's epochs."
    if extent.is_short:
        length = (
            f"**A shortened run**: {extent.minutes or 0.05:g} minutes of training for each; "
            "differences of a few hundredths may be chance."
        )
    return (
        "The layers of the cell follow each other along y: slices xy and yz are cross-sections, "
        "slices xz lie in the plane of the cell. A U-Net for each plane learns from the same "
        "hand-labelled slices xy, of which the other planes see lines, and labels a scan that is "
        f"held out whole; several are fused by the mean of their logits. {length} One seed."
    )


def _recipe(extent: Extent) -> dict[str, Any]:
    text = (RECIPES / f"{RECIPE}.yaml").read_text(encoding="utf-8")
    recipe: dict[str, Any] = yaml.safe_load(text)
    if extent.is_short:
        recipe["train"] |= {"epochs": 100_000, "patience": None, "batch": 4}
        recipe["train"] |= {"minutes": extent.minutes or 0.05, "patches_per_epoch": 512}
    if extent.quick:
        recipe["phantom"] |= {"shape_zyx": [32, 300, 256], "hand_labelled_slices": 4, "n_pits": 2}
        recipe["train"] |= {"patches_per_epoch": 16, "patch_px": 32}
    if extent.threads is not None:
        for section in ("train", "predict"):
            recipe[section]["threads"] = extent.threads
    return recipe


def _of_plane(
    base: Mapping[str, Any], plane: str, planes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the recipe that learns from one plane, and predicts it or others."""
    return {
        **base,
        "train": {**base["train"], "plane": plane, "model": plane},
        "predict": {**base["predict"], "model": plane}
        | ({} if planes is None else {"planes": list(planes)}),
    }


def _of_fusion(base: Mapping[str, Any], members: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the recipe that fuses what was learnt, on the held-out scan alone."""
    models = [str(folder / plane / "study" / "models" / plane) for plane in members]
    return {
        **{key: value for key, value in base.items() if key != "train"},
        "phantom": {**base["phantom"], "scans": [_TEST_PULSE]},
        "ensemble": {"members": models, "weights": [1] * len(models), "model": "fused"},
        "predict": {**base["predict"], "model": "fused"},
    }


def _scores(recipe: Mapping[str, Any], folder: Path) -> Scores:
    """Run a recipe in ``folder``, and return the IoU by class."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    study = Study.load(path)
    run_study(study, say=print, until="evaluate")
    rows = read_scores(study, subset="test")
    return {class_name: iou for system, class_name, iou, *_ in rows if system != "otsu"}


def _table(heading: str, scores: Mapping[str, Scores]) -> str:
    classes = list(next(iter(scores.values())))
    return table(
        (heading, *classes), [(name, *(of[c] for c in classes)) for name, of in scores.items()]
    )
