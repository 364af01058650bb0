"""From a recipe to a report on the tiny phantom, through the command line, as a user would."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

RECIPE = {
    "name": "tiny cell",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny"},
    "train": {
        "network": {"name": "unet", "channels": 8, "depth": 3},
        "labels": "hand",
        "patch_px": 32,
        "epochs": 3,
        "minutes": 0.5,
    },
    "predict": {"memory": "2GiB", "patch_px": 32, "backend": "torch", "precision": "fp32"},
    "evaluate": {"patch_px": 32},
    "measure": {},
    "report": {},
}


def tomolith(*words: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tomolith", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    done = tomolith("run", folder / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("report/index.html")
    return folder


def test_every_result_is_there_and_whole(study):
    assert (study / "report/index.html").stat().st_size > 20_000
    assert (study / "models/default/weights.safetensors").exists()
    done = tomolith("verify", study)
    assert done.returncode == 0, done.stderr
    assert "whole" in done.stderr


def test_scores_hold_the_network_and_otsu_in_both_conventions(study):
    scores = pd.read_parquet(study / "measurements/scores.parquet")
    assert {"otsu"} < set(scores["system"])
    assert set(scores["convention"]) == {"pooled", "mean_over_patches"}
    iou = scores[(scores["metric"] == "iou") & scores["value"].notna()]
    assert iou["value"].between(0, 1).all()


def test_shares_of_each_scan_add_up(study):
    table = pd.read_parquet(study / "measurements/quantities.parquet")
    shares = table[table["quantity"] == "share"].groupby("scan")["value"].sum()
    assert (shares - 100).abs().max() < 1e-6


def test_volumes_have_intervals_that_say_what_they_mean(study):
    table = pd.read_parquet(study / "measurements/quantities.parquet")
    volumes = table[table["quantity"] == "volume"]
    assert (volumes["low"] < volumes["high"]).all()
    assert volumes["method"].str.contains("; 95 %: .*half-voxel boundary shift$").all()


def test_second_run_does_nothing(study):
    before = {p: p.stat().st_mtime_ns for p in study.rglob("*") if p.is_file()}
    done = tomolith("run", study / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("up to date") == 6
    after = {p: p.stat().st_mtime_ns for p in study.rglob("*") if p.is_file()}
    changed = {p.name for p in after if before.get(p) != after[p]}
    assert changed <= {"lock"}


def test_override_runs_only_what_depends_on_it(study):
    copy = study.parent / "override"
    shutil.copytree(study, copy)
    done = tomolith("run", copy / "recipe.yaml", "--set", "measure.quantities=[voxel_count]")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("up to date") == 4
    table = pd.read_parquet(copy / "measurements/quantities.parquet")
    assert set(table["quantity"]) == {"voxel_count"}
    assert tomolith("verify", copy).returncode == 0


def test_damage_is_found_and_named(study):
    copy = study.parent / "damaged"
    shutil.copytree(study, copy)
    shards = [p for p in (copy / "scans").rglob("c/*/*/*") if p.is_file()]
    target = max(shards, key=lambda p: p.stat().st_size)
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    done = tomolith("verify", copy)
    assert done.returncode == 4
    assert target.name in done.stderr


def test_training_again_makes_what_follows_out_of_date(study):
    copy = study.parent / "again"
    shutil.copytree(study, copy)
    assert tomolith("train", copy / "recipe.yaml").returncode == 0
    done = tomolith("check", copy / "recipe.yaml")
    states = {line.split()[0]: line for line in done.stdout.splitlines() if "  " not in line[:3]}
    assert "up to date" in states["train"]
    for step in ("predict", "evaluate", "measure", "report"):
        assert "will run" in states[step]


def test_changed_table_is_found(study):
    copy = study.parent / "emptied"
    shutil.copytree(study, copy)
    (copy / "measurements/quantities.parquet").write_bytes(b"")
    done = tomolith("verify", copy)
    assert done.returncode == 4
    assert "quantities.parquet: changed since 'measure'" in done.stderr


def test_another_recipe_beside_it_is_never_overwritten(study):
    folder = study.parent / "variant"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("mine: true\n")
    shutil.copy(study / "recipe.yaml", folder / "variant.yaml")
    assert tomolith("run", folder / "variant.yaml", "--until", "phantom").returncode == 0
    assert (folder / "recipe.yaml").read_text() == "mine: true\n"


def test_step_alone_refuses_when_what_it_needs_is_missing(study):
    copy = study.parent / "alone"
    copy.mkdir()
    shutil.copy(study / "recipe.yaml", copy)
    done = tomolith("predict", copy / "recipe.yaml")
    assert done.returncode == 5
    assert "tomolith run" in done.stderr
    assert "Traceback" not in done.stderr


def test_killed_run_goes_on(study):
    folder = study.parent / "killed"
    folder.mkdir()
    shutil.copy(study / "recipe.yaml", folder)
    command = [sys.executable, "-m", "tomolith", "run", str(folder / "recipe.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (folder / ".tomolith/steps/phantom.json").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "report/index.html").exists()
    done = tomolith("run", folder / "recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert "phantom   up to date" in done.stderr
    table = pd.read_parquet(folder / "measurements/quantities.parquet")
    expected = pd.read_parquet(study / "measurements/quantities.parquet")
    columns = ["scan", "class", "quantity"]
    assert table[columns].equals(expected[columns])
