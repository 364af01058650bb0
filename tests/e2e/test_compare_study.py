"""Several systems compared on the tiny phantom, stopped, changed and gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.app.verify import verify_study
from tomolith.errors import TomolithError
from tomolith.label.splits import Split
from tomolith.learn.comparison import compare as module
from tomolith.learn.comparison import timing
from tomolith.learn.comparison.material import Material
from tomolith.learn.settings import TrainSettings

UNET = {"name": "unet", "channels": 2, "depth": 2}
RECIPE = {
    "name": "tiny comparison",
    "classes": ["background", "electrode", "dendrite"],
    "phantom": {"preset": "tiny", "scans": [0, 12]},
    "compare": {
        "systems": [
            {"name": "unet", "method": UNET, "seeds": [0, 1]},
            {"name": "wide", "method": {**UNET, "channels": 3}, "train": {"loss": "dice"}},
            {"name": "both", "method": {"name": "ensemble", "members": ["unet", "wide"]}},
            "otsu",
            "multi_otsu",
            {"name": "forest", "method": {"name": "random_forest", "n_trees": 5, "sigma_max": 2}},
        ],
        "labels": "hand",
        "train": {
            "epochs": 1,
            "patch_px": 32,
            "patches_per_epoch": 16,
            "threads": 1,
            "split": {"test": ["cell0-t12"], "validation_frac": 0.3},
        },
        "patch_px": 32,
        "timing": {"patch_px": 32, "max_batch": 2, "seconds": 0.01, "rounds": 1},
        "backend": "torch",
        "precision": "fp32",
        "threads": 1,
        "n_samples": 1,
    },
    "report": {},
}
RUNS = ["unet-s0", "unet-s1", "wide-s0", "both-s0", "otsu", "multi_otsu", "forest-s0"]


def load(folder: Path, **changes: object) -> Study:
    recipe = json.loads(json.dumps(RECIPE))
    recipe["compare"] |= changes
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    return Study.load(folder / "recipe.yaml")


def run(study: Study, **options: str) -> list[str]:
    said: list[str] = []
    run_study(study, say=said.append, **options)
    return said


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A comparison that was killed after its second training, and went on."""
    study = load(tmp_path_factory.mktemp("compare"))
    trained: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        _count_trainings(patch, trained, die_at=3)
        with pytest.raises(KeyboardInterrupt):
            run(study)
    assert trained == ["unet-s0", "unet-s1", "wide-s0"]
    assert not (study.measurements / "compare.parquet").exists()
    trained.clear()
    with pytest.MonkeyPatch.context() as patch:
        _count_trainings(patch, trained)
        _time_few(patch, "both")
        run(study)
    assert trained == ["wide-s0"]  # what was finished before the kill is not trained again
    return study


def _time_few(patch: pytest.MonkeyPatch, *systems: str) -> None:
    """Measure only some systems in a process of their own: starting one takes seconds."""
    in_child = timing._in_child

    def timed(run, material, split, *, root, settings):
        if run.system in systems:
            return in_child(run, material, split, root=root, settings=settings)
        return timing.Timing(run.system, "none", 32, 0.001, 1, 0.001, 1, None, *_size(run))

    patch.setattr(timing, "_in_child", timed)


def _size(run) -> tuple[int | None, int | None]:
    return (None, None) if run.is_classical else (1, 1)


def _count_trainings(patch: pytest.MonkeyPatch, trained: list[str], die_at: int = 99) -> None:
    train = module.train

    def counted(examples, settings, folder, *, schema):
        trained.append(folder.name)
        if len(trained) == die_at:
            raise KeyboardInterrupt
        return train(examples, settings, folder, schema=schema)

    patch.setattr(module, "train", counted)


