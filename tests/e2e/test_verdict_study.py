"""The verdict as a script meets it: everything is written, then the exit code tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from tomolith.app.cli import app
from tomolith.errors import RecipeError

RECIPE = {
    "name": "tiny cell",
    "classes": "li-operando",
    "phantom": {"preset": "tiny"},
    "measure": {"labels": "truth", "quantities": ["volume", "plan_coverage"]},
    "verdict": {"rules": ["dendrite.volume_um3 < 1", "dendrite.plan_coverage_frac < 0.99"]},
    "report": {"max_previews": 0},
}


def tomolith(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    done = tomolith("run", folder / "recipe.yaml")
    assert done.exit_code == 6, done.output
    assert "report: " in done.output
    return folder


def test_a_failed_rule_is_no_error_and_everything_is_written(study: Path) -> None:
    verdict = json.loads((study / "verdict.json").read_text())
    assert verdict["verdict"] == "fail"
    assert [r["verdict"] for r in verdict["rules"]] == ["fail", "pass"]
    page = (study / "report" / "index.html").read_text()
    assert page.index('id="verdict"') < page.index('id="slices"')


def test_a_run_with_nothing_to_do_exits_with_the_verdict_that_stands(study: Path) -> None:
    again = tomolith("run", study / "recipe.yaml")
    assert (again.exit_code, again.output.count("up to date")) == (6, 4)
    assert tomolith("run", study / "recipe.yaml", "--until", "measure").exit_code == 0
    assert tomolith("verify", study).exit_code == 0


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("dendrite.volume_um3 > 1", 0),
        ("dendrite.volume_um3 < 1", 6),
        ("redeposited.plan_coverage < 0.5 in every scan", 0),
    ],
)
def test_the_command_alone_exits_with_the_verdict(study: Path, rule: str, code: int) -> None:
    done = tomolith("verdict", study / "recipe.yaml", "--set", f"verdict.rules=['{rule}']")
    assert done.exit_code == code, done.output


def test_a_number_without_a_value_is_undecided(study: Path) -> None:
    changes = ["measure.quantities=[pit_filling, void_depth]", "verdict.rules=['void_depth < 1']"]
    words = [word for change in changes for word in ("--set", change)]
    done = tomolith("run", study / "recipe.yaml", *words)
    assert done.exit_code == 7, done.output
    assert "undecided: 0 of 1 rules pass" in done.output


def test_a_name_that_was_not_measured_is_refused_with_the_nearest(study: Path) -> None:
    rules = "verdict.rules=['dendrite.volum_um3 < 1']"
    words = ("--set", "measure.quantities=[volume]", "--set", rules)
    done = tomolith("run", study / "recipe.yaml", *words)
    assert isinstance(done.exception, RecipeError)
    assert "did you mean 'dendrite.volume_um3'?" in str(done.exception)
    early = tomolith("check", study / "recipe.yaml", *words)
    assert isinstance(early.exception, RecipeError)


def test_mistakes_in_rules_are_found_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    for rule, words in (
        ("dendrite.volum_um3 < 1", "did you mean 'dendrite.volume_um3'?"),
        ("dendrite.volume < 1 at cell0-t13", "did you mean 'cell0-t12'?"),
    ):
        for command in ("check", "run"):
            change = f"verdict.rules=['{rule}']"
            done = tomolith(command, tmp_path / "recipe.yaml", "--set", change)
            assert isinstance(done.exception, RecipeError)
            assert words in str(done.exception)
    assert not (tmp_path / "scans").exists()


def test_a_verdict_without_measurements_is_refused(tmp_path: Path) -> None:
    recipe = {key: RECIPE[key] for key in ("name", "classes", "phantom", "verdict")}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = tomolith("check", tmp_path / "recipe.yaml")
    assert isinstance(done.exception, RecipeError)
    assert "add 'measure:'" in str(done.exception)
