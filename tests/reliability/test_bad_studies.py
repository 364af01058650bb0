"""Studies with a mistake in them, through the command line: said clearly, and nothing half left."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import yaml

from tomolith.config import Component
from tomolith.core import PRESETS, Normalisation
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.networks import NETWORKS

SHAPE = (5, 64, 64)
GREY = np.random.default_rng(0).integers(0, 200, SHAPE).astype("u1")
TRUTH = (GREY > 100).astype("u1")
SMALL_UNET = Component(name="unet", options={"channels": 2, "depth": 2})


def recipe(folder: Path, *, scan: dict | None = None, **sections: object) -> Path:
    """Write a recipe that imports ``a.tif``."""
    entry = {"id": "a", "path": "a.tif", "voxel_size_um": 1.0, **(scan or {})}
    values = {"name": "t", "classes": "li-binary", "import": {"scans": [entry]}, **sections}
    tifffile.imwrite(folder / "a.tif", GREY, photometric="minisblack")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(values))
    return folder / "recipe.yaml"


def run(*words: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "tomolith", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def refused(done: subprocess.CompletedProcess[str], codes: set[int], *words: str) -> None:
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def scans(folder: Path) -> list[Path]:
    return list(folder.glob("scans/*"))


def label_maps(folder: Path) -> list[Path]:
    return [p for p in folder.glob("scans/*/labels/*") if p.name != "zarr.json"]


def test_label_values_outside_the_schema_are_listed_with_counts(tmp_path):
    wrong = TRUTH.copy()
    wrong[0, 0, :3], wrong[1, 0, :5] = 7, 9
    tifffile.imwrite(tmp_path / "l.tif", wrong, photometric="minisblack")
    done = run("run", recipe(tmp_path, scan={"labels": {"path": "l.tif"}}))
    refused(done, {2}, "7 (3 voxels)", "9 (5 voxels)", "l.tif", "values")
    assert scans(tmp_path) == []


def test_labels_of_another_shape_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "l.tif", TRUTH[:, :-1], photometric="minisblack")
    done = run("run", recipe(tmp_path, scan={"labels": {"path": "l.tif"}}))
    refused(done, {2}, "5 × 63 × 64", "5 × 64 × 64", "l.tif")
    assert scans(tmp_path) == []


def test_a_wrong_dataset_name_lists_the_right_ones(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volume"] = file["other"] = GREY
    done = run("run", recipe(tmp_path, scan={"path": "a.h5", "dataset": "volum"}))
    refused(done, {2}, "volum", "volume", "other", "a.h5")
    assert scans(tmp_path) == []


def test_a_misspelt_key_leaves_nothing(tmp_path):
    done = run("run", recipe(tmp_path, mesure={}))
    refused(done, {2}, "mesure", "did you mean 'measure'")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "recipe.yaml"]


def save_model(folder: Path, *, patch_px: int = 32) -> Path:
    """Store an untrained model with the classes of the recipe."""
    network = NETWORKS.build(SMALL_UNET, 1, 2)
    bundle = ModelBundle(
        SMALL_UNET,
        PRESETS["li-binary"],
        None,
        sections=False,
        normalisation=Normalisation(),
        in_channels=1,
        patch_px=patch_px,
        weights=network.state_dict(),
    )
    bundle.save(folder)
    return folder


def predict(folder: Path, **changes: object) -> subprocess.CompletedProcess[str]:
    options = {"model": "model/", "backend": "torch", "threads": 1, **changes}
    return run("run", recipe(folder, scan={"voxel_size_um": "unknown"}, predict=options))


def test_the_model_that_the_next_tests_damage_is_good(tmp_path):
    save_model(tmp_path / "model")
    done = predict(tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in label_maps(tmp_path)] == ["prediction"]


def test_a_scan_smaller_than_a_patch_is_refused(tmp_path):
    save_model(tmp_path / "model", patch_px=128)
    refused(predict(tmp_path), {2}, "patch_px", "128", "64")
    assert label_maps(tmp_path) == []


def test_a_pickle_posing_as_weights_is_refused(tmp_path):
    model, sprung = save_model(tmp_path / "model"), tmp_path / "sprung"
    (model / "weights.safetensors").write_bytes(pickle.dumps(Trap(sprung)))
    refused(predict(tmp_path), {2, 4}, "weights.safetensors", "pickle")
    assert label_maps(tmp_path) == []
    assert not sprung.exists()


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_weights_of_another_architecture_are_refused(tmp_path):
    model = save_model(tmp_path / "model")
    card = yaml.safe_load((model / "model.yaml").read_text())
    card["network"] = {"name": "unet", "channels": 4, "depth": 2}
    (model / "model.yaml").write_text(yaml.safe_dump(card))
    refused(predict(tmp_path), {2, 4}, "model")
    assert label_maps(tmp_path) == []


@pytest.fixture
def private_mounts(tmp_path: Path) -> tuple[str, ...]:
    """Return the command that mounts for one process only; skip where that is not allowed."""
    command = ("unshare", "--mount")
    trial = [*command, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    try:
        allowed = subprocess.run(trial, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("a small disk cannot be mounted here (needs root and unshare)")
    return command


def on_disk(folder: Path, options: str, *words: object) -> tuple[str, ...]:
    """Return what mounts a disk at ``folder``, holding a copy of what lies there, and goes on."""
    script = (
        f"cp -a {folder} {folder}.copy && mount -t tmpfs tmpfs {folder} "
        f'&& cp -a {folder}.copy/. {folder} && mount -o remount,{options} {folder} && exec "$@"'
    )
    return ("sh", "-c", script, "sh", *map(str, words))


def test_a_read_only_study_folder_is_said(tmp_path, private_mounts):
    folder = tmp_path / "study"
    folder.mkdir()
    path = recipe(folder)
    refused(run("run", path, before=(*private_mounts, *on_disk(folder, "ro"))), {3}, "read-only")
    assert scans(folder) == []


def done_study(tmp_path: Path, made: str) -> tuple[Path, dict[Path, bytes]]:
    """Return the recipe of a study with a table and a report, and what lies in ``made``."""
    folder = tmp_path / "study"
    folder.mkdir()
    tifffile.imwrite(folder / "l.tif", TRUTH, photometric="minisblack")
    labels = {"labels": {"path": "l.tif"}}
    path = recipe(folder, scan=labels, measure={"labels": "truth"}, report={})
    done = run("run", path)
    assert done.returncode == 0, done.stderr
    before = contents(folder / made)
    assert before
    return path, before


def contents(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("step", "made", "left_bytes"),
    [("measure", "measurements", 0), ("report", "report", 8192)],  # not even a lock; not the page
)
def test_a_full_disk_is_said_and_the_old_result_stays(
    tmp_path, private_mounts, step, made, left_bytes
):
    path, before = done_study(tmp_path, made)
    folder, after = path.parent, tmp_path / "after"
    fill = f"dd if=/dev/zero of={folder}/ballast bs=4096 2>/dev/null; "
    fill += f"truncate -s -{left_bytes} {folder}/ballast; "
    work = f'"$@"; code=$?; cp -a {folder}/{made} {after}; exit $code'
    whole = (*private_mounts, *on_disk(folder, "size=2m", "sh", "-c", fill + work, "sh"))
    refused(run(step, path, before=whole), {3}, "the disk is full")
    assert contents(after) == before


@pytest.mark.parametrize(
    ("step", "made", "first"),
    [("measure", "measurements", ".tomolith/plans-"), ("report", "report", "report")],
)
def test_a_table_or_page_that_cannot_be_written_leaves_the_old_one(tmp_path, step, made, first):
    path, before = done_study(tmp_path, made)
    limit = ("sh", "-c", 'ulimit -f 2; exec "$@"', "sh")  # one or two KiB
    refused(run(step, path, before=limit), {3}, "larger than allowed", first)
    assert not list(path.parent.glob(".tomolith/plans-*"))
    assert contents(path.parent / made) == before
