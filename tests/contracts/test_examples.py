"""The recipes of ``examples/`` and of ``tomolith new`` are accepted, and promise what they may."""

from pathlib import Path

import pytest

from tomolith.app.check import check_study
from tomolith.app.new import named_recipes, new_study
from tomolith.app.study import Study
from tomolith.learn.settings import TrainSettings

FOLDER = Path(__file__).resolve().parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*/*.yaml"))  # not below: there lie the results of those that ran
SLOW = {"batterynet": [pytest.mark.slow, pytest.mark.slow_ci]}  # builds a large network
CASES = [
    *(pytest.param(path, id=str(path.relative_to(FOLDER))) for path in EXAMPLES),
    *(pytest.param(name, id=name, marks=SLOW.get(name, ())) for name in named_recipes()),
]


@pytest.fixture(params=CASES)
def study(request, tmp_path, monkeypatch) -> Study:
    monkeypatch.setenv("TOMOLITH_DATA", str(tmp_path / "data"))
    if isinstance(request.param, str):
        return Study.load(new_study(tmp_path / "cell", request.param))
    recipe = tmp_path / request.param.name  # a copy, for results lie beside a recipe
    recipe.write_bytes(request.param.read_bytes())
    return Study.load(recipe)


def test_every_folder_has_a_recipe():
    folders = {path.parent for path in EXAMPLES}
    assert folders == {path for path in FOLDER.iterdir() if path.is_dir()}


def test_it_is_accepted_and_says_what_it_would_do(study):
    assert study.recipe.active_steps
    if study.recipe.phantom:  # the others read data, which need not be here
        lines = list(check_study(study))
        for step in study.recipe.active_steps:
            assert any(line.startswith(step) and "will run" in line for line in lines)


def trainings(study: Study) -> list[TrainSettings]:
    recipe = study.recipe
    found = [recipe.train] if recipe.train else []
    if recipe.compare:
        runs = recipe.compare.runs(recipe.train or TrainSettings())
        found += [run.train for run in runs if not run.is_classical]
    return found


def test_a_cell_whose_sides_differ_is_never_turned_upside_down(study):
    if "deposited" not in study.schema.names:
        return
    assert trainings(study)
    for train in trainings(study):
        assert train.augment.flip == "left-right"
        assert train.augment.rotate_deg <= 10
