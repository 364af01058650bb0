"""Tables, words and figures of a comparison, from rows made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tomolith.errors import ReadError
from tomolith.measure.reliability import ReliabilityRecord
from tomolith.measure.rows import CompareRow
from tomolith.measure.tables import write_table
from tomolith.report import ReportSettings, write_report
from tomolith.report.compared import Comparison, SystemFiles, read_comparison
from tomolith.report.comparison import notes, tables, write_figures
from tomolith.report.words import compared

CLASSES = ("background", "lithium")


def row(system: str, quantity: str, value: float | None, **more: object) -> CompareRow:
    known = {"convention": "", "class_name": "", "sd": None, "unit": "", "seed": "all", **more}
    return CompareRow(system=system, quantity=quantity, value=value, n_seeds=1.0, **known)


def make(*, sds: tuple[float | None, float | None] = (0.01, 0.02)) -> Comparison:
    rows = []
    for system, iou, sd in (("unet", 0.8, sds[0]), ("otsu", 0.5, None), ("t-net", 0.81, sds[1])):
        for metric in ("iou", "dice", "f1"):
            rows.append(row(system, metric, iou, sd=sd, convention="pooled"))
            rows += [
                row(system, metric, iou, sd=sd, convention="pooled", class_name=name)
                for name in CLASSES
            ]
        rows += [
            row(system, "occupied_voxels", 50.0, class_name=name, unit="voxels") for name in CLASSES
        ]
        rows += [row(system, "latency", 10.0, unit="ms"), row(system, "best_batch", 4.0)]
    rows += [row("truth", "occupied_voxels", 40.0, class_name=name) for name in CLASSES]
    systems = (
        SystemFiles("unet", "unet", (("unet-s0", 0), ("unet-s1", 1)), "torch", 128),
        SystemFiles("otsu", "otsu", (("otsu", None),), "scikit-image", 128),
        SystemFiles("t-net", "transforcnn", (("t-net-s0", 0),), "torch", 128),
    )
    return Comparison(tuple(rows), systems, (("gone", 3),), "truth", "a machine")


def halves(record: ReliabilityRecord | None) -> list[dict[str, object]]:
    """Return the record as two seeds would have left it."""
    if record is None:
        return []
    names = ("n_pixels", "n_right", "confidence_sum")
    half = {name: [n // 2 for n in getattr(record, name)] for name in names}
    return [{"system": record.system, "subset": "test", **half}] * 2


def trusted() -> Comparison:
    """Return the comparison with probabilities of one system, which are too sure by 0.2."""
    first, *others = make().systems
    record = ReliabilityRecord("unet", "test", (0, 100, 100), (0, 40, 80), (0, 60 * 255, 100 * 255))
    rows = (*make().rows, row("unet", "ece", record.error, convention="pooled"))
    return replace(make(), rows=rows, systems=(replace(first, reliability=record), *others))


def test_memory_of_a_gpu_has_a_column_where_one_was_used():
    costs = tables(make())[-1]
    assert not any("GPU" in column for column in costs.columns)
    more = (*make().rows, row("unet", "peak_device_memory", 3 * 2**20, unit="bytes"))
    costs = tables(replace(make(), rows=more))[-1]
    shown = {r.heading: r.cells[costs.columns.index("peak GPU memory (MiB)")] for r in costs.rows}
    assert shown == {"unet": "3", "otsu": "–", "t-net": "–"}


def store(root: Path, comparison: Comparison) -> None:
    write_table(comparison.rows, root / "measurements" / "compare")
    systems = [
        {
            "name": s.name,
            "method": s.method,
            "runs": s.runs,
            "engine": s.engine,
            "patch_px": s.patch_px,
            "weights": s.weights,
            "reliability": halves(s.reliability),
        }
        for s in comparison.systems
    ]
    about = {"machine": "a machine", "systems": systems, "samples": [["gone", 3]], "truth": "truth"}
    (root / "measurements" / "compare.json").write_text(json.dumps(about))


def test_what_was_written_is_read_back(tmp_path):
    store(tmp_path, make())
    assert read_comparison(tmp_path) == make()
    assert read_comparison(tmp_path / "elsewhere") is None


def test_probabilities_of_all_seeds_are_read_back_together(tmp_path):
    store(tmp_path, trusted())
    assert read_comparison(tmp_path) == trusted()


def test_the_weights_of_an_ensemble_are_told_below_the_tables(tmp_path):
    found = ((("unet", 1.0), ("t-net", 0.0)), (("unet", 0.2), ("t-net", 0.8)))
    joined = SystemFiles("both", "ensemble", (("both-s0", 0), ("both-s1", 1)), weights=found)
    store(tmp_path, replace(make(), systems=(*make().systems, joined)))
    told = [words for words in notes(read_comparison(tmp_path)) if words.startswith("Weights")]
    assert told == ["Weights of both: unet alone (seed 0), 0.20 unet + 0.80 t-net (seed 1)."]


def test_weights_that_an_older_run_did_not_keep_are_not_told():
    runs = (("both-s0", 0), ("both-s1", 1))
    known = (("unet", 0.2), ("t-net", 0.8))
    told = [SystemFiles("both", "ensemble", runs, weights=w) for w in (((), known), ((), ()))]
    assert [system.weights_text for system in told] == ["0.20 unet + 0.80 t-net (seed 1)", ""]


def test_the_calibration_error_stands_in_the_table_where_there_is_one():
    scores = tables(trusted())[0]
    assert scores.columns[-1] == "calibration error"
    assert [r.cells[-1] for r in scores.rows] == ["–", "0.200", "–"]
    assert "calibration error" not in tables(make())[0].columns


def test_the_reliability_diagram_is_drawn_where_there_are_probabilities(tmp_path):
    store(tmp_path, trusted())
    drawn = {path.name: path for path in write_figures(tmp_path)}
    assert drawn["comparison-reliability.png"].stat().st_size > 5000
    store(tmp_path, make())
    assert "comparison-reliability.png" not in {path.name for path in write_figures(tmp_path)}


def test_tables_rank_by_mean_iou_and_mark_a_single_seed():
    scores, *_, cost = tables(make())
    assert [r.heading for r in scores.rows] == ["t-net", "unet", "otsu"]
    assert [r.cells[0] for r in scores.rows] == ["1, no spread", "2", "none needed"]
    assert scores.rows[1].cells[1] == "0.800 ± 0.010"
    assert cost.rows[0].cells[0] == "10.00"
    assert cost.rows[0].cells[4] == "–"
    assert any("may be chance" in sentence for sentence in notes(make()))


def test_the_summary_does_not_sell_chance_as_a_difference():
    assert "0.810, is that of t-net, 0.010 above unet, which may be chance" in compared(
        make(sds=(0.01, None))
    )
    assert "within the spread over the seeds" in compared(make(sds=(0.03, 0.02)))
    assert compared(make(sds=(0.001, 0.002))).endswith("above unet.")


def test_figures_of_an_older_comparison_do_not_stay(tmp_path):
    store(tmp_path, make())
    old = tmp_path / "measurements" / "compare" / "comparison-gone-9.png"
    old.parent.mkdir()
    old.write_bytes(b"")
    drawn = {path.name for path in write_figures(tmp_path)}
    assert drawn == {path.name for path in old.parent.iterdir()}
    assert drawn == {f"comparison-{n}.png" for n in ("scores", "classes", "amounts", "speed")}


def test_a_damaged_comparison_is_named_and_the_rest_is_shown(tmp_path):
    store(tmp_path, make())
    (tmp_path / "measurements" / "compare.json").write_text("{")
    with pytest.raises(ReadError, match="run the step 'compare' again"):
        read_comparison(tmp_path)
    page = write_report(tmp_path, ReportSettings()).read_text()
    assert "The comparison is not shown" in page
    assert '<section id="comparison">' not in page


def test_a_comparison_that_the_recipe_no_longer_asks_for_is_not_shown(tmp_path):
    store(tmp_path, make())
    (tmp_path / "recipe.yaml").write_text("name: x\nreport: {}\n")
    assert '"comparison"' not in write_report(tmp_path, ReportSettings()).read_text()
    (tmp_path / "recipe.yaml").write_text("name: x\ncompare: {}\n")
    page = write_report(tmp_path, ReportSettings()).read_text()
    assert '<section id="comparison">' in page
    assert "3 systems were compared" in page
