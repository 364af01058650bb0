"""A simulated cell with its cycler file: what is measured is what was simulated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import tifffile
import yaml

from tomolith.app.check import check_study
from tomolith.app.listing import listing
from tomolith.app.run import run_study
from tomolith.app.steps import STEPS
from tomolith.app.steps.base import is_done
from tomolith.app.study import Study
from tomolith.app.verify import verify_study
from tomolith.errors import InputError, MismatchError, ReadError, TomolithError
from tomolith.measure.map_files import read_index
from tomolith.measure.planned_numbers import check_rules, planned_numbers
from tomolith.measure.rows import QuantityRow
from tomolith.measure.series_quantities import SERIES_QUANTITIES
from tomolith.measure.tables import read_table
from tomolith.measure.verdict_rules import full_name

SCANS = (0, 6, 12, 18, 24)
SHARE_SEEN = 0.95 * 0.9  # coulombic efficiency, and what is not too fine for the scan
RECIPE = {
    "name": "cycled cell",
    "classes": "li-operando",
    "study": "study",
    "phantom": {
        "preset": "tiny",
        "shape_zyx": [48, 64, 48],
        "scans": list(SCANS),
        "clock_offset_s": 240.0,
    },
    "measure": {
        "labels": "truth",
        "quantities": [
            {
                "name": "li_volume",
                "deposited_porosity_frac": 0.3,
                "redeposited_porosity_frac": 0.4,
            },
            "volume",
            "effective_thickness",
            "gap",
            "void_depth",
        ],
        "correlate": ["void_depth"],
        "cycler": {"path": "study/phantom/cell0.mpt", "electrode_area_cm2": 0.5},
    },
}


def load(folder: Path, *overrides: str) -> Study:
    return Study.load(folder / "recipe.yaml", overrides)


def run(study: Study) -> list[str]:
    lines: list[str] = []
    run_study(study, say=lines.append)
    return lines


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cycled")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    assert any("which an earlier step writes" in line for line in check_study(load(folder)))
    lines = run(load(folder))
    assert "24 pulses, scans matched by time" in lines[-1]
    return folder


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "study/measurements/quantities.parquet")


@pytest.fixture(scope="module")
def truth(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "study/phantom/truth.parquet")


def values(table: pd.DataFrame, quantity: str, part: str) -> dict[str, float]:
    found = table[(table["quantity"] == quantity) & (table["class"] == part)]
    return dict(zip(found["scan"], found["value"], strict=True))


def true_values(truth: pd.DataFrame, quantity: str, region: str) -> dict[str, float]:
    found = truth[(truth["quantity"] == quantity) & (truth["region"] == region)]
    return dict(zip(found["scan"], found["value"], strict=True))


def test_every_scan_is_matched_to_its_rest_and_the_clock_is_set(folder: Path) -> None:
    found = json.loads((folder / "study/measurements/cycler.json").read_text())
    assert [scan["after_pulse"] for scan in found["scans"]] == list(SCANS)
    offset = found["clock_offset"]
    assert offset["low_s"] <= 240 <= offset["high_s"] and not offset["others_s"]


def test_the_charge_is_that_of_the_simulated_history(
    table: pd.DataFrame, truth: pd.DataFrame
) -> None:
    expected = values(table, "expected_li_volume", "cell")
    charged, returned = (true_values(truth, "charge_passed", r) for r in ("charge", "discharge"))
    for scan, volume in expected.items():
        assert volume == pytest.approx(charged[scan] - returned[scan], rel=1e-9, abs=1.0)
    on_min = values(table, "current_on_time", "cell")
    assert list(on_min.values()) == pytest.approx([10.0 * n for n in SCANS])


def test_the_scans_show_the_share_of_the_charge_that_was_simulated(
    table: pd.DataFrame, truth: pd.DataFrame
) -> None:
    ratios = values(table, "capacity_ratio", "cell")
    assert list(ratios) == [f"cell0-t{n:02d}" for n in SCANS[1:]]
    assert list(ratios.values()) == pytest.approx([SHARE_SEEN] * 4, rel=0.005)
    stripping = values(table, "capacity_ratio", "cell, stripping side")
    assert list(stripping.values()) == pytest.approx([1, 1, SHARE_SEEN, SHARE_SEEN], rel=0.005)
    charged, returned = (true_values(truth, "charge_passed", r) for r in ("charge", "discharge"))
    visible = true_values(truth, "li_moved", "plating side, visible")
    for scan, gap in values(table, "inventory_closure", "cell").items():
        true_gap = visible[scan] - charged[scan] + returned[scan]
        assert gap == pytest.approx(true_gap, abs=0.005 * max(charged.values()))


def test_capacity_ratios_have_intervals_that_can_decide(table: pd.DataFrame) -> None:
    rows = table[(table["quantity"] == "capacity_ratio") & (table["class"] == "cell")]
    assert len(rows) == 4  # the first one too, of a scan without any grown Li
    assert ((rows["low"] <= SHARE_SEEN) & (rows["high"] >= SHARE_SEEN)).all()
    assert ((rows["high"] - rows["low"]) / 2 < 0.5).all()  # six pulses, voxels of 5.32 µm


def test_travelling_li_is_the_li_that_was_moved(table: pd.DataFrame, truth: pd.DataFrame) -> None:
    travelled = values(table, "travelling_li", "plating side")
    visible = true_values(truth, "li_moved", "plating side, visible")
    assert travelled == pytest.approx(visible, abs=0.005 * max(visible.values()))
    per_pulse = values(table, "li_moved_per_pulse", "plating side")
    assert per_pulse["cell0-t12"] == pytest.approx(
        (visible["cell0-t12"] - visible["cell0-t06"]) / 6, rel=0.005
    )


def test_the_rate_of_stripping_is_faradays(table: pd.DataFrame) -> None:
    rates = table[(table["quantity"] == "thickness_rate") & (table["scan"] == "series")]
    row = rates[rates["class"] == "electrode, stripping side, charge"].iloc[0]
    assert row["value"] == pytest.approx(-1.2129, rel=0.002)
    assert row["low"] <= row["value"] <= row["high"] and row["unit"] == "um/pulse"
    assert "least-squares line through 3 scans; 95 %:" in row["method"]
    assert not rates["class"].str.startswith("background").any()


def test_what_is_left_at_full_cycle_is_what_was_simulated(
    table: pd.DataFrame, truth: pd.DataFrame
) -> None:
    left = table[table["quantity"] == "li_left"].set_index("class")
    assert set(left["scan"]) == {"cell0-t24"}
    true = truth[(truth["scan"] == "cell0-t24") & (truth["quantity"] == "li_volume")]
    true = true.set_index("region")["value"]
    for part in ("dendrite", "deposited"):
        assert left.loc[part, "value"] == pytest.approx(true[part], rel=1e-9)
    together = left.loc["all plated Li", "value"]
    assert together == pytest.approx(true["dendrite"] + true["deposited"], rel=1e-9)
    assert together > 0


def test_every_number_of_the_table_is_explained(table: pd.DataFrame) -> None:
    explained = {line.split(" ")[0] for line in listing("quantities") if line}
    assert set(table["quantity"]) <= explained
    units = table.groupby("quantity")["unit"].first()
    for one in SERIES_QUANTITIES:
        assert units[one.name] == one.unit


def test_pits_are_held_against_half_cycle_and_voids_against_pits(table: pd.DataFrame) -> None:
    pits, left = values(table, "volume", "pit"), values(table, "pits_left", "pit")
    half = "cell0-t12"
    assert list(left) == [f"cell0-t{n:02d}" for n in SCANS if n >= 12]
    for scan, share in left.items():
        assert share == pytest.approx(pits[scan] / pits[half])
    assert values(table, "pearson", "pit ~ void_depth")[f"cell0-t{SCANS[-1]:02d}"] > 0


def test_every_number_of_the_table_was_foreseen(folder: Path) -> None:
    rows = read_table(folder / "study/measurements/quantities", QuantityRow)
    names = dict.fromkeys(full_name(row) for row in rows)
    recipe = load(folder).recipe
    numbers = planned_numbers(recipe.measure, recipe.schema_, cycler=True)
    check_rules([f"{name} < 1" for name in names], numbers)


def test_maps_add_up_to_the_thickness(folder: Path, table: pd.DataFrame) -> None:
    entries = read_index(folder / "study/measurements")
    assert {entry.scan for entry in entries} == {*(f"cell0-t{n:02d}" for n in SCANS), "series"}
    for entry in entries:
        values_of_map = tifffile.imread(folder / "study/measurements" / entry.file)
        assert values_of_map.shape == (48, 48)
        if entry.map.startswith("thickness_"):
            thickness = values(table, "effective_thickness", entry.class_name)[entry.scan]
            assert float(values_of_map.mean()) == pytest.approx(thickness, rel=1e-5, abs=1e-9)


def test_every_output_is_marked_and_nothing_is_done_twice(folder: Path) -> None:
    assert "whole" in verify_study(folder / "study")
    assert sum("up to date" in line for line in run(load(folder))) == 2
    study = load(folder)
    assert is_done(STEPS["measure"], study)
    outputs = [path.name for path in STEPS["measure"].outputs(study)]
    assert {"cycler.json", "voltage.parquet", "index.json", "gap.tif"} <= set(outputs)


def test_another_cycler_file_makes_the_numbers_out_of_date(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "changed"
    shutil.copytree(folder, copy)
    path = copy / "study/phantom/cell0.mpt"
    path.write_bytes(path.read_bytes() + b"\r\n")
    assert not is_done(STEPS["measure"], load(copy))


def test_without_a_cycler_file_everything_else_is_there(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "plain"
    shutil.copytree(folder, copy)
    run(load(copy, "measure.cycler=null", "measure.maps=false"))
    found = pd.read_parquet(copy / "study/measurements/quantities.parquet")
    assert not (found["class"] == "cell").any()
    assert {"li_moved", "swelling", "thickness_rate"} <= set(found["quantity"])
    assert set(found.loc[found["quantity"] == "thickness_rate", "unit"]) == {"um/scan"}
    left = sorted(p.name for p in (copy / "study/measurements").rglob("*") if p.is_file())
    assert left == ["index.json", "quantities.csv", "quantities.parquet"]
    assert not list((copy / "study/.tomolith").glob("plans-*"))


@pytest.mark.parametrize(
    ("override", "kind", "why"),
    [
        ("measure.series=[cell0-t12, cell0-t06]", InputError, "was taken before it"),
        ("measure.series=[cell0-t06, cell0-t06]", InputError, "twice"),
        ("measure.series=[cell0-t99]", InputError, "'measure.series' names the scan 'cell0-t99'"),
        ("measure.series=[]", TomolithError, "'series' is \\[\\]"),
        ("measure.cycler.path=nowhere.mpt", ReadError, "no such file"),
        ("measure.cycler.match=order", MismatchError, "5 scans, but 25 rests"),
        ("measure.cycler.electrode_area_cm2=1e-5", InputError, "analysed area"),
        ("measure.cycler.units.current=A", MismatchError, "A stand"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, override: str, kind: type[TomolithError], why: str
) -> None:
    with pytest.raises(kind, match=why):
        STEPS["measure"].run(load(folder, override))


def test_part_of_a_series_may_be_measured(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "part"
    shutil.copytree(folder, copy)
    run(load(copy, "measure.series=[cell0-t06, cell0-t18]"))
    found = pd.read_parquet(copy / "study/measurements/quantities.parquet")
    (ratio,) = found[
        (found["quantity"] == "capacity_ratio") & (found["class"] == "cell")
    ].itertuples()
    assert pd.isna(ratio.value) and "no charge passed on balance" in ratio.method
    assert len(set(found["scan"])) == len(SCANS)  # all are measured
