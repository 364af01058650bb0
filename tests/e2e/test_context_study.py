"""A model that sees slices between their neighbours on the tiny phantom, from labels to report."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from tomolith.app.check import check_study
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.errors import InputError, RecipeError
from tomolith.learn.bundle import ModelBundle

RECIPE = {
    "name": "context",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny", "scans": [9, 12], "hand_labelled_slices": 8},
    "train": {
        "network": {"name": "unet", "channels": 8, "depth": 2},
        "context_slices": 1,
        "labels": "hand",
        "patch_px": 32,
        "patches_per_epoch": 128,
        "epochs": 4,
        "learning_rate": 0.01,
        "average_steps": 10,
        "device": "cpu",
        "threads": 1,
        "split": {"test": ["cell0-t12"], "validation_frac": 0.1},
    },
    "predict": {"memory": "2GiB", "threads": 1},
    "evaluate": {"patch_px": 32, "metrics": ["iou"]},
    "report": {"max_previews": 1},
}


def silent(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def study(recipe):
    made = Study.load(recipe)
    list(check_study(made))
    run_study(made, say=silent)
    return made


def test_it_scores_better_than_one_class_everywhere(study):
    scores = pd.read_parquet(study.measurements / "scores.parquet")
    network = scores[(scores["system"] == "unet") & (scores["convention"] == "pooled")]
    assert (network[network["class"] == ""]["value"] > 1 / 3).all()


def test_model_and_report_say_how_many_slices_it_sees(study):
    [folder] = (study.root / "models").iterdir()
    assert ModelBundle.load(folder).in_channels == 3
    page = (study.root / "report" / "index.html").read_text(encoding="utf-8")
    assert "(unet, 3 slices at a time)" in page


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (("train.context_slices=2",), RecipeError, "the gap between training slices"),
        (("train.context_slices=8",), RecipeError, "context_slices"),
        (("train.network=resnet18_centre",), RecipeError, "sees one slice"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(recipe, changes, error, message):
    with pytest.raises(error, match=message):
        list(check_study(Study.load(recipe, changes)))


COMPARED = {"name": "between", "method": "unet", "train": {"context_slices": 1}}


@pytest.mark.parametrize(
    "section",
    [
        {"train": {"patch_px": 32, "context_slices": 1}},
        {"compare": {"systems": ["unet", COMPARED], "train": {"split": {"by": "block"}}}},
    ],
)
def test_sections_are_refused_before_anything_runs(tmp_path, section):
    values = {"name": "a", "classes": "li-binary", "phantom": {"preset": "binary-128"}, **section}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match="no neighbours"):
        list(check_study(Study.load(path)))
