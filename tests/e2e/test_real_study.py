"""Real files, from a recipe to scores: three-phase cathode slices and files of other software."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tomolith.store.scan import Scan


def tomolith(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tomolith", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


def save(folder: Path, recipe: dict[str, object]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


@pytest.mark.slow
@pytest.mark.slow_ci
def test_nmc_slices_of_different_scans_and_sizes(data_dir, tmp_path):
    folder = data_dir / "nmc-cathode-nanoct-3phase"
    scans = [
        {
            "id": f"s{number}",
            "path": str(folder / f"images/{number}.tif"),
            "kind": "images",
            "voxel_size_um": "unknown",
            "labels": {
                "path": str(folder / f"labels/{number}_label.tif"),
                "values": {0: "nmc", 1: "carbon-binder", 2: "pore"},
            },
        }
        for number in (100, 360, 394, 300)
    ]
    path = save(
        tmp_path,
        {
            "name": "nmc",
            "classes": "cathode-3phase",
            "import": {"scans": scans},
            "train": {
                "network": {"name": "unet", "channels": 8, "depth": 3},
                "epochs": 6,
                "patch_px": 64,
                "batch": 8,
                "patches_per_epoch": 256,
                "split": {"validation": ["s300"], "test_frac": 0},
            },
            "predict": {"memory": "3GiB"},
            "evaluate": {},
            "measure": {},
            "report": {},
        },
    )
    done = tomolith("run", path)
    assert done.returncode == 0, done.stderr
    scores = pd.read_parquet(tmp_path / "measurements/scores.parquet")
    pooled = scores[
        (scores["convention"] == "pooled") & (scores["metric"] == "iou") & (scores["scan"] == "all")
    ]
    nmc = pooled[pooled["class"] == "nmc"].set_index("system")["value"]
    assert nmc["unet"] > 0.7
    assert nmc["unet"] > nmc["otsu"] - 0.1
    numbers = pd.read_parquet(tmp_path / "measurements/quantities.parquet")
    assert numbers[numbers["quantity"] == "volume"]["value"].isna().all()
    assert numbers[numbers["quantity"] == "share"]["value"].notna().all()


def test_files_of_other_software_become_scans(data_dir, tmp_path):
    folder = data_dir / "file-formats"
    paths = {
        "zeiss": "zeiss/txrm_test_chip_tomo.txrm",
        "ngff": "ome-zarr/image-03.zarr",
        "felt": "imagej-stack/100_fiberform.tif",
    }
    scans = [{"id": i, "path": str(folder / p)} for i, p in paths.items()]
    for k in (0, 2):  # neither the tilt series nor the felt states it
        scans[k]["voxel_size_um"] = "unknown"
    path = save(tmp_path, {"name": "formats", "classes": "li-binary", "import": {"scans": scans}})
    done = tomolith("run", path)
    assert done.returncode == 0, done.stderr
    shapes = {i: Scan.open(tmp_path / f"scans/{i}.zarr").grid.shape_zyx for i in paths}
    assert shapes == {
        "zeiss": (7, 256, 256),
        "ngff": (2, 100, 100),
        "felt": (100, 100, 100),
    }
    felt = Scan.open(tmp_path / "scans/felt.zarr")
    assert felt.grid.voxel_size_um is None
    assert tomolith("verify", tmp_path).returncode == 0


def test_blank_image_is_refused_and_leaves_nothing(data_dir, tmp_path):
    entry = {"id": "a", "path": str(data_dir / "file-formats/amira/test9.am")}
    recipe = {"name": "x", "classes": "li-binary", "import": {"scans": [entry]}}
    entry["voxel_size_um"] = "unknown"
    done = tomolith("run", save(tmp_path, recipe))
    assert done.returncode == 2
    assert "the image is empty" in done.stderr
    assert not (tmp_path / "scans/a.zarr/zarr.json").exists()


def test_contradicting_voxel_size_is_refused(data_dir, tmp_path):
    file = data_dir / "file-formats/zeiss/test_chip00.xrm"
    entry = {"id": "a", "path": str(file), "kind": "images", "voxel_size_um": 1.33}
    path = save(tmp_path, {"name": "x", "classes": "li-binary", "import": {"scans": [entry]}})
    done = tomolith("check", path)
    assert done.returncode == 2
    assert "0.0778" in done.stderr
    assert "1.33" in done.stderr


def test_export_opens_with_voxel_size(data_dir, tmp_path):
    import tifffile

    file = data_dir / "file-formats/ome-zarr/image-03.zarr"
    path = save(
        tmp_path,
        {
            "name": "x",
            "classes": "li-binary",
            "import": {"scans": [{"id": "a", "path": str(file)}]},
        },
    )
    assert tomolith("import", path).returncode == 0
    target = tmp_path / "a.tif"
    done = tomolith("export", tmp_path / "scans/a.zarr", target)
    assert done.returncode == 0, done.stderr
    with tifffile.TiffFile(target) as tif:
        assert tif.series[0].shape == (2, 100, 100)
        tag = tif.pages[0].tags["XResolution"].value
        assert tag[1] / tag[0] == pytest.approx(1.0, rel=1e-3)
