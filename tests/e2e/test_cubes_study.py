"""A 3-D network on the tiny phantom: from a few hand-labelled slices to a table of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from network_helpers import build
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.config import Component
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison import timing
from tomolith.learn.predict import predict
from tomolith.learn.settings import PredictSettings

NET = {"name": "residual_unet_3d", "channels": [8, 16, 16], "strides": [2, 2], "dropout": 0.0}
ONE_CORE = {"backend": "torch", "precision": "fp32", "threads": 1}
RECIPE = {
    "name": "cubes",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny", "scans": [9, 12], "hand_labelled_slices": 8},
    "compare": {
        "systems": [{"name": "deep", "method": NET}, "multi_otsu"],
        "labels": "hand",
        "train": {
            "epochs": 40,
            "patch_px": 16,
            "batch": 4,
            "patches_per_epoch": 32,
            "learning_rate": 0.01,
            "average_steps": 10,
            "threads": 1,
            "precision": "fp32",
            "split": {"test": ["cell0-t12"], "validation_frac": 0.1, "gap": 8},
        },
        "patch_px": 32,
        "timing": {"patch_px": 32, "max_batch": 2, "seconds": 0.01, "rounds": 1},
        **ONE_CORE,
        "n_samples": 1,
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    build(Component.model_validate(NET))  # or skip
    folder = tmp_path_factory.mktemp("cubes")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    made = Study.load(folder / "recipe.yaml")

    def in_this_process(run, material, split, *, root, settings):
        job = timing.job_of(
            run, material, split, folder=root / "models" / run.name, settings=settings
        )
        asked, answer = folder / "job.json", folder / "answer.json"
        asked.write_text(timing.json.dumps(job))
        timing.answer_job(asked, answer)
        return timing.Timing(**timing.json.loads(answer.read_text()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "_in_child", in_this_process)
        run_study(made, say=lambda _: None)
    return made


def scores(study: Study) -> pd.DataFrame:
    return pd.read_parquet(study.measurements / "compare.parquet")


def test_it_scores_better_than_any_one_class_could(study):
    """One class everywhere has a mean IoU of a third at most."""
    table = scores(study)
    pooled = table[
        (table["quantity"] == "iou")
        & (table["class"] == "")
        & (table["seed"] == "all")
        & (table["convention"] == "pooled")
    ].set_index("system")["value"]
    assert pooled["deep"] > 1 / 3 + 0.15


def test_its_costs_stand_in_the_table(study):
    table = scores(study)
    deep = table[(table["system"] == "deep") & (table["seed"] == "all")].set_index("quantity")
    for quantity in ("latency", "flops", "parameters", "peak_memory"):
        assert (deep.loc[[quantity], "value"] > 0).all(), quantity


def test_the_compared_labels_are_those_of_predict_whatever_the_budget(study):
    bundle = ModelBundle.load(Path(study.root) / "models" / "deep-s0")
    scan = study.scan("cell0-t12")
    compared = scan.labels("compare-deep-s0")
    found = [
        predict(scan, bundle, PredictSettings(**ONE_CORE, memory=memory), name=f"at-{memory}")
        for memory in ("920MiB", "4GiB")
    ]
    box = compared.grid.box
    expected = compared.read(box)
    tested = expected != compared.schema.unlabelled
    assert tested.any()
    for labels in found:
        assert np.array_equal(labels.read(box)[tested], expected[tested])
