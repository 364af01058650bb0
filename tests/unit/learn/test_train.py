from __future__ import annotations

import contextlib
import csv
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import DiskError, InputError, MismatchError, RecipeError, TomolithError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.checkpoint import EpochRow
from tomolith.learn.examples import Example, SliceCache, index_labels
from tomolith.learn.losses.base import IGNORE
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train
from tomolith.learn.trainer import Trainer
from tomolith.learn.training_log import TrainingLog
from tomolith.learn.validation import slice_logits

SCHEMA = PRESETS["li-binary"]
SMALL = {
    "network": {"name": "unet", "channels": 4, "depth": 2},
    "epochs": 3,
    "patch_px": 32,
    "batch": 8,
    "patches_per_epoch": 64,
    "threads": 1,
    "precision": "fp32",
    "learning_rate": 0.01,
}


def _settings(**changes):
    return TrainSettings.model_validate({**SMALL, **changes})


@pytest.fixture(scope="module")
def trained(blob_example, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return train([blob_example()], _settings(epochs=6), folder, schema=SCHEMA)


def test_it_learns(trained):
    assert trained.bundle.scores["validation_iou"] > 0.8
    assert trained.rows[-1].train_loss < 0.5 * trained.rows[0].train_loss
    assert trained.stopped == "epochs"


def test_the_folder_holds_the_whole_model_and_no_checkpoint(trained):
    assert sorted(p.name for p in trained.folder.iterdir()) == [
        "log.csv",
        "model.yaml",
        "split.json",
        "tensorboard",
        "weights.safetensors",
    ]
    assert list((trained.folder / "tensorboard").iterdir())


def test_the_log_has_a_row_for_each_epoch(trained):
    rows = list(csv.DictReader((trained.folder / "log.csv").open()))
    assert list(rows[0]) == [
        "epoch",
        "step",
        "train_loss",
        "validation_loss",
        "validation_iou",
        "lr",
        "seconds",
        "unlabelled_loss",
    ]
    assert [int(r["epoch"]) for r in rows] == [1, 2, 3, 4, 5, 6]
    assert [int(r["step"]) for r in rows] == [8, 16, 24, 32, 40, 48]
    rates = [float(r["lr"]) for r in rows]
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[-1] < 0.05 * rates[1]
    assert {r["unlabelled_loss"] for r in rows} == {""}


def test_the_split_is_written(trained):
    parts = json.loads((trained.folder / "split.json").read_text())
    assert parts == {"train": [["a", 0, 2]], "validation": [["a", 3, 4]], "test": [["a", 5, 6]]}


def test_the_stored_model_is_the_one_with_the_best_validation(trained, blob_example):
    best = max(trained.rows, key=lambda row: row.validation_iou)
    assert trained.best_epoch == best.epoch
    loaded = ModelBundle.load(trained.folder)
    example, net = blob_example(), loaded.build_network()
    image = loaded.normalisation.apply(example.image.array[3:4], example.stats)
    labels = slice_logits(net, image, patch_px=32, batch=8).argmax(0)
    truth = example.labels.volume.array[3]
    union = ((labels == 1) | (truth == 1)).sum()
    iou = ((labels == 1) & (truth == 1)).sum() / union
    assert iou == pytest.approx(loaded.scores["validation_iou_lithium"], abs=1e-6)


def test_the_bundle_says_what_it_was_trained_on(trained):
    bundle = ModelBundle.load(trained.folder)
    assert bundle.network.name == "unet"
    assert bundle.voxel_size_um == (1.0, 1.0, 1.0)
    assert bundle.patch_px == 32
    assert bundle.provenance.seed == 0
    assert bundle.settings == trained.bundle.settings
    assert bundle.fingerprint == trained.bundle.fingerprint


def test_the_same_seed_gives_the_same_weights(blob_example, tmp_path):
    def weights(name, **changes):
        settings = _settings(epochs=1, **changes)
        return train([blob_example()], settings, tmp_path / name, schema=SCHEMA).bundle.fingerprint

    assert weights("a") == weights("b")
    assert weights("c", seed=1) != weights("a")


def test_sparse_labels_train(blob_example, tmp_path):
    full = blob_example(depth=8)
    sparse = np.full(full.image.grid.shape_zyx, 255, np.uint8)
    for z in (0, 3, 6):
        sparse[z, 20:70, 20:70] = full.labels.volume.array[z, 20:70, 20:70]
    labels = LabelMap(Volume(sparse, full.image.grid), SCHEMA)
    example = Example("a", full.image, labels, full.stats)
    result = train([example], _settings(epochs=6), tmp_path, schema=SCHEMA)
    assert result.split.validation[0].z_start == 6
    assert result.bundle.scores["validation_iou"] > 0.8


def test_images_smaller_than_a_patch_train(blob_example, tmp_path):
    examples = [blob_example(str(i), depth=1, side=20, seed=i) for i in range(4)]
    result = train(examples, _settings(epochs=1), tmp_path, schema=SCHEMA)
    assert np.isfinite(result.rows[0].train_loss)


@pytest.mark.parametrize("loss", ["weighted_cross_entropy", "balanced_cross_entropy", "dice"])
@pytest.mark.parametrize("precision", ["bf16"])
def test_other_losses_and_bf16_train(blob_example, tmp_path, loss, precision):
    settings = _settings(loss=loss, precision=precision, augment="strong", epochs=2)
    result = train([blob_example()], settings, tmp_path, schema=SCHEMA)
    assert result.rows[-1].train_loss < result.rows[0].train_loss


def test_transforcnn_trains(blob_example, tmp_path):
    settings = _settings(network="transforcnn", epochs=2, learning_rate=0.003)
    result = train([blob_example()], settings, tmp_path, schema=SCHEMA)
    assert result.rows[-1].train_loss < result.rows[0].train_loss


def test_the_time_limit_ends_training_with_a_whole_model(blob_example, tmp_path):
    settings = _settings(epochs=10_000, minutes=0.02, patience=None)
    result = train([blob_example()], settings, tmp_path, schema=SCHEMA)
    assert result.stopped == "time"
    assert ModelBundle.load(tmp_path).fingerprint == result.bundle.fingerprint


def test_patience_ends_training(blob_example, tmp_path):
    settings = _settings(epochs=50, patience=2, learning_rate=1e-9)
    result = train([blob_example()], settings, tmp_path, schema=SCHEMA)
    assert result.stopped == "patience"
    assert len(result.rows) == result.best_epoch + 2


def test_threads_and_random_state_are_given_back(blob_example, tmp_path):
    before, state = torch.get_num_threads(), torch.get_rng_state()
    train([blob_example()], _settings(epochs=1), tmp_path, schema=SCHEMA)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_scans_of_another_voxel_size_are_refused(blob_example, tmp_path):
    examples = [blob_example("a"), blob_example("b", voxel_size_um=(1.0, 1.0, 1.05))]
    with pytest.raises(MismatchError, match=r"1 × 1 × 1\.05 µm") as caught:
        train(examples, _settings(), tmp_path, schema=SCHEMA)
    assert "as 'a': 1 × 1 × 1 µm" in str(caught.value)


def test_scans_with_and_without_voxel_size_are_refused(blob_example, tmp_path):
    examples = [blob_example("a"), blob_example("b", voxel_size_um=None)]
    with pytest.raises(MismatchError, match="unknown size"):
        train(examples, _settings(), tmp_path, schema=SCHEMA)


def test_labels_of_another_schema_are_refused(blob_example, tmp_path):
    with pytest.raises(MismatchError, match="background, lithium"):
        train([blob_example()], _settings(), tmp_path, schema=PRESETS["cathode-3phase"])


def test_a_patch_that_the_network_cannot_halve_is_refused(blob_example, tmp_path):
    with pytest.raises(RecipeError, match="patch_px is 30") as caught:
        train([blob_example()], _settings(patch_px=30), tmp_path, schema=SCHEMA)
    assert "say 32" in str(caught.value)


def test_an_unknown_network_is_refused(blob_example, tmp_path):
    with pytest.raises(RecipeError, match="unknown network 'unett'"):
        train([blob_example()], _settings(network="unett"), tmp_path, schema=SCHEMA)


def test_no_example_is_refused(tmp_path):
    with pytest.raises(InputError, match="no labelled scan"):
        train([], _settings(), tmp_path, schema=SCHEMA)


def test_a_single_labelled_slice_leaves_nothing_to_validate_with(blob_example, tmp_path):
    with pytest.raises(RecipeError, match="no slice for validation"):
        train([blob_example(depth=1)], _settings(), tmp_path, schema=SCHEMA)


def test_absent_class_has_no_score(blob_example, tmp_path):
    example = blob_example()
    grid = Grid(example.image.grid.shape_zyx, (1.0, 1.0, 1.0))
    schema = PRESETS["cathode-3phase"]
    labels = LabelMap(Volume(example.labels.volume.array, grid), schema)  # no pore (2)
    result = train(
        [Example("a", example.image, labels, example.stats)],
        _settings(epochs=1),
        tmp_path,
        schema=schema,
    )
    assert result.bundle.scores["validation_iou_pore"] is None
    assert result.bundle.scores["validation_iou"] is not None


def test_settings_do_not_import_torch():
    code = "import sys, tomolith.learn.settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_corrected_labels_do_not_go_on_from_a_checkpoint_of_the_old_ones(
    blob_example, tmp_path, monkeypatch
):
    """Inverted labels have the same slices, shape and statistics."""
    example = blob_example()
    inverted = 1 - example.labels.read(example.labels.grid.box)
    labels = LabelMap(Volume(inverted, example.labels.grid), SCHEMA)
    corrected = Example(example.scan_id, example.image, labels, example.stats)
    run = Trainer.run
    begun = []

    def watched(trainer, progress, **given):
        begun.append(len(progress.rows))
        return run(trainer, progress, **given)

    def kill(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run", watched)
    with monkeypatch.context() as patch:
        patch.setattr(ModelBundle, "save", kill)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                train([example], _settings(epochs=1), tmp_path, schema=SCHEMA)
    train([corrected], _settings(epochs=1), tmp_path, schema=SCHEMA)
    assert begun == [0, 1, 0]


def test_invalid_voxels_count_as_unlabelled(blob_example, tmp_path):
    full = blob_example()
    invalid = np.zeros(full.image.grid.shape_zyx, np.uint8)
    invalid[0] = 1
    invalid[1, :50] = 1
    example = Example("a", full.image, full.labels, full.stats, invalid)
    slices = index_labels([example], SCHEMA)
    assert [s.z for s in slices] == [1, 2, 3, 4, 5]
    assert slices[0].n_pixels.sum() == 46 * 96
    cache = SliceCache([example], SCHEMA, 10**6)
    _, channels = cache.region(0, 1, corner_yx=(0, 0), side_px=96)
    assert (channels[:50] == IGNORE).all()
    assert (channels[50:] != IGNORE).all()
    result = train([example], _settings(epochs=1), tmp_path, schema=SCHEMA)
    assert min(r.z_start for r in result.split.train) == 1


def test_a_training_that_diverges_says_so_and_leaves_nothing_half(blob_example, tmp_path):
    with pytest.raises(InputError, match="diverged") as caught:
        train([blob_example()], _settings(learning_rate=1e30), tmp_path, schema=SCHEMA)
    assert "train.learning_rate" in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["split.json"]


def test_an_older_model_does_not_look_whole_beside_the_split_of_a_new_one(blob_example, tmp_path):
    train([blob_example()], _settings(epochs=1), tmp_path, schema=SCHEMA)
    with pytest.raises(InputError, match="diverged"):
        train([blob_example(depth=9)], _settings(learning_rate=1e30), tmp_path, schema=SCHEMA)
    assert json.loads((tmp_path / "split.json").read_text())["test"] == [["a", 8, 9]]
    with pytest.raises(TomolithError):
        ModelBundle.load(tmp_path)


@contextlib.contextmanager
def _file_size_limit(n_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_log_that_cannot_be_written_is_a_disk_error(tmp_path):
    row = EpochRow(1, 8, 0.5, 0.5, 0.5, 0.001, 1.0)
    with _file_size_limit(50), pytest.raises(DiskError, match="larger than allowed") as caught:
        TrainingLog(tmp_path, []).add(row)
    assert "log.csv" in str(caught.value)
    with _file_size_limit(120), pytest.raises(DiskError, match="larger than allowed") as caught:
        TrainingLog(tmp_path, []).add(row)
    assert "tensorboard" in str(caught.value)
    assert (tmp_path / "log.csv").read_text().count("\n") == 2


def test_tensorboard_reads_the_log(tmp_path):
    log = TrainingLog(tmp_path, [])
    for epoch in (1, 2):
        log.add(EpochRow(epoch, 8 * epoch, 0.5 / epoch, 0.5, 0.5, 0.001, 1.0))
    again = TrainingLog(tmp_path, [EpochRow(1, 8, 0.5, 0.5, 0.5, 0.001, 1.0)])
    again.add(EpochRow(2, 16, 0.125, 0.5, 0.5, 0.001, 1.0))
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("train_loss")
    assert [(event.step, event.value) for event in found] == [(8, 0.5), (16, 0.125)]
