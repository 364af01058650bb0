"""From a recipe with projections to a scan of attenuation, through the command line."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tomolith.phantom.attenuation import linear_attenuation
from tomolith.phantom.projections import (
    ProjectionSettings,
    n_detector_columns,
    simulate_projections,
)
from tomolith.store.scan import Scan

SHAPE = (6, 48, 48)


def tomolith(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tomolith", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def study(folder: Path, **values: object) -> Path:
    """Write a recipe and the noisy projections of a Li rod in polymer."""
    mu = linear_attenuation()
    y, x = np.mgrid[:48, :48] - 23.5
    cell = np.where(np.hypot(y, x) < 20, mu["polymer"], mu["air"]).astype(np.float32)
    cell[np.hypot(y - 5, x + 6) < 6] = mu["lithium"]
    simulate_projections(
        lambda z0, z1: np.broadcast_to(cell, (z1 - z0, 48, 48)),
        SHAPE,
        40.0,
        folder / "raw" / "cell.h5",
        ProjectionSettings(photons=5e4, gain_error=0),
        key=7,
    )
    scan = {"id": "cell", "path": "raw/cell.h5", "centre": (n_detector_columns(SHAPE) - 1) / 2}
    section = {"scans": [scan], "crop_yx": [48, 48], **values}
    recipe = folder / "recipe.yaml"
    whole = {"name": "raw", "classes": "li-binary", "reconstruct": section}
    recipe.write_text(yaml.safe_dump(whole, sort_keys=False))
    return recipe


def test_projections_become_a_scan(tmp_path):
    recipe = study(tmp_path)
    checked = tomolith("check", recipe)
    assert checked.returncode == 0, checked.stderr
    assert "cell: 76 projections of 6 × 72 pixels, 177.6 degrees, pixel 40 µm, simulated" in (
        checked.stdout
    )
    done = tomolith("run", recipe)
    assert done.returncode == 0, done.stderr
    assert "1 scans, 1 of them new" in done.stderr
    found = Scan.open(tmp_path / "scans/cell.zarr")
    assert found.grid.voxel_size_um == (40.0,) * 3
    mu, slices = linear_attenuation(), found.image.array[:]
    assert slices[:, 26:31, 16:20].mean() == pytest.approx(mu["lithium"], abs=0.08)
    assert slices[:, 10:16, 26:32].mean() == pytest.approx(mu["polymer"], abs=0.08)
    assert tomolith("verify", tmp_path).returncode == 0
    again = tomolith("run", recipe)
    assert "up to date" in again.stderr


def test_a_changed_setting_makes_the_scan_anew(tmp_path):
    recipe = study(tmp_path)
    assert tomolith("reconstruct", recipe).returncode == 0
    assert "0 of them new" in tomolith("reconstruct", recipe).stderr
    done = tomolith("reconstruct", recipe, "--set", "reconstruct.filter=ramp")
    assert "1 of them new" in done.stderr


def test_a_mistake_ends_without_a_traceback(tmp_path):
    done = tomolith("check", study(tmp_path, crop_yx=[500, 500]))
    assert done.returncode == 2
    assert "at most the 72 columns" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("algotom") is not None, reason="algotom is installed")
def test_a_missing_extra_is_named(tmp_path):
    done = tomolith("reconstruct", study(tmp_path, rings="sorting"))
    assert done.returncode == 3
    assert "pip install 'tomolith[recon]'" in done.stderr
    assert "Traceback" not in done.stderr
