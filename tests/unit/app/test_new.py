"""Recipes to start from, by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tomolith.app.listing import listing
from tomolith.app.new import named_recipes, new_study
from tomolith.app.study import Study
from tomolith.errors import InputError

EPOCHS = {"transforcnn-unet": 450, "transforcnn-ynet": 130, "transforcnn": 300}


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "epochs"), EPOCHS.items())
def test_the_epochs_are_those_of_the_paper(tmp_path: Path, name: str, epochs: int) -> None:
    train = read(new_study(tmp_path, name))["train"]
    assert train["epochs"] == epochs
    assert train["loss"] == "binary_cross_entropy"


def test_e_net_trains_each_member_as_long_as_the_paper(tmp_path: Path) -> None:
    systems = read(new_study(tmp_path, "transforcnn-enet"))["compare"]["systems"]
    unet, ynet, transforcnn, enet, _ = systems
    assert ynet["train"]["epochs"] == EPOCHS["transforcnn-ynet"]
    assert unet["train"]["epochs"] == EPOCHS["transforcnn-unet"]
    assert transforcnn["train"]["epochs"] == EPOCHS["transforcnn"]
    assert enet["method"]["weights"] == [0.2, 0.8]


def test_a_study_is_named_after_its_folder(tmp_path: Path) -> None:
    for name in named_recipes():
        recipe = read(new_study(tmp_path / name / "cell-7", name))
        assert recipe["name"] == "cell-7"
        assert "study" not in recipe  # results lie beside the recipe


@pytest.mark.parametrize(
    "name", ["2026", "on", "a: b", "cell #2", "Zelle µ", "x" * 120, "name: NAME"]
)
def test_any_folder_can_be_a_study(tmp_path: Path, name: str) -> None:
    assert Study.load(new_study(tmp_path / name)).recipe.name == name


def test_a_misspelt_name_is_told_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'batterynet'"):
        new_study(tmp_path / "cell", "baterynet")
    assert not (tmp_path / "cell").exists()


def test_the_list_says_in_one_line_what_each_is() -> None:
    lines = list(listing("recipes"))
    assert [line.split()[0] for line in lines] == list(named_recipes())
    assert all(line.endswith(".") and len(line) < 120 for line in lines)
