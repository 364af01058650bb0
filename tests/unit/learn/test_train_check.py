"""What is refused before a training starts."""

import sys

import pytest
import torch

from tomolith.config import Component
from tomolith.core import PRESETS
from tomolith.errors import MissingExtraError, RecipeError
from tomolith.learn import train_check
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train_check import check_runs, check_training

SCHEMA = PRESETS["li-operando"]
PLANE = {"name": "transforcnn", "decoder": "plane"}


@pytest.mark.parametrize(
    ("changes", "found", "where"),
    [
        ({"loss": "focal_tverski"}, "focal_tverski", "train.loss"),
        ({"loss": {"name": "dice", "smoth": 1}}, "smoth", "train.loss"),
        (
            {"loss": {"name": "weighted_cross_entropy", "weights": {"dendrit": 1}}},
            "'dendrit' is no class",
            "train.loss.weights",
        ),
        ({"matphase": {"ugsm_loss": "dicee"}}, "dicee", "train.matphase.ugsm_loss"),
        (
            {"clean_labels": {"pairs": [["dendrit", "pit"]]}},
            "'dendrit' is no class",
            "train.clean_labels.pairs",
        ),
        ({"network": "unett"}, "unett", "train.network"),
        ({"network": PLANE}, "decoder is 'plane'", "train.network"),
        (
            {"network": {"name": "ensemble", "members": ["unet", "matphase"], "weights": [1, 1]}},
            "the member 'matphase' .* training of its own",
            "train.network",
        ),
        (
            {"loss": {"name": "weighted_cross_entropy", "weights": [1, 5]}},
            r"option 'weights' of loss 'weighted_cross_entropy' is \[1, 5\]",
            "train.loss",
        ),
        ({"network": {"name": "matphase", "parts": ["ugsm", "lcgar"]}}, "'parts'", "train.network"),
        ({"network": {"name": "ensemble", "members": 3}}, "'members'", "train.network"),
        (
            {"network": {"name": "ensemble", "members": [{"depth": 2}], "weights": [1]}},
            "'depth': 2} is no component",
            "train.network",
        ),
        ({"network": {"name": "transforcnn", "channels": -4}}, "channels is -4", "train.network"),
        ({"network": {"name": "transforcnn", "channels": 0}}, "channels is 0", "train.network"),
        ({"network": {"name": "resnet18_centre", "channels": 0}}, "channels is 0", "train.network"),
        ({"network": {"name": "fcn", "head_channels": 0}}, "head_channels is 0", "train.network"),
        ({"network": {"name": "deeplabv3", "channels": 0}}, "channels is 0", "train.network"),
        ({"network": {"name": "deeplabv3", "rates": [1, 2]}}, "three numbers", "train.network"),
        ({"network": {"name": "manet", "attention_channels": 0}}, "is 0", "train.network"),
        ({"network": {"name": "unet_plus_plus", "encoder": 3}}, "'encoder'", "train.network"),
        ({"network": {"name": "unet", "dropout": -0.5}}, "dropout", "train.network"),
        ({"patch_px": 60}, "patch_px is 60", "train.patch_px"),
        (
            {"network": "resnet18_centre", "unlabelled": {"method": "mean_teacher"}},
            "labels alone",
            "train.unlabelled",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_key(changes, found, where):
    with pytest.raises(RecipeError, match=found) as caught:
        check_training(TrainSettings(**changes), SCHEMA)
    assert caught.value.where == where


def test_cubes_need_a_gap():
    pytest.importorskip("monai")
    settings = {"network": "residual_unet_3d", "patch_px": 32}
    with pytest.raises(RecipeError, match="gap"):
        check_training(TrainSettings(**settings), SCHEMA)
    check_training(TrainSettings(**settings, split={"gap": 16}), SCHEMA)


def test_a_library_that_is_not_installed_is_missed(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai", None)
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(MissingExtraError, match="zoo") as caught:
        check_training(TrainSettings(network="segresnet"), SCHEMA)
    assert caught.value.where == "train.network"


@pytest.mark.parametrize("name", ["unet", "transforcnn", "mcd_unet", "matphase", "ensemble"])
def test_what_trains_passes_and_no_random_number_is_used(name):
    state = torch.random.get_rng_state()
    check_training(TrainSettings(network=name), SCHEMA)
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_network_is_built_without_weights_where_that_works():
    built = train_check._weightless(TrainSettings(network="unet"), len(SCHEMA))
    assert {p.device.type for p in built.parameters()} == {"meta"}
    assert built.divisor == NETWORKS.build(Component(name="unet"), 1, len(SCHEMA)).divisor


def _runs(*systems, **train):
    return CompareSettings(systems=systems, train=train).runs(TrainSettings())


def test_the_last_system_is_refused_before_the_first_is_trained():
    last = {"name": "last", "method": PLANE}
    with pytest.raises(RecipeError, match="decoder is 'plane'") as caught:
        check_runs(_runs("unet", "otsu", last), SCHEMA)
    assert caught.value.where == "compare.systems, 'last', train.network"
    own_loss = {"name": "last", "method": "unet", "train": {"loss": "dicee"}}
    with pytest.raises(RecipeError, match="dicee") as caught:
        check_runs(_runs("unet", own_loss), SCHEMA)
    assert caught.value.where == "compare.systems, 'last', train.loss"


def test_an_ensemble_needs_networks_that_see_slices():
    mean = {"name": "mean", "method": {"name": "ensemble", "members": ["unet", "other"]}}
    check_runs(_runs("unet", {"name": "other", "method": "ynet"}, mean), SCHEMA)
    for method, why in (("random_forest", "is no network"), ("residual_unet_3d", "sees cubes")):
        with pytest.raises(RecipeError, match=why):
            check_runs(
                _runs("unet", {"name": "other", "method": method}, mean, split={"gap": 64}), SCHEMA
            )


def test_an_even_median_filter_is_refused_before_the_first_system_is_trained():
    otsu = {"name": "otsu", "method": {"name": "otsu", "median_px": 2}}
    settings = CompareSettings.model_validate({"systems": ["unet", otsu]})
    with pytest.raises(RecipeError, match="'median_px' is 2") as caught:
        check_runs(settings.runs(TrainSettings()), SCHEMA)
    assert "odd number" in str(caught.value.expected)
