"""The section, the step and the table of what was refined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tomolith.app.check import check_study
from tomolith.app.cli import app
from tomolith.app.recipe import load_recipe
from tomolith.app.run import run_one, run_study
from tomolith.app.steps import STEPS
from tomolith.app.steps.base import step_key
from tomolith.app.steps.refine import refined_series, steps_of
from tomolith.app.study import Study
from tomolith.errors import InputError, RecipeError

PHANTOM = {"preset": "tiny", "scans": [0, 12, 18], "n_cells": 2}


def study_of(folder: Path, **sections: object) -> Study:
    recipe = {"name": "r", "classes": "li-operando", "phantom": PHANTOM, **sections}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return Study.load(path)


def test_simulated_cells_are_series_that_know_their_state(tmp_path):
    study = study_of(tmp_path, refine={"time": None})
    series = refined_series(study)
    assert series == (
        ("cell0-t00", "cell0-t12", "cell0-t18"),
        ("cell1-t00", "cell1-t12", "cell1-t18"),
    )
    assert steps_of(study, series[0]) == ("charge", "discharge")
    assert steps_of(study, ("cell0-t00", "cell0-t18")) == ("both",)


def test_a_recipe_may_say_what_is_a_series_and_when_it_charged(tmp_path):
    scans = ["cell0-t12", "cell0-t18"]
    how = {"scans": scans, "series": [scans[::-1]], "time": {"charging": ["cell0-t12"]}}
    study = study_of(tmp_path, refine=how)
    assert refined_series(study) == (("cell0-t18", "cell0-t12"),)
    assert steps_of(study, refined_series(study)[0]) == ("charge",)


@pytest.mark.parametrize(
    ("refine", "error", "words"),
    [
        ({"scans": ["no"]}, InputError, ["refine.scans", "'no'"]),
        ({"series": [["cell0-t00"]]}, RecipeError, ["refine.series", "cell0-t12"]),
        ({"series": [["no"]]}, InputError, ["refine.series", "'no'"]),
        ({"time": {"charging": ["no"]}}, InputError, ["refine.time.charging", "'no'"]),
    ],
)
def test_scans_that_are_not_there_are_named(tmp_path, refine, error, words):
    study = study_of(tmp_path, refine=refine)
    with pytest.raises(error) as caught:
        list(check_study(study))
    for word in words:
        assert word in str(caught.value)


def test_other_code_makes_the_step_out_of_date(tmp_path, monkeypatch):
    study = study_of(tmp_path, refine={})
    before = step_key(STEPS["refine"], study)
    assert step_key(STEPS["refine"], study) == before
    monkeypatch.setattr("tomolith.app.steps.refine.code_digest", lambda *_: "other code")
    assert step_key(STEPS["refine"], study) != before


def test_own_scans_must_say_when_the_cell_charged(tmp_path):
    study = study_of(tmp_path, refine={"time": {}})
    object.__setattr__(study.recipe, "phantom", None)
    with pytest.raises(InputError, match=r"charging: \[b\]"):
        steps_of(study, ("a", "b", "c"))


@pytest.mark.parametrize("labels", ["truth", "prediction", "mine"])
def test_refined_labels_may_not_replace_others(tmp_path, labels):
    with pytest.raises(RecipeError, match="would replace"):
        study_of(tmp_path, refine={"labels": labels, "source": "mine"})


def test_measure_follows_refine_unless_told_otherwise(tmp_path):
    def measured(**sections: object) -> str:
        study_of(tmp_path, **sections)
        return load_recipe(tmp_path / "recipe.yaml").measure.labels

    assert measured(measure={}) == "prediction"
    assert measured(measure=None, refine=None) == "refined"
    assert measured(measure={}, refine={"labels": "better"}) == "better"
    assert measured(measure={"labels": "truth"}, refine={}) == "truth"


def test_the_step_writes_what_it_changed_and_check_counts_its_disk(tmp_path):
    phantom = {"preset": "tiny", "scans": [0, 12], "shape_zyx": [16, 64, 24]}
    sections = {
        "phantom": phantom,
        "refine": {"source": "truth", "time": None, "min_size": {"classes": {"dendrite": 100_000}}},
        "measure": {"quantities": ["volume"]},
    }
    study = study_of(tmp_path, **sections)
    lines = list(check_study(study))
    assert any("time, split, allowed, min_size, fill_holes; 'truth' of 2 scans" in x for x in lines)
    without = study_of(tmp_path, phantom=phantom)

    def disk(study: Study) -> float:
        line = next(x for x in check_study(study) if x.startswith("disk"))
        return float(line.split("most ")[1].split(" GiB")[0])

    larger = {"phantom": {"preset": "operando-paper", "scans": [0]}}
    alone, both = (
        disk(study_of(tmp_path, **{**larger, **more}))
        for more in ({}, {"refine": {"source": "truth"}})
    )
    n_voxels = 3896 * 698 * 1707
    assert both - alone == pytest.approx(4 * n_voxels * 4 / 3 / 2**30, abs=0.02)
    assert without.recipe.refine is None

    study = study_of(tmp_path, **sections)
    said: list[str] = []
    run_study(study, say=said.append)
    table = json.loads((study.measurements / "refine.json").read_text())
    assert table["source"] == "truth" and table["labels"] == "refined"
    changes = [c for ops in table["scans"].values() for c in ops["min_size"]]
    n_small = sum(c["voxels"] for c in changes)
    assert n_small > 0 and set(changes[0]) == {"from", "to", "voxels"}
    line = next(x for x in said if x.startswith("refine") and "voxels changed" in x)
    assert f"min_size {n_small:,}" in line and "time" in line
    quantities = (study.measurements / "quantities.csv").read_text()
    assert "refined" in quantities
    run_one(study, "refine", say=said.append)  # nothing to do: the same line
    assert said[-1].split("(")[:-1] == line.split("(")[:-1]


def test_the_command_has_its_help():
    shown = CliRunner().invoke(app, ["refine", "--help"])
    assert shown.exit_code == 0 and "Mend label maps" in shown.output
