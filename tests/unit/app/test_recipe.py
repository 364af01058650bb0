from pathlib import Path

import pytest
import yaml

from tomolith.app.recipe import load_recipe, section_names
from tomolith.errors import RecipeError

GOOD = {
    "name": "cell-7",
    "classes": "li-binary",
    "import": {"scans": [{"id": "a", "path": "a.tif", "voxel_size_um": 1.33}]},
    "train": None,
    "predict": {},
}


def save(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def test_a_search_needs_the_training_and_paths_of_members_become_absolute(tmp_path):
    path = save(tmp_path, ensemble={"members": ["../a", "b"], "search": "mdsc"})
    assert load_recipe(path).ensemble.members == (str(tmp_path.parent / "a"), "b")
    alone = {**GOOD, "ensemble": {"members": ["a", "b"], "search": "mdsc"}}
    del alone["train"], alone["predict"]
    path.write_text(yaml.safe_dump(alone))
    with pytest.raises(RecipeError, match="no section 'train'"):
        load_recipe(path)


def test_good_recipe_is_read_in_step_order(tmp_path):
    recipe = load_recipe(save(tmp_path))
    assert recipe.active_steps == ("import", "train", "predict")
    assert recipe.import_.scans[0].path == str(tmp_path / "a.tif")


def test_recipe_is_frozen(tmp_path):
    recipe = load_recipe(save(tmp_path))
    with pytest.raises(Exception, match="frozen"):
        recipe.name = "b"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trian": {}}, ["trian", "did you mean 'train'"]),
        ({"train": {"epohcs": 5}}, ["epohcs", "did you mean 'epochs'"]),
        ({"train": {"epochs": "many"}}, ["train.epochs", "many"]),
        ({"classes": "li-binry"}, ["li-binry", "li-binary"]),
        ({"classes": ["only-one"]}, ["fewer than two"]),
        ({"name": " "}, ["name"]),
        ({"predict": {"labels": "truth"}}, ["predict.labels", "truth", "replace"]),
        ({"predict": {"labels": "otsu"}}, ["predict.labels", "otsu"]),
        ({"train": None, "predict": {"model": "other"}}, ["predict.model", "default"]),
        (
            {"ensemble": {"members": ["a", "default"]}, "predict": {"model": "other"}},
            ["predict.model", "'default' or 'enet'"],
        ),
        ({"ensemble": {"members": ["a", "b"], "model": "a"}}, ["ensemble.model", "replace"]),
        ({"ensemble": {"members": ["a", "b"], "model": "default"}}, ["ensemble.model"]),
        ({"ensemble": {"members": ["a", "b"], "weights": [1]}}, ["weight", "2 members"]),
        ({"predict": {"planes": ["xy", "xy"]}}, ["predict.planes"]),
        (
            {"import": {"scans": [{"id": "a", "path": "a.tif", "voxel_size_nm": 1330}]}},
            ["voxel_size_nm", "did you mean 'voxel_size_um'"],
        ),
        (
            {"import": {"scans": [{"id": "a", "path": "a.tif", "voxel_size_um": "1330 nm"}]}},
            ["voxel_size_um", "1330 nm"],
        ),
        (
            {"import": {"scans": [{"id": "a", "path": "a.tif", "voxel_size_um": -1}]}},
            ["voxel_size_um", "-1"],
        ),
    ],
)
def test_mistakes_are_named(tmp_path, changes, words):
    path = save(tmp_path, **changes)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    for word in words:
        assert word in str(caught.value)


def test_missing_name_is_named(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("classes: li-binary\ntrain:\n")
    with pytest.raises(RecipeError, match="'name' is missing"):
        load_recipe(path)


def test_missing_classes_are_named_with_what_there_is(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\ntrain:\n")
    with pytest.raises(RecipeError, match="'classes' is missing") as caught:
        load_recipe(path)
    assert "li-operando" in (caught.value.expected or "")


def test_evaluate_needs_predict(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nclasses: li-binary\nphantom:\nevaluate:\n")
    with pytest.raises(RecipeError, match="no predictions to score"):
        load_recipe(path)


def test_recipe_without_a_step_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nclasses: li-binary\n")
    with pytest.raises(RecipeError, match="no step"):
        load_recipe(path)


def test_predict_needs_a_model(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nclasses: li-binary\nphantom: {}\npredict:\n")
    with pytest.raises(RecipeError, match="which no step trains"):
        load_recipe(path)


def test_section_names_are_in_running_order():
    assert section_names()[:4] == ("phantom", "reconstruct", "import", "train")
