from pathlib import Path

import pytest

from tomolith.app.recipe_file import apply_overrides, expand_path, load_yaml
from tomolith.errors import RecipeError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def test_missing_recipe_names_the_command_that_writes_one(tmp_path):
    with pytest.raises(RecipeError, match="no such recipe") as caught:
        load_yaml(tmp_path / "recipe.yaml")
    assert "tomolith new" in str(caught.value)


def test_yaml_error_names_the_line(tmp_path):
    with pytest.raises(RecipeError, match="line 2"):
        load_yaml(write(tmp_path, "name: a\ntrain: {epochs: 5]\n"))


def test_key_given_twice_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="'name' is given twice"):
        load_yaml(write(tmp_path, "name: a\nname: b\n"))


@pytest.mark.parametrize(("text", "message"), [("", "empty"), ("- 1\n- 2\n", "no mapping")])
def test_recipe_must_be_a_mapping(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message):
        load_yaml(write(tmp_path, text))


def test_binary_file_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_yaml(path)


def test_yaml_cannot_build_python_objects(tmp_path):
    with pytest.raises(RecipeError):
        load_yaml(write(tmp_path, "name: !!python/object/apply:os.getcwd []\n"))


def test_key_that_is_a_list_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="line 1"):
        load_yaml(write(tmp_path, "? [a, b]\n: 1\n"))


def test_overrides_reach_nested_keys_and_leave_the_original():
    values = {"train": {"epochs": 9, "network": "unet"}}
    changed = apply_overrides(values, ["train.network.depth=3", "report.title=Cell 7"])
    assert changed["train"]["network"] == {"name": "unet", "depth": 3}
    assert changed["report"] == {"title": "Cell 7"}
    assert values == {"train": {"epochs": 9, "network": "unet"}}


@pytest.mark.parametrize(
    "override", ["train.epochs", "=5", "train..x=1", "name.inner=1", "train.epochs=[5"]
)
def test_malformed_override_is_refused(override):
    with pytest.raises(RecipeError, match="--set"):
        apply_overrides({"name": "a"}, [override])


def test_paths_are_relative_to_the_recipe(monkeypatch):
    monkeypatch.delenv("TOMOLITH_DATA", raising=False)
    assert expand_path("../x.tif", Path("/a/b")) == "/a/x.tif"
    assert expand_path("${TOMOLITH_DATA:-../data}/x.tif", Path("/a/b")) == "/a/data/x.tif"
    monkeypatch.setenv("TOMOLITH_DATA", "/elsewhere")
    assert expand_path("${TOMOLITH_DATA:-../data}/x.tif", Path("/a/b")) == "/elsewhere/x.tif"


def test_unset_variable_says_how_to_set_it(monkeypatch):
    monkeypatch.delenv("TOMOLITH_DATA", raising=False)
    with pytest.raises(RecipeError, match="export TOMOLITH_DATA"):
        expand_path("${TOMOLITH_DATA}/x.tif", Path("/a"))
