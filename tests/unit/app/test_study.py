import json
from pathlib import Path

import pytest

from tomolith.app.steps.base import fingerprint
from tomolith.app.study import Study
from tomolith.errors import InputError, IntegrityError

RECIPE = (
    "name: a\nstudy: out\nclasses: [background, electrode, dendrite]\nphantom: {preset: tiny}\n"
)


@pytest.fixture
def study(tmp_path) -> Study:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    made = Study.load(path, ["phantom.seed=7"])
    made.prepare()
    return made


def test_study_folder_is_loaded_as_it_was_run(study):
    again = Study.load(study.root)
    assert again.recipe_path == study.recipe_path
    assert again.recipe.phantom.seed == 7
    assert (study.root / "recipe.yaml").read_text() == RECIPE


def test_copy_follows_the_recipe_until_the_user_edits_it(study):
    study.recipe_path.write_text(RECIPE + "# more\n")
    Study.load(study.recipe_path).prepare()
    assert (study.root / "recipe.yaml").read_text().endswith("# more\n")
    (study.root / "recipe.yaml").write_text("mine\n")
    Study.load(study.recipe_path).prepare()
    assert (study.root / "recipe.yaml").read_text() == "mine\n"


def test_moved_recipe_is_named(study):
    study.recipe_path.unlink()
    with pytest.raises(InputError, match="no longer where it was"):
        Study.load(study.root)


@pytest.mark.parametrize("content", ["", "{", json.dumps({"recipe": 1}), "[]"])
def test_damaged_note_is_named(study, content):
    (study.private / "origin.json").write_text(content)
    with pytest.raises(IntegrityError, match="damaged"):
        Study.load(study.root)


def test_unknown_scan_is_named(study):
    assert study.chosen_scans(None, key="x") == ("cell0-t12",)
    with pytest.raises(InputError, match="cell0-t12"):
        study.chosen_scans(["cell9-t12"], key="predict.scans")


def test_fingerprint_sees_changes_behind_patterns(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.tif").write_bytes(b"1")
    pattern = Path(f"{tmp_path}/*/x.tif")
    before = fingerprint(pattern)
    (tmp_path / "b/x.tif").write_bytes(b"22")
    assert fingerprint(pattern) != before
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "a")
