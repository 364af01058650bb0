"""Trainings that start from the weights of a trained model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tomolith.core import PRESETS
from tomolith.errors import IntegrityError, MismatchError
from tomolith.label.splits import SliceRange, Split
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings
from tomolith.learn.start import Start
from tomolith.learn.train import plan_training, train

SCHEMA = PRESETS["li-binary"]
SMALL = {
    "network": {"name": "unet", "channels": 4, "depth": 2},
    "patch_px": 32,
    "batch": 8,
    "patches_per_epoch": 64,
    "epochs": 6,
    "threads": 1,
    "device": "cpu",
    "precision": "fp32",
    "augment": "none",
    "average_steps": 0,
    "learning_rate": 0.01,
    "split": {"validation": "a[5]", "test": "a[3]"},
}


def settings(**changes):
    return TrainSettings.model_validate({**SMALL, **changes})


@pytest.fixture(scope="module")
def first(blob_example, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    return train([blob_example()], settings(), folder, schema=SCHEMA)


def test_the_first_weights_are_those_of_the_model(first, blob_example, tmp_path):
    still = settings(epochs=1, patches_per_epoch=8, learning_rate=1e-12)
    start = Start(first.bundle, first.split.train)
    found = train([blob_example()], still, tmp_path / "a", schema=SCHEMA, start=start).bundle
    plain = train([blob_example()], still, tmp_path / "b", schema=SCHEMA).bundle
    learnt = [name for name in found.weights if name.endswith("weight")]
    for name in learnt:
        torch.testing.assert_close(found.weights[name], first.bundle.weights[name])
    assert any(not torch.allclose(plain.weights[n], found.weights[n]) for n in learnt)
    assert found.scores["validation_iou"] > plain.scores["validation_iou"]
    assert f"model {first.bundle.fingerprint}" in found.provenance.inputs


def test_another_start_is_another_training(first, blob_example):
    other = replace(first.bundle, weights={n: t + 1 for n, t in first.bundle.weights.items()})
    starts = (None, Start(first.bundle), Start(other))
    plans = [plan_training([blob_example()], settings(), SCHEMA, start=start) for start in starts]
    assert len({plan.key(settings()) for plan in plans}) == 3


@pytest.mark.parametrize(
    ("network", "depth"),
    [
        ({"name": "adapted_lcgar"}, 4),
        ({"name": "matphase", "channels": 4}, 4),
        ({"name": "residual_unet_3d", "channels": [4, 8], "strides": [2]}, 32),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_networks_with_a_training_of_their_own_start_too(network, depth, blob_example, tmp_path):
    if depth > 4:
        pytest.importorskip("monai")
    chosen = settings(
        network=network,
        epochs=1,
        patches_per_epoch=8,
        learning_rate=1e-12,
        pixels=16,
        matphase={"ugsm_epochs": 1, "epochs": 1},
        split={"validation": "b", "gap": depth // 2},
    )
    examples = [blob_example("a", depth=depth), blob_example("b", depth=depth, seed=1)]
    first = train(examples, chosen, tmp_path / "first", schema=SCHEMA).bundle
    weights = {n: t + 0.5 if n.endswith("weight") else t for n, t in first.weights.items()}
    start = Start(replace(first, weights=weights))
    again = train(examples, chosen, tmp_path / "again", schema=SCHEMA, start=start).bundle
    for name in (n for n in weights if n.endswith("weight")):
        torch.testing.assert_close(again.weights[name], weights[name])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"network": "ynet"}, "network: unet, and ynet is to be trained"),
        ({"network": {"name": "unet", "channels": 6, "depth": 2}}, "network: .* of another size"),
        ({"plane": "xz"}, "plane: xy, and xz is to be trained"),
        ({"context_slices": 1}, "slices seen at a time: 1, and 3 is to be trained"),
        ({"normalisation": {"method": "zscore"}}, "normalisation: "),
    ],
)
def test_a_model_of_another_kind_is_refused(first, changes, found):
    with pytest.raises(MismatchError, match=found):
        Start(first.bundle).check(settings(**changes), SCHEMA)


def test_a_model_of_other_classes_is_refused(first):
    with pytest.raises(MismatchError, match="classes: background=0, lithium=1, and background=0, "):
        Start(first.bundle).check(settings(), PRESETS["li-operando"])


def test_options_that_change_no_weight_may_differ(first, tmp_path):
    dropped = settings(network={"name": "mcd_unet", "channels": 4, "depth": 2, "dropout": 0.3})
    like = dropped.network.model_copy(
        update={"options": {**dropped.network.options, "dropout": 0.1}}
    )
    weights = NETWORKS.build(like, 1, 2).state_dict()
    start = Start(replace(first.bundle, network=like, weights=weights))
    start.check(dropped, SCHEMA)


@pytest.mark.parametrize(
    ("learnt", "gap", "is_refused"),
    [
        ((0, 4), 0, False),
        ((0, 4), 1, True),  # beside slice 4
        ((0, 5), 0, True),
        ((5, 9), 0, False),
        ((5, 9), 1, True),
        ((6, 9), 1, False),
    ],
)
def test_slices_that_a_model_has_learnt_from_cannot_be_held_out(first, learnt, gap, is_refused):
    held_out = Split((), (SliceRange("a", 4, 5),), (SliceRange("b", 0, 9),))
    start = Start(first.bundle, (SliceRange("c", 4, 5), SliceRange("a", *learnt)))
    if not is_refused:
        start.check_held_out(held_out, gap=gap)
        return
    with pytest.raises(MismatchError, match=f"slices {learnt[0]}-{learnt[1] - 1} of 'a'"):
        start.check_held_out(held_out, gap=gap)


def test_a_slice_of_another_plane_cuts_all_slices_of_the_test(first):
    start = Start(first.bundle, (SliceRange("a", 0, 2),))
    parts = Split((), (SliceRange("a", 50, 51),), (SliceRange("b", 0, 9),), plane="xz")
    start.check_held_out(parts, gap=1)
    with pytest.raises(MismatchError, match="slices 90-98 is to be held out"):
        start.check_held_out(replace(parts, test=(SliceRange("a", 90, 99),)), gap=1)


def test_what_earlier_rounds_have_learnt_from_is_not_forgotten(first, blob_example, tmp_path):
    start = Start(first.bundle, (SliceRange("b", 7, 8),))
    found = train([blob_example()], settings(epochs=1), tmp_path, schema=SCHEMA, start=start)
    learnt = Start.load(tmp_path, same_scans=True).learnt
    assert learnt == (*found.split.train, SliceRange("b", 7, 8))
    assert Start.load(tmp_path, same_scans=False).learnt == ()


def test_a_damaged_split_is_told(first, tmp_path):
    first.bundle.save(tmp_path)
    (tmp_path / "split.json").write_text('{"train": [[')
    with pytest.raises(IntegrityError, match="the split of the model cannot be read"):
        Start.load(tmp_path, same_scans=True)


def test_training_refuses_to_hold_out_what_its_start_has_learnt_from(first, blob_example, tmp_path):
    start = Start(first.bundle, first.split.train)
    with pytest.raises(MismatchError, match="has learnt from slice"):
        train([blob_example()], settings(split={"validation": "a[0]"}), tmp_path, schema=SCHEMA,
              start=start)  # fmt: skip
    assert not list(tmp_path.iterdir())
