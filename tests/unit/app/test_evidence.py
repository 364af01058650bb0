"""Which held-out slices tell of which label map."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tomolith.app.evidence import held_out_counts
from tomolith.app.study import Study
from tomolith.measure.held_out import HeldOut, HeldOutSlice, write_held_out

CLASSES = ("background", "electrode")


def study(folder: Path, **sections: object) -> Study:
    recipe = {
        "name": "x",
        "classes": list(CLASSES),
        "import": {"scans": [{"id": "a", "path": "a.tif"}]},
        "train": {"labels": "hand"},
        "predict": {},
        "evaluate": {},
        "measure": {},
        **sections,
    }
    (folder / "recipe.yaml").write_text(
        yaml.safe_dump({k: v for k, v in recipe.items() if v is not None})
    )
    return Study.load(folder / "recipe.yaml")


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    """Leave slices of the network, of what was refined and of a baseline."""
    records = [
        HeldOut(system, subset, CLASSES, (HeldOutSlice(scan, z, ((n, 0), (0, 1))),))
        for n, system in enumerate(("unet", "unet, refined", "otsu"), start=1)
        for scan, z, subset in (("b", 7, "validation"), ("a", 3, "test"))
    ]
    write_held_out(records, tmp_path / "measurements" / "held_out.json")
    return tmp_path


def test_the_test_slices_of_the_network_tell_of_its_predictions(counts: Path) -> None:
    found = held_out_counts(study(counts), "prediction")
    assert found is not None
    assert found.system == "unet"
    assert [(s.scan, s.z) for s in found.slices] == [("a", 3)]
    refined = held_out_counts(study(counts, refine={}), "refined")
    assert refined is not None
    assert refined.slices[0].counts[0][0] == 2
    assert held_out_counts(study(counts), "hand") is None


def test_other_subsets_count_where_asked_for(counts: Path) -> None:
    section = {"uncertainty": {"subsets": ["validation", "test"]}}
    found = held_out_counts(study(counts, measure=section), "prediction")
    assert found is not None
    assert [s.scan for s in found.slices] == ["a", "b"]
    section = {"uncertainty": {"subsets": ["train"]}}
    assert held_out_counts(study(counts, measure=section), "prediction") is None


def test_without_scores_there_is_nothing_to_hold_against(counts: Path) -> None:
    assert held_out_counts(study(counts, evaluate=None), "prediction") is None
    (counts / "measurements" / "held_out.json").unlink()
    assert held_out_counts(study(counts), "prediction") is None
