"""Predicted labels of a simulated series are refined, scored beside the others, and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tomolith.app.check import check_study
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.app.verify import verify_study

pytestmark = [pytest.mark.slow, pytest.mark.slow_ci]

RECIPE = {
    "name": "refined cell",
    "classes": "li-operando",
    "phantom": {"preset": "tiny", "shape_zyx": [24, 64, 64], "scans": [0, 6, 12]},
    "train": {
        "network": {"name": "unet", "channels": 8, "depth": 3},
        "labels": "truth",
        "patch_px": 32,
        "epochs": 3,
    },
    "predict": {
        "patch_px": 32,
        "backend": "torch",
        "precision": "fp32",
        "probabilities": True,
    },
    "refine": {"time": {}},
    "evaluate": {"patch_px": 32},
    "measure": {"quantities": ["voxel_count"]},
    "report": {},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    path = tmp_path_factory.mktemp("study") / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    study = Study.load(path)
    assert any("'prediction' of 3 scans" in line for line in check_study(study))
    run_study(study, say=lambda _: None)
    return study


def test_both_are_scored_and_refined_labels_are_not_worse(study):
    scores = pd.read_parquet(study.measurements / "scores.parquet")
    assert {"unet", "unet, refined", "otsu"} == set(scores["system"])
    rows = scores[
        (scores["scan"] == "all")
        & (scores["metric"] == "pixel_accuracy")
        & (scores["convention"] == "pooled")
        & (scores["subset"] == "test")
    ]
    value = rows[rows["class"] == ""].set_index("system")["value"]
    assert value["unet, refined"] >= value["unet"] - 0.002


def test_the_refined_labels_are_measured(study):
    table = pd.read_parquet(study.measurements / "quantities.parquet")
    counts = table[(table["quantity"] == "voxel_count") & table["scan"].str.startswith("cell")]
    assert set(counts["labels"]) == {"refined"}
    changed = json.loads((study.measurements / "refine.json").read_text())["scans"]
    for scan_id, operations in changed.items():
        scan = study.scan(scan_id)
        assert {"prediction", "refined", "truth"} <= set(scan.label_names())
        before = scan.labels("prediction").read(scan.grid.box)
        pits = int((before == scan.labels("prediction").schema["pit"].value).sum())
        for rows in operations.values():
            pits += sum(r["voxels"] for r in rows if r["to"] == "pit")
            pits -= sum(r["voxels"] for r in rows if r["from"] == "pit")
        found = counts[(counts["scan"] == scan_id) & (counts["class"] == "pit")]["value"]
        assert found.tolist() == [pits]


def test_nothing_is_left_lying_about(study):
    assert "whole" in verify_study(study.root)
    assert not list(Path(study.scans_folder).rglob("stage-*"))


def test_other_settings_run_from_refine_on(study):
    said: list[str] = []
    changed = Study.load(study.recipe_path, ["refine.min_size=false"])
    run_study(changed, say=said.append)
    fresh = [line.split()[0] for line in said if "…" in line]
    assert fresh == ["refine", "evaluate", "measure", "report"]
