"""The command line as a user meets it, mistakes included."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

MODULES = "import sys, tomolith.app.cli; print('\\n'.join(sys.modules))"


def tomolith(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tomolith", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def recipe(folder: Path, **entry: object) -> Path:
    path = folder / "recipe.yaml"
    scan = {"id": "a", "path": "a.tif", "voxel_size_um": 1.33, **entry}
    path.write_text(
        yaml.safe_dump({"name": "t", "classes": "li-binary", "import": {"scans": [scan]}})
    )
    return path


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_help_imports_nothing_heavy():
    done = subprocess.run(
        [sys.executable, "-c", MODULES], capture_output=True, text=True, check=True
    )
    heavy = {"torch", "numpy", "pandas", "zarr", "pydantic", "matplotlib", "lightning"}
    assert not heavy & set(done.stdout.split())


def test_help_shows_every_command():
    done = tomolith("--help")
    assert done.returncode == 0
    for command in ("new", "check", "run", "import", "train", "list", "info", "verify", "export"):
        assert f"\n  {command} " in done.stdout


def test_new_check_and_the_missing_input(tmp_path):
    assert tomolith("new", tmp_path / "cell").returncode == 0
    done = tomolith("check", tmp_path / "cell/recipe.yaml")
    refused(done, 2, "pristine.tif")
    refused(tomolith("new", tmp_path / "cell"), 2, "already")


def test_check_shows_shape_voxel_size_and_disk(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 9, (5, 40, 30), "u1"))
    done = tomolith("check", recipe(tmp_path))
    assert done.returncode == 0, done.stderr
    for word in ("5 × 40 × 30", "uint8", "1.33", "GiB free", "will run"):
        assert word in done.stdout
    assert not (tmp_path / "scans").exists()


@pytest.mark.parametrize(
    ("make", "entry", "code", "words"),
    [
        (None, {}, 2, ["a.tif"]),
        (b"", {}, 2, ["a.tif", "empty"]),
        (b"not an image at all", {}, 2, ["a.tif"]),
        ("stack", {"voxel_size_um": None}, 2, ["voxel size", "voxel_size_um"]),
        ("stack", {"voxel_size_nm": 1330}, 2, ["voxel_size_nm", "did you mean"]),
        ("single", {}, 2, ["kind: images"]),
        ("truncated", {}, 2, ["a.tif"]),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(tmp_path, make, entry, code, words):
    target = tmp_path / "a.tif"
    stack = np.random.default_rng(0).integers(0, 200, (5, 64, 64), "u1")
    if isinstance(make, bytes):
        target.write_bytes(make)
    elif make is not None:
        tifffile.imwrite(
            target, stack[0] if make == "single" else stack, photometric="minisblack", metadata=None
        )
    if make == "truncated":
        target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    path = recipe(tmp_path, **{k: v for k, v in entry.items() if v is not None})
    if entry.get("voxel_size_um", 1) is None:
        path.write_text(path.read_text().replace("voxel_size_um: 1.33", "kind: volume"))
    refused(tomolith("run", path), code, *words)
    assert not list(tmp_path.glob("scans/*.zarr/zarr.json"))


def test_list_names_components_and_refuses_unknown_kinds():
    assert "unet" in tomolith("list", "networks").stdout
    refused(tomolith("list", "netwerks"), 2, "did you mean 'networks'")
    assert "formula:           d = V / A" in tomolith("measure", "--list").stdout


def test_unknown_key_from_set_is_refused(tmp_path):
    refused(tomolith("check", recipe(tmp_path), "--set", "import.scnas=1"), 2, "did you mean")


def test_until_names_a_step(tmp_path):
    refused(tomolith("run", recipe(tmp_path), "--until", "trian"), 2, "--until trian")


def test_info_of_a_missing_file(tmp_path):
    refused(tomolith("info", tmp_path / "nothing.tif"), 2, "nothing.tif")
