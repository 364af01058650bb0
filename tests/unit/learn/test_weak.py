"""Learning from slices without labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError, RecipeError
from tomolith.label.splits import LabelledScan, SliceRange, Split, free_slices
from tomolith.learn.checkpoint import read_checkpoint
from tomolith.learn.examples import Example, SliceCache, index_labels
from tomolith.learn.losses.base import IGNORE
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import TrainSettings, UnlabelledSettings
from tomolith.learn.train import train
from tomolith.learn.trainer import Trainer
from tomolith.learn.weak import (
    Teacher,
    WeakTrainer,
    consistency_loss,
    pseudo_label_loss,
    ramp_up,
    unlabelled_sampler,
)

SCHEMA = PRESETS["li-binary"]
METHODS = ["pseudo_labels", "mean_teacher"]
SMALL = {
    "network": {"name": "unet", "channels": 4, "depth": 2, "dropout": 0.2},
    "epochs": 3,
    "patch_px": 32,
    "batch": 4,
    "patches_per_epoch": 16,
    "threads": 1,
    "precision": "fp32",
    "learning_rate": 0.01,
}


def _settings(method, **changes):
    own = {"method": method, "confidence": 0.6, **changes.pop("unlabelled", {})}
    return TrainSettings.model_validate({**SMALL, **changes, "unlabelled": own})


@pytest.fixture
def sparse(blob_example):
    """Return a scan of which a part of slices 0, 3 and 6 is labelled."""
    full = blob_example(depth=9, side=64)
    labels = np.full(full.image.grid.shape_zyx, 255, np.uint8)
    for z in (0, 3, 6):
        labels[z, 10:50, 10:50] = full.labels.volume.array[z, 10:50, 10:50]
    return Example("a", full.image, LabelMap(Volume(labels, full.image.grid), SCHEMA), full.stats)


def test_the_teacher_is_an_exponential_average_of_all_weights():
    student = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    teacher = Teacher(student, ema=(0.6, 0.9), in_ramp=lambda step: step < 50)
    expected = {}
    for step in (*range(4), *range(40, 110, 10)):
        with torch.no_grad():
            for tensor in student.state_dict().values():
                tensor.copy_(torch.randn(tensor.shape) * 5)
        teacher.update(student, step)
        kept = min(0.6 if step < 50 else 0.9, step / (step + 9))
        for name, new in student.state_dict().items():
            old = expected.get(name, new)
            mean = new.clone() if name.endswith("tracked") else kept * old + (1 - kept) * new
            expected[name] = mean
    for name, value in teacher.network.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    assert not any(p.requires_grad for p in teacher.network.parameters())


@pytest.mark.parametrize(
    ("done", "share", "expected"),
    [(0.0, 0.4, math.exp(-5)), (0.1, 0.4, math.exp(-5 * 0.75**2)), (0.4, 0.4, 1), (0.0, 0.0, 1)],
)
def test_the_ramp_has_the_papers_values(done, share, expected):
    assert ramp_up(done, share) == pytest.approx(expected)


def test_only_confident_usable_pixels_are_pseudo_labels():
    # probabilities of class 0: 0.9, 0.96, 0.04, 0.99; the last one is labelled or outside
    p = torch.tensor([0.9, 0.96, 0.04, 0.99])
    judged = torch.stack([p.log(), (1 - p).log()])[None, :, None]
    usable = torch.tensor([[[True, True, True, False]]])
    logits = torch.zeros(1, 2, 1, 4, requires_grad=True)
    loss = pseudo_label_loss(logits, judged, usable, confidence=0.95)
    assert loss.item() == pytest.approx(2 / 3 * math.log(2))
    loss.backward()
    gradient = logits.grad[0, 0, 0]
    assert gradient[0] == gradient[3] == 0
    assert gradient[1] < 0 < gradient[2]  # towards the class that the judge named


def test_no_usable_pixel_gives_a_loss_of_zero():
    logits = torch.zeros(1, 2, 1, 4, requires_grad=True)
    nowhere = torch.zeros(1, 1, 4, dtype=torch.bool)
    for loss in (
        pseudo_label_loss(logits, logits, nowhere, confidence=0.5),
        consistency_loss(logits, logits + 1, nowhere),
    ):
        loss.backward()
        assert loss.item() == 0


def test_consistency_is_a_mean_over_usable_pixels_and_does_not_move_the_teacher():
    logits = torch.zeros(1, 2, 1, 3, requires_grad=True)
    judged = torch.tensor([[[[0.0, 40.0, 40.0]], [[0.0, 0.0, 0.0]]]], requires_grad=True)
    usable = torch.tensor([[[True, True, False]]])
    loss = consistency_loss(logits, judged, usable)
    assert loss.item() == pytest.approx((0 + 2 * 0.5**2) / 2)
    loss.backward()
    assert judged.grad is None
    assert logits.grad[0, 0, 0, 2] == 0


def test_held_out_slices_their_neighbours_and_held_out_scans_are_not_free():
    scans = [
        LabelledScan("volume", (0, 5, 9)),
        LabelledScan("sections", (0, 1), sections=True),
        LabelledScan("tested", (4,)),
        LabelledScan("bare", ()),
    ]
    parts = Split(
        train=(SliceRange("volume", 0, 1), SliceRange("sections", 0, 1)),
        validation=(SliceRange("volume", 5, 6), SliceRange("sections", 1, 2)),
        test=(SliceRange("volume", 9, 10), SliceRange("tested", 4, 5)),
    )
    n_slices = {"volume": 10, "sections": 4, "tested": 8, "bare": 2}
    assert free_slices(scans, parts, n_slices=n_slices, gap=1) == [
        *(("volume", z) for z in (0, 1, 2, 3, 7)),
        *(("sections", z) for z in (0, 2, 3)),
        *(("bare", z) for z in (0, 1)),
    ]


def test_patches_are_drawn_only_where_nothing_is_labelled(sparse, blob_example):
    bare = Example.without_labels("b", sparse.image, SCHEMA, stats=sparse.stats)
    full = blob_example("c", depth=2, side=64)
    examples = [sparse, bare, full]
    slices = index_labels(examples, SCHEMA)
    parts = Split((SliceRange("a", 0, 1), SliceRange("c", 0, 2)), (SliceRange("a", 6, 7),))
    sampler = unlabelled_sampler(
        examples, slices, parts, settings=_settings("mean_teacher"), n_steps=200, n_slices=99
    )
    drawn = {(p.example, p.z) for p in sampler.epoch(0)}
    assert drawn == {*((0, z) for z in (0, 1, 2, 3, 4, 8)), *((1, z) for z in range(9))}


def test_a_scan_without_labels_is_labelled_nowhere(sparse):
    bare = Example.without_labels("b", sparse.image, SCHEMA, stats=sparse.stats)
    with pytest.raises(InputError, match="labelled"):
        index_labels([bare], SCHEMA)


def test_only_valid_unlabelled_pixels_inside_the_image_are_usable(sparse):
    invalid = np.zeros(sparse.image.grid.shape_zyx, np.uint8)
    invalid[3, 55:60, 0:4] = 1
    example = Example("a", sparse.image, sparse.labels, sparse.stats, invalid)
    cache = SliceCache([example], SCHEMA, 10**6)
    _, free = cache.region(0, 3, corner_yx=(0, -2), side_px=64, unlabelled=True)
    expected = np.zeros((64, 64), np.int64)
    expected[:, :2] = IGNORE
    expected[10:50, 12:52] = IGNORE
    expected[55:60, 2:6] = IGNORE
    np.testing.assert_array_equal(free, expected)


@pytest.mark.parametrize("method", METHODS)
def test_it_trains_and_logs_the_unlabelled_loss(sparse, tmp_path, method):
    settings = _settings(method, epochs=4, unlabelled={"ramp_up_frac": 0.0, "batch": 2})
    result = train([sparse], settings, tmp_path, schema=SCHEMA)
    losses = [row.unlabelled_loss for row in result.rows]
    assert all(0 <= loss < 10 for loss in losses)
    assert losses[-1] > 0
    assert result.bundle.settings == settings


def test_only_a_threshold_within_reach_gives_pseudo_labels(sparse, tmp_path):
    high = _settings("pseudo_labels", epochs=1, unlabelled={"confidence": 0.999999})
    low = _settings("pseudo_labels", epochs=1, unlabelled={"confidence": 0.501})
    rows = [
        train([sparse], s, tmp_path / str(i), schema=SCHEMA).rows[0]
        for i, s in enumerate((high, low))
    ]
    assert rows[0].unlabelled_loss == 0
    assert rows[1].unlabelled_loss > 0


def test_unlabelled_voxels_are_ignored_unless_asked_for(sparse, tmp_path):
    """Other grey values where nothing is labelled change nothing; with a teacher they do."""
    changed = sparse.image.read(sparse.image.grid.box).copy()
    changed[[1, 2, 4]] = 255 - changed[[1, 2, 4]]
    image = Volume(changed, Grid(changed.shape, sparse.image.grid.voxel_size_um))
    other = Example("a", image, sparse.labels, sparse.stats)

    def weights(example, method, name):
        return train([example], _settings(method), tmp_path / name, schema=SCHEMA).bundle

    plain = [weights(e, "none", f"none{i}").fingerprint for i, e in enumerate((sparse, other))]
    weak = [weights(e, "mean_teacher", f"mt{i}").fingerprint for i, e in enumerate((sparse, other))]
    assert plain[0] == plain[1]
    assert weak[0] != weak[1]


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_training_is_the_same_as_an_uninterrupted_one(
    sparse, tmp_path, monkeypatch, method
):
    settings = _settings(method)
    whole = train([sparse], settings, tmp_path / "whole", schema=SCHEMA)
    epoch, folder = Trainer._epoch, tmp_path / "killed"

    def killed(trainer, progress, optimizer):
        if progress.epoch == 2:
            raise KeyboardInterrupt
        return epoch(trainer, progress, optimizer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train([sparse], settings, folder, schema=SCHEMA)
    assert (folder / "checkpoint.safetensors").is_file()
    resumed = train([sparse], settings, folder, schema=SCHEMA)
    assert resumed.bundle.fingerprint == whole.bundle.fingerprint
    assert [r.unlabelled_loss for r in resumed.rows] == [r.unlabelled_loss for r in whole.rows]


def test_the_checkpoint_holds_the_teacher(sparse, tmp_path, monkeypatch):
    found = {}

    def watched(trainer, progress):
        found["teacher"] = trainer._average.weights()
        found["key"] = trainer.task.key
        raise KeyboardInterrupt

    monkeypatch.setattr(WeakTrainer, "temperature", watched)
    with pytest.raises(KeyboardInterrupt):
        train([sparse], _settings("mean_teacher", epochs=1), tmp_path, schema=SCHEMA)
    network = NETWORKS.build(_settings("none").network, 1, 2)
    progress = read_checkpoint(
        tmp_path / "checkpoint.safetensors",
        key=found["key"],
        network=network,
        optimizer=torch.optim.Adam(network.parameters()),
    )
    for name, value in found["teacher"].items():
        assert torch.equal(progress.average[name], value), name
    names = [name for name, _ in network.named_parameters()]
    assert any(not torch.equal(progress.average[n], network.state_dict()[n]) for n in names)


def test_nothing_unlabelled_is_refused(blob_example, tmp_path):
    with pytest.raises(InputError, match="no voxel of the training scans is unlabelled") as caught:
        train([blob_example()], _settings("mean_teacher"), tmp_path, schema=SCHEMA)
    assert "unlabelled_scans" in str(caught.value)


def test_a_network_with_its_own_training_is_refused(sparse, tmp_path):
    settings = _settings("pseudo_labels", network="adapted_lcgar")
    with pytest.raises(RecipeError, match="learns from labels alone"):
        train([sparse], settings, tmp_path, schema=SCHEMA)


def test_settings_of_older_models_are_still_read():
    older = {"method": "mean_teacher", "weight": None, "ramp_up_frac": 0.2}
    assert UnlabelledSettings.model_validate(older).weight == 1


def test_a_method_alone_is_enough():
    assert TrainSettings(unlabelled="pseudo_labels").unlabelled == UnlabelledSettings(
        method="pseudo_labels"
    )
    assert TrainSettings().unlabelled.method == "none"


def test_deep_supervision_trains(sparse, tmp_path):
    pytest.importorskip("monai")
    network = {"name": "dynunet", "channels": [4, 8, 8], "heads": 1}
    settings = _settings("mean_teacher", network=network, epochs=1)
    result = train([sparse], settings, tmp_path, schema=SCHEMA)
    assert math.isfinite(result.rows[0].unlabelled_loss)
