"""From a recipe with projections to a scan of attenuation, through the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import ndimage

from tomolith.app.check import check_study
from tomolith.app.run import run_one, run_study
from tomolith.app.study import Study
from tomolith.errors import RecipeError
from tomolith.phantom.attenuation import linear_attenuation
from tomolith.phantom.projections import (
    ProjectionSettings,
    n_detector_columns,
    simulate_projections,
)
from tomolith.store.integrity import verify_scan
from tomolith.store.scan import Scan

SHAPE = (6, 48, 48)


def tomolith(*words: object, environment: dict[str, str] | None = None):
    command = [sys.executable, "-m", "tomolith", *map(str, words)]
    environment = {**os.environ, **(environment or {})}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment
    )


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


def test_a_mistake_ends_without_a_traceback(tmp_path):
    done = tomolith("check", study(tmp_path, crop_yx=[500, 500]))
    assert done.returncode == 2
    assert "at most the 72 columns" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_extra_is_named(tmp_path):
    recipe = study(tmp_path)
    absent = tmp_path / "absent" / "algotom"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('not here')")
    paths = os.pathsep.join([str(absent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    for command in ("check", "reconstruct"):
        done = tomolith(command, recipe, environment={"PYTHONPATH": paths})
        assert done.returncode == 3
        assert "pip install 'tomolith[recon]'" in done.stderr
        assert "Traceback" not in done.stderr


SIMULATED_STUDY = """
name: there-and-back
classes: li-operando
phantom:
  preset: tiny
  shape_zyx: [8, 64, 61]
  projections: {noise: false, gain_error: 0, detector_blur_px: 0, photons: 50000}
reconstruct:
  crop_yx: [64, 61]
  scans:
    - {id: back, path: phantom/cell0-t12.h5, centre: 46}
"""


def test_projections_of_the_phantom_come_back_with_its_labels(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(SIMULATED_STUDY)
    said = []
    given = Study.load(recipe)
    expected = "back: 101 projections of 8 × 93 pixels, 178.2 degrees, pixel 5.32 µm, simulated"
    assert expected in "\n".join(check_study(given))  # the projections are not there yet
    run_study(given, say=said.append)
    assert expected in "\n".join(check_study(given))
    made, back = (Scan.open(tmp_path / f"scans/{name}.zarr") for name in ("cell0-t12", "back"))
    assert back.grid == made.grid
    assert set(back.label_names()) == {"truth", "hand"}
    labels = back.labels("truth").volume.array[:]
    assert np.array_equal(labels, made.labels("truth").volume.array[:])
    inner = ndimage.binary_erosion(labels == back.labels("truth").schema["electrode"].value)
    lithium = back.image.array[:][inner]
    assert lithium.mean() == pytest.approx(linear_attenuation()["lithium"], abs=0.03)
    assert verify_scan(back.path) == []
    run_one(given, "reconstruct", say=said.append)
    assert "0 of them new" in said[-1]
    changed = Study.load(recipe, ("reconstruct.filter=ramp",))
    run_one(changed, "reconstruct", say=said.append)
    assert "1 of them new" in said[-1]  # its own labels do not stand in the way


def test_a_simulated_scan_keeps_its_name(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(SIMULATED_STUDY.replace("id: back", "id: cell0-t12"))
    with pytest.raises(RecipeError, match="'cell0-t12' is used twice"):
        list(check_study(Study.load(recipe)))
