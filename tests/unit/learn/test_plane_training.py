"""Slices of another plane than xy train: nothing but the axes is different."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, IntensityStats, LabelMap, Volume
from tomolith.core.plane import AXES
from tomolith.errors import InputError, RecipeError
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.ensemble import ensemble
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.examples import Example
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import train

SCHEMA = PRESETS["cathode-3phase"]
SHAPE = (30, 36, 44)
CUBES = (2.0, 2.0, 2.0)
SMALL = {
    "network": {"name": "unet", "channels": 4, "depth": 2, "dropout": 0.1},
    "epochs": 2,
    "patch_px": 16,
    "batch": 4,
    "patches_per_epoch": 16,
    "threads": 1,
    "precision": "fp32",
    "device": "cpu",
    "split": {"test_frac": 0, "validation_frac": 0.2, "gap": 2},
}
MATPHASE = {
    "network": {"name": "matphase", "channels": 4, "passes": 2, "local_px": 16},
    "pixels": 32,
    "matphase": {"ugsm_epochs": 1, "ugsm_batch": 4, "epochs": 1, "crops": 2, "levels": 2},
}


def settings(**changes):
    return TrainSettings.model_validate({**SMALL, **changes})


def arrays(seed=0):
    """Return grey values, labels of some voxels, and a mask of invalid ones."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (5, 6, 8)).repeat(6, 0).repeat(6, 1).repeat(6, 2)[:, :, :44]
    grey = (60 + 70 * truth + rng.normal(0, 15, SHAPE)).clip(0, 255).astype(np.float32)
    labels = np.where(rng.random(SHAPE) < 0.6, truth, SCHEMA.unlabelled).astype(np.uint8)
    labels[:, ::5] = SCHEMA.unlabelled  # whole slices of xz, lines of the others
    return grey, labels, (rng.random(SHAPE) < 0.01).astype(np.uint8)


def example(name="a", plane="xy", seed=0, size=CUBES):
    """Return a scan that was stored with the slices of ``plane`` along its first axis."""
    grey, labels, invalid = (part.transpose(AXES[plane]).copy() for part in arrays(seed))
    grid = Grid(grey.shape, size)
    stats = (IntensityStats.of_sample(np.sort(grey, axis=None)),)
    label_map = LabelMap(Volume(labels, grid), SCHEMA)
    return Example(name, Volume(grey, grid), label_map, stats, invalid)


@pytest.mark.parametrize(
    ("plane", "more"),
    [
        ("xz", {}),
        ("yz", {"clean_labels": {"pairs": [["nmc", "carbon-binder"]]}}),
        ("yz", {"unlabelled": "mean_teacher"}),
        ("xz", {"network": {"name": "adapted_lcgar"}, "pixels": 32}),
        ("yz", MATPHASE),
    ],
    ids=["xz", "cleaned", "mean teacher", "pixels", "matphase"],
)
def test_the_weights_are_those_of_a_scan_stored_with_its_axes_turned(plane, more, tmp_path):
    turned = train([example(plane=plane)], settings(**more), tmp_path / "a", schema=SCHEMA)
    found = train([example()], settings(plane=plane, **more), tmp_path / "b", schema=SCHEMA)
    assert found.bundle.fingerprint == turned.bundle.fingerprint
    assert found.bundle.scores == turned.bundle.scores
    assert found.bundle.temperature == turned.bundle.temperature
    assert found.split.train == turned.split.train
    in_slices = train([example()], settings(**more), tmp_path / "c", schema=SCHEMA)
    assert in_slices.bundle.fingerprint != found.bundle.fingerprint


def test_the_plane_is_kept_and_the_test_stays_in_slices_of_z(tmp_path):
    split = {"test": ["b"], "validation": ["a[30-43]"], "gap": 2}
    chosen = settings(plane="yz", split=split, epochs=1)
    made = train([example(), example("b", seed=1)], chosen, tmp_path, schema=SCHEMA)
    stored = json.loads((tmp_path / "split.json").read_text())
    assert stored == {
        "train": [["a", 0, 28]],
        "validation": [["a", 30, 44]],
        "test": [["b", 0, 30]],
        "plane": "yz",
    }
    assert type(made.split).from_dict(stored) == made.split
    bundle = ModelBundle.load(tmp_path)
    assert (bundle.plane, bundle.settings.plane) == ("yz", "yz")
    assert bundle.voxel_size_um == CUBES


def test_a_model_of_an_older_version_learnt_from_xy(tmp_path):
    train([example()], settings(epochs=1), tmp_path, schema=SCHEMA)
    path = tmp_path / "model.yaml"
    text = path.read_text()
    path.write_text("".join(s for s in text.splitlines(True) if not s.startswith("plane:")))
    assert ModelBundle.load(tmp_path).plane == "xy"
    path.write_text(text.replace("plane: xy\n", "plane: zz\n", 1))
    with pytest.raises(Exception, match="plane is zz"):
        ModelBundle.load(tmp_path)


@pytest.mark.parametrize(
    ("size", "more", "error", "message"),
    [
        ((4.0, 2.0, 2.0), {}, InputError, "voxels of equal sides(.|\n)*'plane: xy'"),
        (None, {}, InputError, "voxels of equal sides"),
        (CUBES, {"split": {}}, RecipeError, "keeps 10 % of the labelled slices"),
        (CUBES, {"split": {"test": ["a[3]"]}}, RecipeError, r"keeps a\[3\] for the test"),
        (CUBES, {"network": "residual_unet_3d"}, RecipeError, "all planes at once"),
    ],
)
def test_what_cannot_be_is_refused(size, more, error, message, tmp_path):
    with pytest.raises(error, match=message):
        train([example(size=size)], settings(plane="xz", **more), tmp_path, schema=SCHEMA)
    assert not list(tmp_path.iterdir())


def test_an_ensemble_of_one_plane_is_scored_on_the_slices_of_that_plane(tmp_path):
    searched = EnsembleSettings(members=["a", "b"], search="miou", threads=1, device="cpu")
    made = []
    for plane, stored in (("yz", "xy"), ("xy", "yz")):
        scan, folder = example(plane=stored), tmp_path / stored
        results = [
            train([scan], settings(plane=plane, epochs=1, seed=i), folder / str(i), schema=SCHEMA)
            for i in (0, 1)
        ]
        members, splits = [r.bundle for r in results], [r.split for r in results]
        made.append(ensemble(members, searched, folder / "e", examples=[scan], splits=splits))
    assert made[0].weights == made[1].weights
    assert made[0].bundle.scores == made[1].bundle.scores
    assert made[0].bundle.temperature == made[1].bundle.temperature != 1
    assert made[0].bundle.plane == "yz"