def test_the_table_holds_every_system_and_what_was_asked(study):
    table = pd.read_parquet(study.measurements / "compare.parquet")
    assert list(dict.fromkeys(table["system"])) == [
        "unet", "wide", "both", "otsu", "multi_otsu", "forest", "truth",
    ]  # fmt: skip
    overall = table[(table["seed"] == "all") & (table["class"] == "")]
    wanted = {"iou", "dice", "fw_iou", "latency", "throughput_best_batch", "peak_memory",
              "accuracy_best_images", "accuracy_lowest_images", "training_time"}  # fmt: skip
    for system in ("unet", "both", "otsu", "forest"):
        assert wanted <= set(overall[overall["system"] == system]["quantity"])
    networks = overall[overall["quantity"].isin(["parameters", "flops"])]
    assert set(networks["system"]) == {"unet", "wide", "both"}
    scores = overall[overall["quantity"].isin(["iou", "dice"])]
    assert set(scores["convention"]) == {"pooled", "mean_over_patches"}
    assert scores["value"].between(0, 1).all()
    assert (overall[overall["quantity"] == "latency"]["value"] > 0).all()
    best = overall[overall["quantity"] == "accuracy_best_images"].set_index("system")["value"]
    lowest = overall[overall["quantity"] == "accuracy_lowest_images"].set_index("system")["value"]
    assert (best >= lowest).all()


def test_two_seeds_give_mean_and_spread_and_one_gives_none(study):
    table = pd.read_parquet(study.measurements / "compare.parquet")
    iou = table[(table["quantity"] == "iou") & (table["convention"] == "pooled")]
    iou = iou[iou["class"] == ""].set_index(["system", "seed"])
    seeds = [iou.loc[("unet", seed), "value"] for seed in ("0", "1")]
    assert iou.loc[("unet", "all"), "value"] == pytest.approx(np.mean(seeds))
    assert iou.loc[("unet", "all"), "sd"] == pytest.approx(np.std(seeds, ddof=1))
    assert iou.loc[("unet", "all"), "n_seeds"] == 2
    assert np.isnan(iou.loc[("wide", "all"), "sd"])
    assert ("otsu", "0") not in iou.index


def test_amounts_are_those_of_the_test_slices(study):
    table = pd.read_parquet(study.measurements / "compare.parquet")
    scan = study.scan("cell0-t12")
    labels = np.asarray(scan.labels("compare-otsu").volume.array[:])
    inside = labels != scan.labels("compare-otsu").schema.unlabelled
    planes = inside.all(axis=(1, 2))
    assert inside.any(axis=(1, 2)).tolist() == planes.tolist()  # whole slices, and only these
    hand = np.asarray(scan.labels("hand").volume.array[:])
    np.testing.assert_array_equal(planes, (hand != 255).any(axis=(1, 2)))
    rows = table[(table["quantity"] == "occupied_voxels") & (table["seed"] == "all")]
    count = rows.set_index(["system", "class"])["value"]
    truth = np.asarray(scan.labels("truth").volume.array[:])[planes]
    for value, name in enumerate(RECIPE["classes"]):
        assert count["otsu", name] == (labels == value).sum()
        assert count["truth", name] == (truth == value).sum()


def test_labels_are_those_of_predict(study):
    from tomolith.learn.bundle import ModelBundle
    from tomolith.learn.predict import predict

    scan = study.scan("cell0-t12")
    bundle = ModelBundle.load(study.root / "models" / "unet-s0")
    settings = study.recipe.compare.predict
    settings = settings.model_copy(update={"probabilities": True})
    whole = np.asarray(predict(scan, bundle, settings, name="check").volume.array[:])
    found = np.asarray(scan.labels("compare-unet-s0").volume.array[:])
    known = found != 255
    assert known.any()
    np.testing.assert_array_equal(found[known], whole[known])
    expected = np.asarray(scan.extra("probabilities/check")[:])
    shares = np.asarray(scan.extra("probabilities/compare-unet-s0")[:])
    np.testing.assert_array_equal(shares[:, known], expected[:, known])
    assert not shares[:, ~known].any()


