"""Prediction is killed, interrupted, starved of disk; and goes on to the same bytes."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from predict_helpers import files_of, small_bundle, small_scan, small_settings
from tomolith.errors import DiskError, IncompleteError
from tomolith.learn.predict import predict
from tomolith.store.marks import Marks
from tomolith.store.scan import Scan

SCRIPT = Path(__file__).with_name("predict_in_subprocess.py")
SETTINGS = {
    "block_zyx": (2, 32, 64),
    "probabilities": True,
    "entropy": True,
    "executor": "threads",
    "workers": 2,
}
N_BLOCKS = 3 * 3 * 2


def start(folder, *, name="prediction", limit_bytes=None, **changes):
    def prepare():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    (folder / "ready").unlink(missing_ok=True)
    given = json.dumps({**SETTINGS, **changes})
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), name, given],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=prepare,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_marks(folder, n_marks, process, *, timeout_s=120):
    """Wait until at least ``n_marks`` blocks are marked done."""
    journal = folder / ".tomolith" / "small.prediction" / "marks.jsonl"
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and process.poll() is None:
        if journal.is_file() and len(journal.read_bytes().splitlines()) > n_marks:
            return
        time.sleep(0.002)
    assert process.poll() is None, process.stderr.read()


def n_marked(folder):
    journal = folder / ".tomolith" / "small.prediction" / "marks.jsonl"
    return len(journal.read_bytes().splitlines()) - 1 if journal.is_file() else 0


def assert_not_finished(scan):
    """No file under the final name, and nobody is told that there is a result."""
    assert not (scan.path / "labels" / "prediction").exists()
    assert scan.label_names() == ()
    with pytest.raises(IncompleteError, match="not finished"):
        scan.labels("prediction")


def results_of(scan):
    """Return the hashes of all result files of the label map 'prediction'."""
    return {kind: files_of(scan.path / kind) for kind in ("labels", "probabilities", "entropy")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    scan = small_scan(tmp_path_factory.mktemp("uninterrupted"))
    predict(scan, small_bundle(), small_settings(**SETTINGS))
    return results_of(scan)


def test_killed_twice_and_resumed_gives_identical_bytes(tmp_path, uninterrupted):
    scan = small_scan(tmp_path)
    for n_marks in (1, 8):
        process = start(tmp_path, pause_s=0.03)
        wait_for_marks(tmp_path, n_marks, process)
        time.sleep(random.Random(n_marks).uniform(0, 0.05))
        process.kill()
        process.wait()
        assert_not_finished(scan)
        assert (scan.path / "labels" / "prediction.partial").is_dir()
    before = n_marked(tmp_path)
    assert 8 <= before < N_BLOCKS
    # another executor and another number of workers go on with it
    predict(scan, small_bundle(), small_settings(**{**SETTINGS, "executor": "serial"}))
    assert results_of(scan) == uninterrupted
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_gives_identical_bytes(tmp_path, uninterrupted):
    scan = small_scan(tmp_path)
    moments = random.Random(0)
    for _ in range(10):
        process = start(tmp_path, pause_s=0.03)
        while not (tmp_path / "ready").exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.8))
        process.kill()
        process.wait()
    predict(scan, small_bundle(), small_settings(**SETTINGS))
    assert results_of(scan) == uninterrupted
    assert not list(tmp_path.rglob("*.partial"))


def test_a_resumed_run_does_not_repeat_what_is_done(tmp_path, monkeypatch):
    scan = small_scan(tmp_path)
    process = start(tmp_path, pause_s=0.03)
    wait_for_marks(tmp_path, 6, process)
    process.kill()
    process.wait()
    before = n_marked(tmp_path)
    marked = []
    done = Marks.done
    monkeypatch.setattr(Marks, "done", lambda *given: (marked.append(given[1]), done(*given)))
    predict(scan, small_bundle(), small_settings(**SETTINGS))
    assert len(marked) == N_BLOCKS - before
    assert before >= 6


def test_another_model_does_not_go_on_with_the_work_of_the_first(tmp_path):
    scan = small_scan(tmp_path)
    process = start(tmp_path, pause_s=0.03)
    wait_for_marks(tmp_path, 6, process)
    process.kill()
    process.wait()
    predict(scan, small_bundle(seed=1), small_settings(**SETTINGS))
    mixed = results_of(scan)
    predict(scan, small_bundle(seed=1), small_settings(**SETTINGS))
    assert results_of(scan) == mixed


def test_ctrl_c_keeps_what_is_done_and_says_so_by_the_exit_code(tmp_path, uninterrupted):
    scan = small_scan(tmp_path)
    process = start(tmp_path, pause_s=0.5)
    wait_for_marks(tmp_path, 1, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert_not_finished(scan)
    assert 1 <= n_marked(tmp_path) < N_BLOCKS
    predict(scan, small_bundle(), small_settings(**SETTINGS))
    assert results_of(scan) == uninterrupted


def test_two_processes_do_not_write_the_same_labels(tmp_path):
    scan = small_scan(tmp_path)
    first = start(tmp_path, pause_s=0.1)
    wait_for_marks(tmp_path, 1, first)
    first.send_signal(signal.SIGSTOP)  # holds its lock, however slowly the second one starts
    second = start(tmp_path)
    assert second.wait(timeout=120) == 3
    message = second.stderr.read()
    assert f"process {first.pid}" in message
    first.kill()
    first.wait()
    # the lock died with its process
    predict(scan, small_bundle(), small_settings(**SETTINGS))
    assert scan.label_names() == ("prediction",)


def test_a_file_that_cannot_be_written_whole_ends_the_run_and_nothing_looks_finished(
    tmp_path, uninterrupted
):
    """The system refuses to write further into a file (EFBIG), as a full disk does."""
    scan = small_scan(tmp_path)
    process = start(tmp_path, limit_bytes=2000)
    assert process.wait(timeout=120) == 3
    assert "larger than allowed" in process.stderr.read()
    assert_not_finished(scan)
    predict(scan, small_bundle(), small_settings(**SETTINGS))
    assert results_of(scan) == uninterrupted


def test_a_full_disk_ends_the_run_and_space_lets_it_go_on(tmp_path, uninterrupted):
    """On a real file system of 400 kB, where mounting one is permitted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        scan = small_scan(disk)
        free = os.statvfs(disk)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 60_000)))
        with pytest.raises(DiskError, match="full"):
            predict(scan, small_bundle(), small_settings(**SETTINGS))
        assert_not_finished(scan)
        ballast.unlink()
        subprocess.run(
            ["mount", "-o", "remount,size=8m", str(disk)], check=True, capture_output=True
        )
        predict(scan, small_bundle(), small_settings(**SETTINGS))
        assert results_of(scan) == uninterrupted
    finally:
        subprocess.run(["umount", str(disk)], check=True, capture_output=True)


def test_a_read_only_disk_is_named(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        scan = small_scan(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, capture_output=True)
        with pytest.raises(DiskError, match="read-only"):
            predict(scan, small_bundle(), small_settings())
        assert not (scan.path / "labels").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True, capture_output=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    scan = small_scan(tmp_path)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DiskError, match="not permitted"):
            predict(scan, small_bundle(), small_settings())
    finally:
        tmp_path.chmod(0o700)


def test_a_damaged_part_of_the_scan_is_named_and_the_rest_is_kept(tmp_path):
    scan = small_scan(tmp_path)
    damaged = next(f for f in sorted((scan.path / "0" / "c").rglob("*")) if f.is_file())
    content = bytearray(damaged.read_bytes())
    content[len(content) // 3] ^= 0x10
    damaged.write_bytes(content)
    with pytest.raises(IncompleteError, match=r"of 18 blocks failed") as caught:
        predict(Scan.open(scan.path), small_bundle(), small_settings(**SETTINGS))
    assert "block 0 (z 0-2, y 0-32, x 0-64): IntegrityError" in str(caught.value)
    assert_not_finished(scan)
    n_failed = int(str(caught.value).split(" of 18")[0].split()[-1])
    assert n_marked(tmp_path) == N_BLOCKS - n_failed
