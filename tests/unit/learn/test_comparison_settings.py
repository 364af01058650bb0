"""What a section ``compare`` may not say: seeds, names of runs, keys that hold for no system."""

from __future__ import annotations

import pytest

from tomolith.config import parse_settings
from tomolith.errors import RecipeError
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.settings import TrainSettings


def _parse(*systems, **keys) -> CompareSettings:
    return parse_settings(CompareSettings, {"systems": systems, **keys}, where="compare")


def _names(*systems, **keys) -> list[str]:
    return [run.name for run in _parse(*systems, **keys).runs(TrainSettings())]


@pytest.mark.parametrize("is_own", [False, True])
@pytest.mark.parametrize(
    ("seeds", "found", "expected"),
    [
        ([-1], r"seeds\.0' is -1", "greater than or equal to 0"),
        ([0, 1, 0], r"seeds' is \[0, 1, 0\]", "each seed once"),
        ([], r"seeds' is \[\]", "at least 1 entry"),
        (["a"], r"seeds\.0' is 'a'", "integer"),
    ],
)
def test_seeds_are_whole_numbers_each_once(seeds, found, expected, is_own):
    with pytest.raises(RecipeError, match=found) as caught:
        _parse({"name": "unet", "seeds": seeds}) if is_own else _parse("unet", seeds=seeds)
    assert expected in str(caught.value.expected)


def test_no_two_runs_have_one_name():
    thresholds = {"name": "unet-s0", "method": "otsu"}
    with pytest.raises(RecipeError, match="'unet' and one of 'unet-s0' would both be called"):
        _parse("unet", thresholds)
    with pytest.raises(RecipeError, match="'unet-s0' and one of 'unet' would both be called"):
        _parse(thresholds, "unet")
    assert _names("unet", thresholds, seeds=[3]) == ["unet-s3", "unet-s0"]
    network = {"name": "unet-s0", "method": "unet"}
    assert _names("unet", network) == ["unet-s0", "unet-s0-s0"]


def test_the_name_of_the_true_amounts_is_taken():
    for system in ("truth", {"name": "truth", "method": "unet"}):
        with pytest.raises(RecipeError, match=r"'systems\.0\.name' is 'truth'") as caught:
            _parse(system)
        assert "true amounts" in str(caught.value.expected)
    assert _names({"name": "truthful", "method": "otsu"}) == ["truthful"]


@pytest.mark.parametrize("key", ["network", "seed"])
def test_what_differs_from_run_to_run_cannot_hold_for_all(key):
    with pytest.raises(RecipeError, match=f"'train': it has '{key}'.*'method'.*'seeds'"):
        _parse("unet", train={key: 7, "epochs": 3})
    with pytest.raises(RecipeError, match=f"'unet' has its own '{key}'"):
        _parse({"name": "unet", "train": {key: 7}})


@pytest.mark.parametrize("members", [3, "unet", None, {"unet": 1}, ["unet"]])
def test_an_ensemble_needs_a_list_of_members(members):
    mean = {"name": "mean", "method": {"name": "ensemble", "members": members}}
    with pytest.raises(RecipeError, match="'mean' needs 'members': two or more"):
        _parse("unet", "ynet", mean)
