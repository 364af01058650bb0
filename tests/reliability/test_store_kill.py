"""Writers killed between any two changes of the disk: nothing half looks whole."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, LabelMap, Provenance, Volume
from tomolith.errors import TomolithError
from tomolith.prepare.import_scan import ScanSource, import_scan
from tomolith.store.integrity import verify_scan
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

GRID = Grid((8, 16, 300), None)
LAYOUT = Layout((4, 16, 256), (4, 16, 512))
SCHEMA = PRESETS["li-binary"]


def run(work: Callable[[Path], None], path: Path, n: int) -> bool:
    """Do ``work`` in a process killed before its ``n``-th change of the disk; else tell True."""
    process = get_context("fork").Process(target=_mortal, args=(work, path, n))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def _mortal(work: Callable[[Path], None], path: Path, n: int) -> None:
    left = iter(range(n))

    def deadly(function):
        def call(*args, **kwargs):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    changes = ["replace", "rename", "unlink", "mkdir"]
    for owner, name in [*((Path, name) for name in changes), (shutil, "rmtree"), (os, "fsync")]:
        setattr(owner, name, deadly(getattr(owner, name)))
    work(path)


def finish_labels(path: Path) -> None:
    Scan.open(path).resume_labels("truth").finish()


def import_labelled(path: Path) -> None:
    grey = np.random.default_rng(0).normal(size=(40, 16, 300)).astype("f4")
    grey[3, 4, 5] = np.nan
    grid = Grid(grey.shape, None)
    labels = LabelMap(Volume((grey > 0).astype("u1"), grid), SCHEMA)
    source = ScanSource(id="a", path="a.tif", invalid="mask")
    import_scan(source, path, image=Volume(grey, grid), labels=labels, key="k")


def grey_scan(path: Path) -> Scan:
    scan = Scan.create(path, GRID, "u1", provenance=Provenance("test"), layout=LAYOUT)
    scan.image.array[:] = 9
    scan.finish()
    return scan


def write_labels(scan: Scan, value: int) -> None:
    writer = scan.create_labels("truth", SCHEMA, provenance=Provenance("test"))
    writer.array[:] = value


@pytest.mark.parametrize("replaces", [False, True])
def test_finishing_labels_survives_a_kill_anywhere(tmp_path, replaces):
    survived, n = False, 0
    while not survived:
        scan = grey_scan(tmp_path / f"{n}.zarr")
        if replaces:
            write_labels(scan, 0)
            scan.resume_labels("truth").finish()
        write_labels(scan, 1)
        survived = run(finish_labels, scan.path, n)
        scan = Scan.open(scan.path)
        if "truth" in scan.label_names():  # the old or the new one, and whole
            values = np.unique(scan.labels("truth").volume.array[:])
            assert values.tolist() in ([[0], [1]] if replaces else [[1]])
        writer = scan.resume_labels("truth")
        if writer is not None:
            writer.finish()
        assert np.unique(scan.labels("truth").volume.array[:]).tolist() == [1]
        left = [p.what for p in verify_scan(scan.path)]
        assert set(left) <= {"a replaced result was not removed"} | stale(survived), (n, left)
        n += 1 if n < 4 else 4
    assert n > 12


def stale(survived: bool) -> set[str]:
    return set() if survived else {"a killed process left this temporary file"}


def test_a_killed_import_is_finished_by_the_next(tmp_path):
    whole = tmp_path / "whole.zarr"
    assert run(import_labelled, whole, 10**6)
    survived, n, n_resumed = False, 1, 0
    while not survived:
        path = tmp_path / f"{n}.zarr"
        survived = run(import_labelled, path, n)
        if not survived:
            try:
                assert Scan.open(path).label_names() == ("truth",)  # killed by the last sync
                assert verify_scan(path) == []
            except TomolithError:
                pass  # nothing there, or said to be unfinished
            n_resumed += (path / ".import" / "marks.jsonl").is_file()
            assert run(import_labelled, path, 10**6)
        assert verify_scan(path) == []
        assert shards(path) == shards(whole)
        n += 19
    assert n > 60
    assert n_resumed > 2


def shards(path: Path) -> dict[str, bytes]:
    files = [f for f in path.rglob("*") if f.is_file() and f.name != "zarr.json"]
    return {str(f.relative_to(path)): f.read_bytes() for f in files}
