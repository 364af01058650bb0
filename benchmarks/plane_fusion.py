"""A network for each plane of the slices, and the fusion of several, on a held-out scan."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import Result, table
from benchmarks.comparisons import RECIPES, note_commit
from benchmarks.extent import Extent, work_folder
from tomolith.app.run import run_study
from tomolith.app.study import Study

RECIPE = "plane_fusion"
NETWORKS = ("unet", "residual_unet")
PLANES = ("xy", "yz", "xz")
FUSED = (("xy", "yz"), ("xy", "xz"), ("xy", "xz", "yz"))
SHOWN = (("yz",), ("xz",), ("xy", "xz", "yz"))  # to the U-Net that learnt from xy
_TEST_PULSE = 15
_SHOWN_AS = {"ece": "calibration error"}
Scores = Mapping[str, str]


def run(extent: Extent) -> Result:
    """Train a network for each plane, fuse them, and return the page."""
    with work_folder(extent, RECIPE) as folder:
        note_commit(folder)
        base = _recipe(extent)
        parts = [
            f"**`{name}`, learnt from the planes that are predicted: IoU**\n\n"
            + _table(_learnt(base, name, folder / name))
            for name in NETWORKS
        ]
        first = folder / NETWORKS[0] / "xy"
        shown = {
            " + ".join(planes): _scores(_of_plane(base, NETWORKS[0], "xy", planes), first)
            for planes in SHOWN
        }
        trained = ", ".join((folder / "commits.txt").read_text().splitlines())
    parts.append(
        f"**`{NETWORKS[0]}`, learnt from xy alone, other planes predicted: IoU**\n\n"
        + _table(shown)
    )
    return Result(
        "Planes and their fusion",
        "The layers of a simulated cell (preset `operando-256`, half as deep) follow each other "
        "along y: slices xy and yz are cross-sections, slices xz lie in the plane of the cell. A "
        "network for each plane learns from the same hand-labelled slices xy, of which the other "
        "planes see lines, and labels a scan that is held out whole; several are fused by the "
        f"mean of their logits, as in batteryNET (Huang et al.). {_extent_words(extent)}",
        parts,
        [
            "A fusion is scored with the mean temperature of its members: no slices validate them "
            "all.",
            "`residual_unet` is batteryNET's network, here with the Dice loss and the patches of "
            "the U-Net.",
        ],
        arguments=extent.arguments,
        circumstances=[
            ("trained at commit", trained),
            ("seeds", "0"),
            ("threads of the networks", str(extent.threads or "all cores")),
        ],
    )


def _extent_words(extent: Extent) -> str:
    if not extent.is_short:
        return "They are trained by the recipe's epochs. One seed."
    return (
        f"**A shortened run**: {extent.minutes or 0.05:g} minutes of training for each; "
        "differences of a few hundredths may be chance. One seed."
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


def _learnt(base: Mapping[str, Any], network: str, folder: Path) -> dict[str, Scores]:
    """Return what a network for each plane finds, and what their fusions do."""
    found = {p: _scores(_of_plane(base, network, p), folder / p) for p in PLANES}
    for members in FUSED:
        recipe = _of_fusion(base, members, folder)
        found[" + ".join(members)] = _scores(recipe, folder / "-".join(members))
    return found


def _of_plane(
    base: Mapping[str, Any], network: str, plane: str, planes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the recipe that learns from one plane, and predicts it or others."""
    return {
        **base,
        "train": {**base["train"], "network": network, "plane": plane, "model": plane},
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
    """Run a recipe in ``folder``; return the IoU by class, and the calibration error."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    study = Study.load(path)
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


def _table(scores: Mapping[str, Scores]) -> str:
    columns = list(next(iter(scores.values())))
    rows = [(name, *(of[column] for column in columns)) for name, of in scores.items()]
    return table(("planes", *columns), rows)
