"""A disk that is really full, a folder that really is read-only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SETUP = """
import subprocess, sys
from pathlib import Path
import numpy as np
from tomolith.core import *
from tomolith.errors import *
from tomolith.prepare.import_scan import ScanSource, import_scan
from tomolith.store.integrity import verify_scan
from tomolith.store.locks import lock
from tomolith.store.marks import Marks
from tomolith.store.scan import Scan
from tomolith.store.exporters.tiff import export_tiff

disk = Path(sys.argv[1])
made = Provenance("test")
grid = Grid((96, 128, 128), None)
grey = np.random.default_rng(0).normal(size=grid.shape_zyx).astype("f4")
image = Volume(grey, grid)
source = ScanSource(id="a", path="a.tif")

def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", disk], check=True)

def refused(message, work):
    try:
        work()
    except DiskError as error:
        assert message in str(error), str(error)
        assert error.where and error.mend and error.exit_code == 3
    else:
        raise AssertionError(f"not refused: {work}")
"""

FULL = """
mount("size=4m")
path = disk / "a.zarr"
refused("disk is full", lambda: import_scan(source, path, image=image, key="k"))
try:
    Scan.open(path)
except IncompleteError:
    pass
else:
    raise AssertionError("a half-written scan looks whole")
kept = len(Marks(path / ".import", "k"))
assert 0 < kept < 3, kept
mount("remount", "size=64m")
scan = import_scan(source, path, image=image, key="k")
assert np.array_equal(scan.image.array[:], grey)
assert verify_scan(path) == []

mount("remount", "size=7m")
refused("disk is full", lambda: export_tiff(image, disk / "a.tif"))
assert [p.name for p in disk.iterdir()] == ["a.zarr"]
writer = scan.create_labels("truth", PRESETS["li-binary"], provenance=made)
noise = np.random.default_rng(0).integers(0, 255, grid.shape_zyx).astype("u1")
def write():
    writer.array[:] = noise
    writer.finish()
refused("disk is full", write)
assert scan.label_names() == ()
mount("remount", "size=64m")
again = Scan.open(path).resume_labels("truth")
again.array[:] = noise
again.finish()
assert scan.label_names() == ("truth",)
assert [p.what for p in verify_scan(path) if "temporary" not in p.what] == []
print("passed")
"""

READ_ONLY = """
mount("size=64m")
path = disk / "a.zarr"
import_scan(source, path, image=image, key="k")
marks = Marks(disk / "marks", "k")
mount("remount", "ro")
scan = Scan.open(path)
assert np.array_equal(scan.image.array[:], grey)
assert verify_scan(path) == []
said = "read-only"
refused(said, lambda: import_scan(source, path, image=image, key="k"))
refused(said, lambda: import_scan(source, disk / "b.zarr", image=image, key="k"))
refused(said, lambda: Scan.create(disk / "new" / "c.zarr", grid, "u1", provenance=made))
refused(said, lambda: scan.create_labels("x", PRESETS["li-binary"], provenance=made))
refused(said, lambda: export_tiff(image, disk / "a.tif"))
refused(said, lambda: marks.done("a"))
refused(said, lambda: Marks(disk / "more", "k"))
refused(said, lambda: lock(disk / "locked", "import").__enter__())
refused(said, lambda: lock(disk, "import").__enter__())
assert Scan.open(path).is_complete
print("passed")
"""

TOO_LARGE = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
path = disk / "a.zarr"
refused("file size limit", lambda: import_scan(source, path, image=image, key="k"))
refused("file size limit", lambda: export_tiff(image, disk / "a.tif"))
assert not (disk / "a.tif").exists()
assert Scan.open(path, unfinished=True).is_complete is False
print("passed")
"""


def run(script: str, disk: Path, *, before: tuple[str, ...] = ()) -> None:
    done = subprocess.run(
        [*before, sys.executable, "-c", SETUP + script, str(disk)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout == "passed\n", done.stderr[-3000:]


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


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path, private_mounts):
    run(FULL, tmp_path, before=private_mounts)


def test_a_read_only_disk_is_said(tmp_path, private_mounts):
    run(READ_ONLY, tmp_path, before=private_mounts)


def test_a_file_size_limit_is_said(tmp_path):
    run(TOO_LARGE, tmp_path)
