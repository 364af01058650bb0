"""Models of two planes and their fusion on the tiny phantom: from hand labels to scores."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from tomolith.app.check import check_study
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.errors import InputError, RecipeError
from tomolith.learn.bundle import ModelBundle

RECIPE = {
    "name": "planes",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny", "scans": [9, 12], "hand_labelled_slices": 8},
    "train": {
        "network": {"name": "unet", "channels": 8, "depth": 2},
        "plane": "xz",
        "model": "across",
        "labels": "hand",
        "patch_px": 16,
        "patches_per_epoch": 128,
        "epochs": 4,
        "learning_rate": 0.01,
        "average_steps": 10,
        "device": "cpu",
        "threads": 1,
        "split": {"test": ["cell0-t12"], "validation_frac": 0.1},
    },
    "predict": {
        "model": "across",
        "scans": ["cell0-t12"],
        "memory": "2GiB",
        "backend": "torch",
        "precision": "fp32",
        "threads": 1,
    },
    "evaluate": {"patch_px": 32, "metrics": ["iou"]},
    "report": {"max_previews": 1},
}
IN_PLANE = ("train.plane=xy", "train.model=in-plane")
FUSED = (
    "ensemble.members=[across,in-plane]",
    "ensemble.weights=[1,1]",
    "ensemble.model=fused",
    "predict.model=fused",
)


def silent(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def found(recipe):
    """Return what was left by the model of xz, that of xy, and their fusion: labels and scores."""
    results = {}
    run_study(Study.load(recipe, (*IN_PLANE, "predict.model=in-plane")), say=silent, until="train")
    for name, changes in (("across", ()), ("fused", FUSED)):
        study = Study.load(recipe, changes)
        list(check_study(study))
        run_study(study, say=silent)
        labels = study.scan("cell0-t12").labels("prediction")
        scores = pd.read_parquet(study.measurements / "scores.parquet")
        results[name] = labels.read(labels.grid.box), scores, study
    return results


def test_it_scores_the_scan_held_out_in_slices_of_z(found):
    for name, (_, scores, study) in found.items():
        assert set(scores["subset"]) == {"test"}
        network = scores[scores["system"] == ("fused" if name == "fused" else "unet")]
        pooled = network[(network["convention"] == "pooled") & (network["class"] == "")]
        assert (pooled["value"] > 1 / 3).all(), name  # more than one class everywhere has
        slices = json.loads((study.measurements / "held_out.json").read_text())[0]["slices"]
        truth = study.scan("cell0-t12").labels("hand").read(study.scan("cell0-t12").grid.box)
        labelled = np.flatnonzero((truth != study.schema.unlabelled).any(axis=(1, 2)))
        assert [z for _, z, *_ in slices] == labelled.tolist()


def test_the_models_keep_their_planes(found):
    root = found["fused"][2].root / "models"
    assert ModelBundle.load(root / "across").plane == "xz"
    assert ModelBundle.load(root / "in-plane").plane == "xy"
    fused = ModelBundle.load(root / "fused")
    assert fused.network.options["planes"] == ["xz", "xy"]
    split = json.loads((root / "fused" / "split.json").read_text())
    own = json.loads((root / "across" / "split.json").read_text())
    assert (own["plane"], split["test"]) == ("xz", own["test"])
    assert split["train"] == split["validation"] == []


def test_the_fusion_is_another_prediction_and_the_report_names_the_plane(found):
    assert not np.array_equal(found["across"][0], found["fused"][0])
    page = (found["fused"][2].root / "report" / "index.html").read_text(encoding="utf-8")
    assert "train, slices of the plane xz" in page


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (('train.split.test="cell0-t12[3]"',), RecipeError, "whole scans"),
        (("train.split={}",), RecipeError, "keeps 10 %"),
        (("train.split={test_frac: 0}",), InputError, "no slice for validation or test"),
        (("train.network=residual_unet_3d", "train.split.gap=8"), RecipeError, "all planes"),
        ((*FUSED[:1], "ensemble.search=miou", *FUSED[2:]), InputError, "validate them all"),
        (
            ("predict.model=fused", *FUSED[:3], "predict.mutual_information=true"),
            InputError,
            "show",
        ),
    ],
)
def test_check_refuses_what_cannot_be(found, recipe, changes, error, message):
    with pytest.raises(error, match=message):
        list(check_study(Study.load(recipe, changes)))


def test_a_comparison_takes_no_other_plane(found, recipe):
    with pytest.raises(RecipeError, match="single slices of z"):
        list(check_study(Study.load(recipe, ("compare.systems=[unet]",))))
