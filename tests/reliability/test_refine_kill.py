"""Refinement is killed, and goes on to the same bytes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from refine_in_subprocess import SETTINGS, STEPS

from predict_helpers import files_of
from refine_helpers import make_scan, true_series, with_flips
from tomolith.errors import LockedError
from tomolith.measure.refine import RefineSettings, refine
from tomolith.store.layout import Layout

SCRIPT = Path(__file__).with_name("refine_in_subprocess.py")


def scans_in(folder):
    series = true_series((0, 12, 18))
    layout = Layout((8, 32, 32), (8, 32, 32))
    return [
        make_scan(folder, f"s{i}", with_flips(v[:16, :, :32], 0.05, i), size_um=5.32, layout=layout)
        for i, v in enumerate(series)
    ]


def results_of(scans):
    return [files_of(scan.path / "labels") for scan in scans]


def start(folder, pause_s):
    (folder / "ready").unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(pause_s)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def n_marks(folder):
    journals = (folder / ".tomolith").rglob("marks.jsonl")
    return sum(len(journal.read_bytes().splitlines()) - 1 for journal in journals)


def wait_until(process, reached):
    while process.poll() is None and not reached():
        time.sleep(0.002)
    assert process.poll() is None, process.stderr.read()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    scans = scans_in(tmp_path_factory.mktemp("uninterrupted"))
    return refine(scans, RefineSettings(**SETTINGS), steps=STEPS).effects, results_of(scans)


def test_killed_in_two_stages_and_gone_on_with_gives_identical_bytes(tmp_path, uninterrupted):
    scans = scans_in(tmp_path)
    private = tmp_path / ".tomolith"
    process = start(tmp_path, 0.2)
    wait_until(process, lambda: n_marks(tmp_path) >= 1)
    with pytest.raises(LockedError):
        refine(scans, RefineSettings(**SETTINGS), steps=STEPS)
    process.kill()
    process.wait()
    assert (private / "s0.refined" / "stage-0").is_dir()
    process = start(tmp_path, 0.1)
    wait_until(process, lambda: (private / "s1.refined" / "stage-1" / "labels").is_dir())
    process.kill()
    process.wait()
    assert all(scan.label_names() == ("prediction",) for scan in scans)
    found = refine(scans, RefineSettings(**{**SETTINGS, "executor": "serial"}), steps=STEPS)
    assert (found.effects, results_of(scans)) == uninterrupted
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_killed_at_random_moments_and_gone_on_with_gives_identical_bytes(tmp_path, uninterrupted):
    scans = scans_in(tmp_path)
    moments = random.Random(0)
    for _ in range(12):
        process = start(tmp_path, 0.02)
        while not (tmp_path / "ready").exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 2.5))
        process.kill()
        process.wait()
    found = refine(scans, RefineSettings(**SETTINGS), steps=STEPS)
    assert (found.effects, results_of(scans)) == uninterrupted
    assert not list(tmp_path.rglob("*.partial"))
