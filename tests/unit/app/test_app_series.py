"""Which scans of a study are a series."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from tomolith.app.series import find_series, scan_times_s
from tomolith.app.steps.measure import MeasureStep
from tomolith.app.study import Study
from tomolith.core import PRESETS, Grid, Provenance
from tomolith.errors import InputError, IntegrityError, MismatchError
from tomolith.phantom.cycler import simulate_cycler, write_mpt
from tomolith.phantom.protocol import Protocol
from tomolith.store.scan import Scan

SHAPE = (4, 6, 5)


def study(
    folder: Path, measure: dict, scans: dict[str, Grid], schema: str = "li-operando"
) -> Study:
    """Return a study with stored scans that carry the label map 'truth'."""
    entries = [{"id": name, "path": f"{name}.tif"} for name in scans]
    recipe = {
        "name": "x",
        "classes": schema,
        "import": {"scans": entries},
        "measure": {"labels": "truth", **measure},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    for name, grid in scans.items():
        scan = Scan.create(
            folder / f"scans/{name}.zarr", grid, np.uint8, provenance=Provenance("import")
        )
        labels = scan.create_labels("truth", PRESETS[schema], provenance=Provenance("import"))
        for array in (scan.image.array, labels.array):
            array[:, :, :] = np.zeros(grid.shape_zyx, np.uint8)
        labels.finish()
        scan.finish()
    return Study.load(folder / "recipe.yaml")


GRID = Grid(SHAPE, (1.0, 1.0, 1.0))
OTHER = Grid((4, 6, 7), (1.0, 1.0, 1.0))
CYCLER = {"path": "cell.mpt", "electrode_area_cm2": 0.5}


def test_all_scans_of_a_cell_are_a_series(tmp_path: Path) -> None:
    found = find_series(study(tmp_path, {}, {"a": GRID, "b": GRID}), ("a", "b"))
    assert (found.scans, found.why_not) == (("a", "b"), "")


def test_scans_that_nobody_named_need_not_go_together_but_it_is_told(tmp_path: Path) -> None:
    found = find_series(study(tmp_path, {}, {"a": GRID, "b": OTHER}), ("a", "b"))
    assert not found.scans
    assert "4 × 6 × 7 voxels" in found.why_not


def test_scans_without_the_label_map_are_left_out_but_it_is_told(tmp_path: Path) -> None:
    cell = study(tmp_path, {"quantities": ["voxel_count"]}, {"a": GRID, "b": GRID, "c": GRID})
    assert "without" not in MeasureStep().run(cell)
    shutil.rmtree(cell.scan_path("b") / "labels" / "truth")
    text = MeasureStep().run(Study.load(tmp_path / "recipe.yaml"))
    assert "of 2 scans" in text
    assert text.endswith("; without b: no label map 'truth'")


@pytest.mark.parametrize(
    ("series", "words"),
    [(None, "order a, b taken from the recipe"), (["b", "a"], "order b, a taken from 'measure")],
)
def test_the_order_of_the_series_is_told_where_no_times_are_known(
    tmp_path: Path, series: list[str] | None, words: str
) -> None:
    measure = {"quantities": ["voxel_count"], "series": series}
    cell = study(tmp_path, measure, {"a": GRID, "b": GRID})
    told = (MeasureStep().describe(cell)[1], MeasureStep().run(cell))
    for text in told:
        assert f"series: {words}" in text
        assert "when they were taken is not known" in text


def test_no_order_is_told_where_there_is_no_series(tmp_path: Path) -> None:
    none = study(tmp_path, {"quantities": ["voxel_count"], "series": []}, {"a": GRID, "b": GRID})
    assert len(MeasureStep().describe(none)) == 1
    assert "order" not in MeasureStep().run(none)


def test_the_closing_line_and_the_notes_say_what_the_cycler_file_may_lack(tmp_path: Path) -> None:
    log = simulate_cycler(Protocol(n_pulses=4), key=1)
    write_mpt(log, tmp_path / "whole.mpt")
    rows = (tmp_path / "whole.mpt").read_text("latin-1").split("\n")
    header = int(rows[1].split(":")[1])
    time = rows[header - 1].split("\t").index("time/s")
    kept = [row for row in rows[header:] if row and float(row.split("\t")[time]) <= 6700]
    (tmp_path / "cell.mpt").write_text("\n".join([*rows[:header], *kept, ""]), "latin-1")
    cycler = {**CYCLER, "path": "cell.mpt", "after_pulse": {"a": 0, "b": 4}}
    measure = {"quantities": ["volume"], "maps": False, "cycler": cycler}
    cell = study(tmp_path, measure, {"a": GRID, "b": GRID})
    text = MeasureStep().run(cell)
    notes = json.loads((cell.measurements / "cycler.json").read_text())["notes"]
    doubt = "the file ends while current flows, in pulse 4"
    assert doubt in text
    assert any(note.startswith(doubt) for note in notes)
    assert "series: order a, b taken from the recipe" in notes[-1]
    assert "not known" not in notes[-1]  # the recipe has placed them


@pytest.mark.parametrize("measure", [{"series": ["a", "b"]}, {"cycler": CYCLER}])
def test_a_named_series_must(tmp_path: Path, measure: dict) -> None:
    with pytest.raises(MismatchError, match="4 × 6 × 7 voxels"):
        find_series(study(tmp_path, measure, {"a": GRID, "b": OTHER}), ("a", "b"))


def test_images_and_other_materials_are_no_series_unless_named(tmp_path: Path) -> None:
    scans = {"a": GRID, "b": GRID}
    binary = study(tmp_path, {}, scans, "li-binary")
    assert find_series(binary, ("a", "b")).scans == ()
    named = study(tmp_path, {"series": ["b", "a"]}, scans, "li-binary")
    assert find_series(named, ("a", "b")).scans == ("b", "a")


def test_a_scan_of_the_series_must_be_measured(tmp_path: Path) -> None:
    named = study(tmp_path, {"series": ["a", "b"]}, {"a": GRID, "b": GRID})
    with pytest.raises(InputError, match="'b', which is not measured"):
        find_series(named, ("a",))


@pytest.mark.parametrize(
    ("grid", "why"),
    [(Grid(SHAPE, None), "no known voxel size"), (Grid(SHAPE, (1.0,) * 3, sections=True), "2-D")],
)
def test_the_charge_needs_volumes_with_a_size(tmp_path: Path, grid: Grid, why: str) -> None:
    with pytest.raises(InputError, match=why):
        find_series(study(tmp_path, {"cycler": CYCLER}, {"a": grid}), ("a",))


def test_a_label_map_without_classes_is_refused(tmp_path: Path) -> None:
    made = study(tmp_path, {}, {"a": GRID, "b": GRID})
    path = tmp_path / "scans/a.zarr/labels/truth/zarr.json"
    path.write_text(path.read_text().replace('"classes"', '"kinds"'))
    with pytest.raises(IntegrityError):
        find_series(made, ("a", "b"))


def test_scans_of_simulated_cells_know_their_times(tmp_path: Path) -> None:
    recipe = {
        "name": "x",
        "classes": "li-operando",
        "phantom": {"preset": "tiny", "scans": [0, 12], "n_cells": 2},
        "measure": {"labels": "truth"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    times = scan_times_s(Study.load(tmp_path / "recipe.yaml"))
    assert times["cell0-t12"] == times["cell1-t12"] > times["cell1-t00"] == 600


def test_the_path_of_the_cycler_file_is_that_of_the_recipe(tmp_path: Path) -> None:
    made = study(tmp_path, {"cycler": CYCLER}, {"a": GRID})
    assert made.recipe.measure is not None and made.recipe.measure.cycler is not None
    assert made.recipe.measure.cycler.path == str(tmp_path / "cell.mpt")
