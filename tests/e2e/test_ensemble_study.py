"""Two networks, their ensemble, and how sure it is: from a recipe to the report."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from tomolith.app.check import check_study
from tomolith.app.run import run_one, run_study
from tomolith.app.study import Study
from tomolith.app.verify import verify_study
from tomolith.errors import ReadError
from tomolith.learn.bundle import ModelBundle
from tomolith.store.scan import Scan

RECIPE = {
    "name": "tiny ensemble",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny"},
    "train": {
        "network": {"name": "unet", "channels": 4, "depth": 2},
        "model": "small",
        "labels": "hand",
        "patch_px": 32,
        "patches_per_epoch": 64,
        "epochs": 2,
        "device": "cpu",
        "threads": 1,
    },
    "ensemble": {"members": ["other", "small"], "search": "miou", "device": "cpu", "threads": 1},
    "predict": {
        "model": "enet",
        "memory": "2GiB",
        "backend": "torch",
        "precision": "fp32",
        "threads": 1,
        "probabilities": True,
        "mutual_information": True,
    },
    "evaluate": {"patch_px": 32, "metrics": ["iou"], "baselines": []},
    "report": {"max_previews": 1},
}
OTHER = ("train.model=other", "train.network.channels=6")


def silent(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    path = tmp_path_factory.mktemp("study") / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    recipe = Study.load(path)
    with pytest.raises(ReadError, match="no model here"):  # 'other' is not trained yet
        list(check_study(recipe))
    with pytest.raises(ReadError, match="no model here"):
        run_study(recipe, say=silent)
    assert not recipe.scans_folder.exists()  # told before anything ran
    other = Study.load(path, (*OTHER, "ensemble.members=[small,third]"))
    run_study(other, say=silent, until="train")
    assert any("weights with the best miou" in line for line in check_study(recipe))
    run_study(recipe, say=silent)
    return recipe


def test_the_ensemble_is_a_model_of_the_study(study):
    bundle = ModelBundle.load(study.root / "models" / "enet")
    assert bundle.network.name == "ensemble"
    assert bundle.scores["validation_iou"] > 0
    assert bundle.temperature != 1.0
    members = [ModelBundle.load(study.root / "models" / n) for n in ("other", "small")]
    best = max(m.scores["validation_iou"] for m in members)
    assert bundle.scores["validation_iou"] >= best - 0.02
    assert "whole" in verify_study(study.root)


def test_labels_and_how_sure_they_are(study):
    scan = Scan.open(next(study.scans_folder.glob("*.zarr")))
    assert scan.labels("prediction").volume.provenance.step == "predict"
    shares = scan.extra("probabilities/prediction")[...].astype(int)
    assert abs(shares.sum(axis=0) - 255).max() <= 2
    assert np.asarray(scan.extra("mutual_information/prediction")[...]).shape == shares.shape[1:]


def test_scores_are_of_the_ensemble_and_its_probabilities(study):
    scores = pd.read_parquet(study.measurements / "scores.parquet")
    assert set(scores["system"]) == {"enet"}
    errors = scores[scores["metric"] == "ece"]
    assert errors["value"].between(0, 1).all()
    assert set(errors["scan"]) > {"all"}
    records = json.loads((study.measurements / "reliability.json").read_text())
    assert sum(records[0]["n_pixels"]) > 0
    page = (study.root / "report" / "index.html").read_text(encoding="utf-8")
    assert "Whether the probabilities keep their word" in page
    assert "enet" in page


def test_a_second_run_does_nothing_and_another_member_makes_it_anew(study):
    lines: list[str] = []
    run_study(study, say=lines.append)
    assert all("up to date" in line for line in lines)
    folder = study.root / "models" / "other"
    changed = (folder / "model.yaml").read_bytes()
    (folder / "model.yaml").write_bytes(changed)  # a new time is a new model
    lines.clear()
    run_one(study, "ensemble", say=lines.append)
    assert any(" other + " in line for line in lines)
    lines.clear()
    run_study(study, say=lines.append, until="predict")
    assert not any(line.startswith("predict   up to date") for line in lines)
