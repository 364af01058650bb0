from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from tomolith.config import Component
from tomolith.core import PRESETS, Grid, IntensityStats, LabelMap, Volume
from tomolith.errors import RecipeError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.examples import Example, index_labels
from tomolith.learn.losses.base import IGNORE
from tomolith.learn.matphase.abstain import abstaining_loss
from tomolith.learn.matphase.train import LocalTrainer, admitted_frac
from tomolith.learn.networks import NETWORKS
from tomolith.learn.networks.matphase import join
from tomolith.learn.pixels import draw_pixels
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train
from tomolith.learn.trainer import Trainer
from tomolith.learn.training_log import logged_seconds

SCHEMA = PRESETS["cathode-3phase"]
NET = {"name": "matphase", "channels": 4, "passes": 2, "local_px": 16}
SMALL = {
    "network": NET,
    "patch_px": 32,
    "patches_per_epoch": 24,
    "threads": 1,
    "precision": "fp32",
    "learning_rate": 0.01,
    "pixels": 64,
    "matphase": {"ugsm_epochs": 3, "ugsm_batch": 8, "epochs": 3, "crops": 4, "levels": 2},
}


def _settings(**changes):
    return TrainSettings.model_validate({**SMALL, **changes})


@pytest.fixture(scope="module")
def example():
    """Return a scan of three phases, the third of which differs in its texture alone."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(6, 64, 64)), (0, 5, 5))
    truth = np.digitize(smooth, np.quantile(smooth, [0.4, 0.7])).astype(np.uint8)
    grey = (
        np.array([160.0, 90.0, 90.0])[truth]
        + rng.normal(0, 1, truth.shape) * np.array([8.0, 4.0, 30.0])[truth]
    )
    grid = Grid(truth.shape, None)
    grey8 = np.clip(grey, 0, 255).astype(np.uint8)
    stats = (IntensityStats.of_sample(grey8),)
    return Example("a", Volume(grey8, grid), LabelMap(Volume(truth, grid), SCHEMA), stats)


@pytest.fixture(scope="module")
def trained(example, tmp_path_factory):
    folder = tmp_path_factory.mktemp("matphase")
    more = {**SMALL["matphase"], "ugsm_epochs": 8, "epochs": 4}
    settings = _settings(patches_per_epoch=64, matphase=more)
    return train([example], settings, folder, schema=SCHEMA)


def test_both_stages_learn_and_leave_one_model(trained):
    bundle = ModelBundle.load(trained.folder)
    assert bundle.network.name == "matphase"
    assert bundle.scores["validation_iou"] > 0.7
    names = {path.name for path in trained.folder.iterdir()}
    assert {"model.yaml", "weights.safetensors", "log.csv", "split.json", "ugsm"} <= names
    assert not list(trained.folder.rglob("checkpoint.safetensors"))


def test_its_time_is_that_of_both_stages(trained):
    first, second = (logged_seconds(folder) for folder in (trained.folder / "ugsm", trained.folder))
    assert trained.seconds >= first + second > max(first, second)


def test_the_ugsm_is_a_model_by_itself_and_stays_as_it_was_trained(trained):
    alone, whole = ModelBundle.load(trained.folder / "ugsm"), trained.bundle
    assert alone.network.options["parts"] == "ugsm"
    assert alone.settings.loss.name == "weighted_cross_entropy"
    image = torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        given = whole.build_network().ugsm(image)
        torch.testing.assert_close(given, alone.build_network()(image))


@pytest.mark.parametrize("parts", ["ugsm", "lcgar", "lcgar+idk", "ugsm+lcgar"])
def test_each_part_can_be_left_out(example, tmp_path, parts):
    short = {**SMALL["matphase"], "ugsm_epochs": 1, "epochs": 1, "levels": 1}
    settings = _settings(network={**NET, "parts": parts}, matphase=short)
    result = train([example], settings, tmp_path, schema=SCHEMA)
    network = ModelBundle.load(result.folder).build_network()
    assert (network.ugsm is not None) == ("ugsm" in parts)
    assert (network.lcgar is not None) == ("lcgar" in parts)
    assert network.idk == ("idk" in parts)
    assert (tmp_path / "ugsm").exists() == (parts == "ugsm+lcgar")
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("parts", ["", "ugsm+idk", "idk", "ugsm+lcgr"])
def test_parts_that_make_no_network_are_refused(parts):
    with pytest.raises(RecipeError, match="parts is"):
        NETWORKS.build(Component(name="matphase", options={"parts": parts}), 1, 3)


def test_a_training_killed_in_either_stage_ends_as_if_never_killed(example, tmp_path, monkeypatch):
    settings = _settings()
    whole = train([example], settings, tmp_path / "whole", schema=SCHEMA)
    ran = []
    epoch = Trainer._epoch

    def killed_sometimes(trainer, progress, optimizer):
        ran.append(isinstance(trainer, LocalTrainer))
        if len(ran) in (3, 6):  # in the third epoch of the first stage, the second of the second
            raise KeyboardInterrupt
        return epoch(trainer, progress, optimizer)

    monkeypatch.setattr(Trainer, "_epoch", killed_sometimes)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train([example], settings, tmp_path / "killed", schema=SCHEMA)
        assert not (tmp_path / "killed" / "model.yaml").exists()
    again = train([example], settings, tmp_path / "killed", schema=SCHEMA)
    assert ran == 4 * [False] + 4 * [True]
    assert again.bundle.fingerprint == whole.bundle.fingerprint


def test_another_second_stage_takes_the_same_first_one(example, tmp_path, monkeypatch):
    short = {**SMALL["matphase"], "ugsm_epochs": 1, "epochs": 1}
    train([example], _settings(matphase=short), tmp_path, schema=SCHEMA)
    stages = []
    run = Trainer.run
    monkeypatch.setattr(
        Trainer, "run", lambda self, *a, **k: stages.append(type(self)) or run(self, *a, **k)
    )
    train([example], _settings(matphase={**short, "levels": 1}), tmp_path, schema=SCHEMA)
    assert stages == [LocalTrainer]
    train([example], _settings(matphase=short, learning_rate=0.02), tmp_path, schema=SCHEMA)
    assert stages == [LocalTrainer, Trainer, LocalTrainer]


@pytest.mark.parametrize("name", ["adapted_lcgar", "local_unet", "resnet18_centre", "mcd_unet"])
def test_the_baselines_learn(example, tmp_path, name):
    sizes = {"resnet18_centre": {"channels": 4, "local_px": 16}, "mcd_unet": {"channels": 4}}
    network = {"name": name, **sizes.get(name, {})}
    settings = _settings(network=network, epochs=4, pixels=128, batch=8, average_steps=0)
    result = train([example], settings, tmp_path, schema=SCHEMA)
    assert result.rows[-1].train_loss < 0.9 * result.rows[0].train_loss
    assert ModelBundle.load(tmp_path).network.name == name


def test_the_curriculum_admits_the_certain_first():
    uncertainty = torch.linspace(0, 1, 400).view(1, 20, 20)
    target = torch.zeros(1, 20, 20, dtype=torch.int64)
    target[0, :10] = IGNORE  # the most certain half is not labelled
    for done, most in ((0.0, 0.625), (0.3, 0.75), (0.99, 1.0)):
        frac = admitted_frac(done, 4)
        pixels = draw_pixels(target, 4000, uncertainty=uncertainty, admitted_frac=frac)
        drawn = uncertainty[pixels]
        assert float(drawn.min()) == pytest.approx(0.5, abs=0.01)
        assert float(drawn.max()) == pytest.approx(most, abs=0.01)
    assert draw_pixels(torch.full((1, 4, 4), IGNORE), 10) is None


def test_abstaining_pays_below_the_inverse_of_the_reward():
    """What is learnt where 55 of 100 equal pixels are of class 0, and 45 of class 1."""
    classes = torch.tensor([0] * 55 + [1] * 45)
    found = {}
    for reward in (1.5, 1.9):
        logits = torch.zeros(1, 3, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.2)
        for _ in range(200):
            optimizer.zero_grad()
            abstaining_loss(logits.expand(100, 3), classes, reward=reward).backward()
            optimizer.step()
        found[reward] = logits.detach().softmax(1)[0]
    assert float(found[1.5][2]) > 0.95  # 0.55 < 1 / 1.5
    assert float(found[1.9][2]) < 0.95
    assert float(found[1.9][0]) > float(found[1.9][1])


def test_without_abstention_the_loss_is_cross_entropy():
    logits, classes = torch.randn(20, 4), torch.randint(0, 3, (20,))
    logits[:, 3] = -1e4
    expected = torch.nn.functional.cross_entropy(logits[:, :3], classes)
    torch.testing.assert_close(abstaining_loss(logits, classes, reward=2.0), expected)


def test_what_the_local_stage_does_not_know_is_left_to_the_ugsm():
    wide = torch.randn(2, 3, 4, 4)
    nothing = torch.zeros(2, 4, 4, 4)
    nothing[:, 3] = 50.0
    torch.testing.assert_close(join(nothing, wide).softmax(1), wide.softmax(1))
    sure = torch.zeros(2, 4, 4, 4)
    sure[:, 1] = 50.0
    assert (join(sure, wide).argmax(1) == 1).all()
    shares = join(torch.randn(2, 4, 4, 4), wide).exp().sum(1)
    torch.testing.assert_close(shares, torch.ones_like(shares))


def test_a_batch_without_labels_teaches_nothing(example, tmp_path):
    """An image that is all but unlabelled, so that some crops hold no label at all."""
    values = np.full((6, 64, 64), 255, np.uint8)
    values[:, 0, ::20] = example.labels.volume.array[:, 0, ::20]
    labels = LabelMap(Volume(values, example.labels.grid), SCHEMA)
    sparse = Example("a", example.image, labels, example.stats)
    short = {**SMALL["matphase"], "ugsm_epochs": 1, "epochs": 2, "crops": 1}
    result = train([sparse], _settings(matphase=short), tmp_path, schema=SCHEMA)
    assert all(math.isfinite(row.train_loss) for row in result.rows)


def test_labels_are_cleaned_before_they_train(example, tmp_path):
    values = example.labels.volume.array.copy()
    values[:] = 0
    values[:, ::4, ::4] = 1
    labels = LabelMap(Volume(values, example.labels.grid), SCHEMA)
    speckled = Example("a", example.image, labels, example.stats)
    assert index_labels([speckled], SCHEMA)[0].n_pixels.sum((0, 1))[1] == 256
    settings = _settings(
        network={"name": "unet", "channels": 2, "depth": 1},
        epochs=1,
        clean_labels={"pairs": [["nmc", "carbon-binder"]]},
    )
    result = train([speckled], settings, tmp_path, schema=SCHEMA)
    assert result.bundle.scores["validation_iou_carbon-binder"] is None
