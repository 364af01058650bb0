"""A phantom that was killed is not taken for a whole one, and made anew it is the same."""

import hashlib
import signal
import subprocess
import sys
import time

import pytest

from tomolith.errors import TomolithError
from tomolith.phantom import PhantomSettings, make_phantom
from tomolith.store.scan import Scan

SETTINGS = PhantomSettings(preset="tiny")
SCRIPT = r"""
import os
import sys
from pathlib import Path
import tomolith.phantom.simulate as simulate
from tomolith.phantom import Phantom, PhantomSettings

class Slow(Phantom):
    def render(self, box):
        os.write(1, b"rendering\n")  # in one piece: blocks are drawn side by side
        if box.start_zyx[0] >= 32:
            sys.stdin.read()
        return super().render(box)

simulate.Phantom = Slow
simulate._BLOCK_SLICES = 1  # as thin as a shard, so that there are two
simulate.make_phantom(PhantomSettings(preset="tiny"), Path(sys.argv[1]))
"""


def chunk_bytes(path):
    """Hash of every stored chunk; metadata hold the time of making."""
    files = sorted(p for p in path.rglob("c/*/*/*") if p.is_file())
    return {str(p.relative_to(path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_killed_midway_it_is_unfinished_and_can_be_made_again(tmp_path):
    path = tmp_path / "cell0-t12.zarr"
    maker = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    for _ in range(2):  # one block is written, the second has begun
        assert maker.stdout.readline() == b"rendering\n"
    time.sleep(0.1)
    maker.send_signal(signal.SIGKILL)
    maker.communicate()
    assert (path / "0").is_dir()
    with pytest.raises(TomolithError, match="not finished"):
        Scan.open(path)
    make_phantom(SETTINGS, path)
    make_phantom(SETTINGS, tmp_path / "never-killed.zarr", scan_id="cell0-t12")
    found = chunk_bytes(path)
    assert len(found) >= 6
    assert found == chunk_bytes(tmp_path / "never-killed.zarr")
    assert Scan.open(path).label_names() == ("truth", "hand")