def test_probabilities_give_a_calibration_error_and_a_diagram(study):
    table = pd.read_parquet(study.measurements / "compare.parquet")
    errors = table[(table["quantity"] == "ece") & (table["seed"] == "all")]
    errors = errors.set_index("system")["value"]
    assert set(errors.index) == {"unet", "wide", "both", "forest"}  # thresholds have none
    assert errors.between(0, 1).all()
    row = json.loads((study.root / "models/forest-s0/compare.json").read_text())
    counted = sum(row["reliability"]["n_pixels"])
    assert counted == sum(sum(line) for line in row["confusion"]["counts"])
    assert (study.measurements / "compare" / "comparison-reliability.png").exists()
    scan = study.scan("cell0-t12")
    labels = np.asarray(scan.labels("compare-forest-s0").volume.array[:])
    shares = np.asarray(scan.extra("probabilities/compare-forest-s0")[:])
    known = labels != 255
    sure = np.sort(shares[:, known], axis=0)
    clear = sure[-1] > sure[-2]
    np.testing.assert_array_equal(shares[:, known].argmax(0)[clear], labels[known][clear])


def test_a_classical_method_is_fitted_anew_where_it_is_timed(study, tmp_path):
    material = Material(
        tuple(study.scan(scan_id) for scan_id in study.scan_ids()), study.schema, "hand"
    )
    split = json.loads((study.root / "models/unet-s0/split.json").read_text())
    settings = study.recipe.compare
    run = next(r for r in settings.runs(TrainSettings()) if r.system == "forest")
    job = timing.job_of(run, material, Split.from_dict(split), folder=tmp_path, settings=settings)
    (tmp_path / "job.json").write_text(json.dumps(job))
    timing.answer_job(tmp_path / "job.json", tmp_path / "answer.json")
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["system"] == "forest"
    assert answer["patch_px"] == 32
    assert answer["latency_s"] > 0
    assert answer["n_parameters"] is None


def test_the_row_of_every_run_lies_beside_its_model_and_all_is_whole(study):
    for name in RUNS:
        row = json.loads((study.root / "models" / name / "compare.json").read_text())
        assert row["run"] == name
        assert row["scores"]
    assert "whole" in verify_study(study.root)


def test_figures_are_written_and_shown_in_the_report(study):
    names = {path.name for path in (study.measurements / "compare").glob("*.png")}
    assert {f"comparison-{n}.png" for n in ("scores", "classes", "amounts", "speed")} < names
    assert "comparison-training.png" in names
    assert len([n for n in names if n.startswith("comparison-cell0-t12-")]) == 1
    assert names == {p.name for p in (study.root / "report/figures").glob("comparison-*.png")}
    page = (study.root / "report/index.html").read_text()
    assert '<section id="comparison">' in page
    assert "6 systems were compared" in page
    assert "best mean IoU first" in page
    assert "1, no spread" in page
    assert "Weights of both: " in page


def test_a_second_run_trains_nothing_and_a_change_only_what_it_concerns(study, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(study.root, copy)
    trained: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        _count_trainings(patch, trained)
        _time_few(patch)
        assert any("compare   up to date" in line for line in run(Study.load(copy)))
        systems = json.loads(json.dumps(RECIPE["compare"]["systems"]))
        systems[1]["train"] = {"loss": "cross_entropy"}
        changed = load(copy, systems=systems)
        run(changed, until="compare")
    assert trained == ["wide-s0"]
    before = json.loads((study.root / "models/both-s0/compare.json").read_text())
    after = json.loads((copy / "models/both-s0/compare.json").read_text())
    assert before["key"] != after["key"]  # the mean of both is another one too


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"systems": ["unett"]}, "did you mean 'unet'"),
        ({"systems": [{"name": "unet", "train": {"epohcs": 3}}]}, "did you mean 'epochs'"),
        ({"systems": [{"name": "unet", "train": {"split": {}}}]}, "compare.train"),
        ({"systems": ["unet", "unet"]}, "two systems"),
        ({"systems": [{"name": "otsu", "method": {"name": "otsu", "median": 3}}]}, "median_px"),
        (
            {"systems": [{"name": "e", "method": {"name": "ensemble", "members": ["a", "b"]}}]},
            "no system before it",
        ),
    ],
)
def test_mistakes_are_found_before_anything_runs(tmp_path, changes, word):
    with pytest.raises(TomolithError) as caught:
        load(tmp_path, **changes)
    assert word in str(caught.value)


def test_without_test_slices_there_is_nothing_to_compare_on(tmp_path):
    train = {**RECIPE["compare"]["train"], "split": {"test_frac": 0}}
    with pytest.raises(TomolithError, match="no slice for the test"):
        run(load(tmp_path, train=train))
