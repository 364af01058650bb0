"""What a run refuses before it costs time, and what it says when a step fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml

from tomolith.app.run import run_one, run_study
from tomolith.app.study import Study
from tomolith.errors import InputError

NETWORK = {"name": "unet", "channels": 4, "depth": 2}


def study(folder: Path, **sections: object) -> Study:
    """Return a study of two small labelled scans."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        grey = rng.integers(0, 200, (8, 24, 24)).astype(np.uint8)
        tifffile.imwrite(folder / f"{name}.tif", grey, photometric="minisblack")
        tifffile.imwrite(
            folder / f"{name}-labels.tif", (grey > 90).astype(np.uint8), photometric="minisblack"
        )
    entries = [
        {
            "id": name,
            "path": f"{name}.tif",
            "voxel_size_um": 1.0,
            "labels": {"path": f"{name}-labels.tif", "values": {0: "background", 1: "lithium"}},
        }
        for name in ("a", "b")
    ]
    recipe = {"name": "x", "classes": "li-binary", "import": {"scans": entries}, **sections}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return Study.load(folder / "recipe.yaml")


@pytest.mark.parametrize("alone", [True, False])
def test_a_scan_smaller_than_a_patch_is_refused_before_the_training(
    tmp_path: Path, alone: bool
) -> None:
    train = {"network": NETWORK, "patch_px": 32, "epochs": 1}
    small = study(tmp_path, train=train, predict={})
    lines: list[str] = []
    with pytest.raises(InputError, match="smaller than a patch of 32 × 32"):
        if alone:
            run_study(small, say=lines.append, until="import")
            run_one(small, "train", say=lines.append)
        else:
            run_study(small, say=lines.append)
    assert all(line.startswith("import") for line in lines)
    assert not (small.root / "models").exists()


def test_a_failed_step_names_the_older_results_that_are_still_there(tmp_path: Path) -> None:
    measure = {"labels": "truth", "quantities": ["voxel_count"]}
    run_study(study(tmp_path, measure=measure), say=lambda _: None)
    failing = Study.load(tmp_path / "recipe.yaml", ("measure.labels=none",))
    with pytest.raises(InputError, match="no scan has a label map 'none'") as caught:
        run_one(failing, "measure", say=lambda _: None)
    (note,) = caught.value.__notes__
    assert note.startswith("still as an earlier 'measure' left them: measurements/quantities")


def test_a_step_that_fails_at_first_has_nothing_to_name(tmp_path: Path) -> None:
    failing = study(tmp_path, measure={"labels": "none", "quantities": ["voxel_count"]})
    with pytest.raises(InputError) as caught:
        run_study(failing, say=lambda _: None)
    assert not hasattr(caught.value, "__notes__")
