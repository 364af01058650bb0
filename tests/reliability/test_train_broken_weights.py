"""Weights and checkpoints that are damaged, or are something else: never loaded, never obeyed."""

from __future__ import annotations

import pickle
import resource
from pathlib import Path

import numpy as np
import pytest
import torch

from tomolith.config import Component
from tomolith.core import PRESETS, Normalisation
from tomolith.errors import DiskError, IntegrityError, TomolithError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.checkpoint import Progress, read_checkpoint, write_checkpoint
from tomolith.learn.networks import NETWORKS

UNET = Component(name="unet", options={"channels": 2, "depth": 2})


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _save(folder):
    network = NETWORKS.build(UNET, 1, 2)
    ModelBundle(
        UNET,
        PRESETS["li-binary"],
        None,
        False,
        Normalisation(),
        1,
        64,
        weights=network.state_dict(),
    ).save(folder)
    return folder / "weights.safetensors"


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_posing_as_weights_is_not_loaded(tmp_path, writer):
    weights, sprung = _save(tmp_path), tmp_path / "sprung"
    if writer == "pickle":
        weights.write_bytes(pickle.dumps(Trap(sprung)))
    else:
        torch.save({"head.weight": Trap(sprung)}, weights)
    with pytest.raises(IntegrityError, match="a pickle, which is never loaded") as caught:
        ModelBundle.load(tmp_path)
    assert str(weights) in str(caught.value)
    assert not sprung.exists()


@pytest.mark.parametrize("keep_frac", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_refused(tmp_path, keep_frac):
    weights = _save(tmp_path)
    content = weights.read_bytes()
    weights.write_bytes(content[: int(len(content) * keep_frac)])
    with pytest.raises(IntegrityError, match="cannot be read"):
        ModelBundle.load(tmp_path)


def test_every_flipped_bit_is_noticed(tmp_path):
    weights = _save(tmp_path)
    content = bytearray(weights.read_bytes())
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 25):
        flipped = bytearray(content)
        flipped[position] ^= 1 << int(rng.integers(8))
        weights.write_bytes(flipped)
        with pytest.raises(TomolithError):
            ModelBundle.load(tmp_path)


def _fresh():
    torch.manual_seed(0)
    network = NETWORKS.build(UNET, 1, 2)
    return network, torch.optim.Adam(network.parameters())


def _write(path, key="k"):
    network, optimizer = _fresh()
    network(torch.randn(1, 1, 8, 8)).square().mean().backward()
    optimizer.step()
    progress = Progress(epoch=3, step=9, best_iou=0.5, best_weights=network.state_dict())
    write_checkpoint(path, progress, key=key, network=network, optimizer=optimizer)


def test_a_checkpoint_comes_back_whole(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    _write(path)
    network, optimizer = _fresh()
    progress = read_checkpoint(path, key="k", network=network, optimizer=optimizer)
    assert (progress.epoch, progress.step, progress.best_iou) == (3, 9, 0.5)
    first = optimizer.state_dict()["state"][0]
    assert float(first["step"]) == 1
    assert float(first["exp_avg"].abs().sum()) > 0


def test_a_checkpoint_of_another_training_is_left_alone(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    _write(path, key="other")
    network, optimizer = _fresh()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    assert read_checkpoint(path, key="k", network=network, optimizer=optimizer) is None
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("damage", ["pickle", "half", "empty"])
def test_a_broken_checkpoint_is_named(tmp_path, damage):
    path, sprung = tmp_path / "checkpoint.safetensors", tmp_path / "sprung"
    _write(path)
    content = path.read_bytes()
    broken = {"pickle": pickle.dumps(Trap(sprung)), "half": content[: len(content) // 2]}
    path.write_bytes(broken.get(damage, b""))
    network, optimizer = _fresh()
    with pytest.raises(IntegrityError, match=r"pickle|cannot be read") as caught:
        read_checkpoint(path, key="k", network=network, optimizer=optimizer)
    assert str(path) in str(caught.value)
    assert not sprung.exists()


def test_a_model_that_cannot_be_written_is_a_disk_error(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DiskError, match="larger than allowed") as caught:
            _save(tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "weights.safetensors" in str(caught.value)
    assert not list((tmp_path / "model").iterdir())
