"""Labelling in rounds: a second training starts from the model of the first."""

import json

import pytest
import yaml

from tomolith.app.check import check_study
from tomolith.app.run import run_study
from tomolith.app.steps import STEPS
from tomolith.app.steps.base import is_done
from tomolith.app.study import Study
from tomolith.errors import MismatchError, ReadError, RecipeError
from tomolith.learn.bundle import ModelBundle

RECIPE = {
    "name": "rounds",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny"},
    "train": {
        "network": {"name": "unet", "channels": 4, "depth": 2},
        "model": "round-1",
        "labels": "hand",
        "patch_px": 32,
        "patches_per_epoch": 64,
        "epochs": 2,
        "device": "cpu",
        "threads": 1,
    },
}
SECOND = ("train.model=round-2", "train.start_from=round-1", "train.learning_rate=5e-4")


def silent(_line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    with pytest.raises(ReadError, match="no model here"):  # told before anything runs
        list(check_study(Study.load(path, SECOND)))
    run_study(Study.load(path), say=silent)
    return path


def test_the_second_round_starts_from_the_first(path):
    second = Study.load(path, SECOND)
    assert any("from the weights of 'round-1'" in line for line in check_study(second))
    run_study(second, say=silent)
    first, found = (ModelBundle.load(second.root / "models" / f"round-{i}") for i in (1, 2))
    assert f"model {first.fingerprint}" in found.provenance.inputs
    assert is_done(STEPS["train"], second)

    run_study(Study.load(path, ("train.seed=1",)), say=silent)  # another first round
    run_study(second, say=silent)
    again = ModelBundle.load(second.root / "models" / "round-2")
    assert f"model {first.fingerprint}" not in again.provenance.inputs


def test_a_path_names_a_model_of_another_study(path, tmp_path):
    other = tmp_path / "recipe.yaml"
    other.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    first = Study.load(path).root / "models" / "round-1"
    learnt = json.loads((first / "split.json").read_text())["train"][0]
    held_out = f'train.split.test=["{learnt[0]}[{learnt[1]}]"]'
    found = Study.load(other, ("train.model=mine", f"train.start_from={first}", held_out))
    run_study(found, say=silent)  # another study's scans: what they are called says nothing
    mine = ModelBundle.load(found.root / "models" / "mine")
    assert f"model {ModelBundle.load(first).fingerprint}" in mine.provenance.inputs

    here = Study.load(path, ("train.model=mine", f"train.start_from={first}", held_out))
    with pytest.raises(MismatchError, match="has learnt from slice"):  # before anything runs
        list(check_study(here))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (("train.start_from=round-1",), RecipeError, "'round-1', would be overwritten"),
        (("train.start_from={models}/round-1",), RecipeError, "would be overwritten"),
        ((*SECOND, "train.network.channels=6"), MismatchError, "is of another kind"),
        ((*SECOND, "train.start_from=round-9"), ReadError, "no model here"),
    ],
)
def test_what_cannot_be_started_from_is_refused_before_anything_runs(path, changes, error, message):
    models = Study.load(path).root / "models"
    given = [change.format(models=models) for change in changes]
    with pytest.raises(error, match=message):
        list(check_study(Study.load(path, given)))
