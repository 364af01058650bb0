"""The recipes of the benchmarks are accepted, in full and shortened."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from tomolith.app.study import Study
from tomolith.learn.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "recipes"
# that of the planes trains one network at a time and compares nothing
RECIPES = sorted(p for p in FOLDER.glob("*.yaml") if p.stem != "plane_fusion")
MODULES = (
    "table1_binary",
    "matphase_parts",
    "table2_matphase",
    "table2_nmc",
    "table3_operando",
    "real_sets",
    "ablations",
    "other_scan",
)
USED = [
    "ablation_encoder",
    "ablation_losses",
    "matphase_parts",
    "other_scan",
    "real_alumina",
    "real_pores",
    "real_sandstone",
    "table1_binary",
    "table2_cathode",
    "table2_nmc",
    "table3_operando",
]


@pytest.fixture
def comparisons(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("TOMOLITH_DATA", "/data")
    return importlib.import_module("benchmarks.comparisons")


def protocols_of(comparisons, name: str) -> dict:
    module = importlib.import_module(f"benchmarks.{name}")
    values = [*vars(module).values(), *getattr(module, "PROTOCOLS", {}).values()]
    return {v.recipe: v for v in values if isinstance(v, comparisons.Protocol)}


def protocols(comparisons) -> dict:
    return {k: v for name in MODULES for k, v in protocols_of(comparisons, name).items()}


def load(comparisons, recipe: str, extent, folder: Path):
    protocol = protocols(comparisons)[recipe]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**protocol.load(extent), "study": "study"}), encoding="utf-8")
    runs = Study.load(path).recipe.compare.runs(TrainSettings())
    return protocol, runs


@pytest.mark.parametrize("name", MODULES)
def test_a_page_names_every_system_of_its_recipes_as_measured_or_as_not_run(comparisons, name):
    page = (ROOT / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\|(?: [A-D] \|)? ([\w+-]+) \|", page, re.MULTILINE))
    left_out = {n for found in re.findall(r"Not run: ([^.\n]*)\.", page) for n in found.split(", ")}
    for protocol in protocols_of(comparisons, name).values():
        systems = protocol.load(comparisons.Extent())["compare"]["systems"]
        wanted = {s if isinstance(s, str) else s["name"] for s in systems}
        assert wanted <= rows | left_out


def test_every_recipe_is_used_by_a_benchmark(comparisons):
    assert [path.stem for path in RECIPES] == USED == sorted(protocols(comparisons))


@pytest.mark.parametrize("recipe", USED)
def test_the_full_protocol_has_three_seeds_and_no_time_limit(comparisons, recipe, tmp_path):
    _, runs = load(comparisons, recipe, comparisons.Extent(), tmp_path)
    trained = [run for run in runs if not run.is_classical]
    assert {run.seed for run in trained} == {0, 1, 2}
    assert all(run.train.minutes is None for run in trained)


@pytest.mark.parametrize("recipe", USED)
def test_a_shortened_run_has_one_seed_and_the_same_time_for_each(comparisons, recipe, tmp_path):
    extent = comparisons.Extent(minutes=3, threads=1)
    protocol, runs = load(comparisons, recipe, extent, tmp_path)
    trained = [run for run in runs if not run.is_classical]
    assert {run.seed for run in trained} == {0}
    lengths = {(r.train.minutes, r.train.patience, r.train.threads) for r in trained}
    assert lengths == {(3.0, None, 1)}
    named = {run.system for run in load(comparisons, recipe, comparisons.Extent(), tmp_path)[1]}
    assert named - {run.system for run in runs} == set(protocol.left_out(extent))


@pytest.mark.parametrize("recipe", USED)
def test_a_shortened_run_has_as_many_seeds_as_asked_for(comparisons, recipe, tmp_path):
    _, runs = load(comparisons, recipe, comparisons.Extent(minutes=3, seeds=2), tmp_path)
    assert {run.seed for run in runs if not run.is_classical} == {0, 1}


@pytest.mark.parametrize("minutes", [None, 3])
def test_only_the_systems_that_are_asked_for_are_run(comparisons, minutes, tmp_path):
    extent = comparisons.Extent(minutes=minutes, systems=("unet", "random_forest"))
    protocol, runs = load(comparisons, "table2_cathode", extent, tmp_path)
    assert {run.system for run in runs} == {"unet", "random_forest"}
    assert "matphase" in protocol.left_out(extent)
    with pytest.raises(ValueError, match="table2_cathode has no unnet; it has fcn"):
        protocol.load(comparisons.Extent(systems=("unnet",)))


def test_a_shortened_run_keeps_what_sets_the_forms_of_matphase_apart(comparisons, tmp_path):
    extent = comparisons.Extent(minutes=3)
    runs = {run.system: run for run in load(comparisons, "matphase_parts", extent, tmp_path)[1]}
    levels = {name: run.train.matphase.levels for name, run in runs.items()}
    assert levels.pop("without-curriculum") == 1
    assert set(levels.values()) == {4}
    assert {run.train.matphase.ugsm_batch for run in runs.values()} == {8}


def test_what_a_shortened_run_changes_is_only_changed_there(comparisons):
    protocol = importlib.import_module("benchmarks.table1_binary").PROTOCOL
    assert protocol.load(comparisons.Extent(minutes=1))["compare"]["train"]["batch"] == 8
    assert protocol.load(comparisons.Extent())["compare"]["train"]["batch"] == 16
