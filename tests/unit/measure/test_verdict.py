"""Rules against numbers with error bars: pass, fail, undecided, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tomolith.config import parse_settings
from tomolith.errors import ReadError, RecipeError
from tomolith.measure.rows import QuantityRow
from tomolith.measure.verdict import (
    EXIT_CODES,
    RuleVerdict,
    Verdict,
    VerdictSettings,
    judge,
    read_verdict,
    write_verdict,
)


def row(
    scan: str,
    part: str,
    quantity: str,
    value: float | None,
    interval: tuple[float, float] | None = None,
    unit: str = "um3",
) -> QuantityRow:
    low, high = interval or (None, None)
    return QuantityRow(scan, "truth", part, quantity, value, unit, low, high, "counted", "")


TABLE = (
    row("t0", "dendrite", "volume", 0.0, (0.0, 0.0)),
    row("t1", "dendrite", "volume", 50.0, (40.0, 60.0)),
    row("t2", "dendrite", "volume", 20.0, (15.0, 25.0)),
    row("t0", "dendrite", "penetration", None, unit="1"),
    row("t1", "dendrite", "penetration", 0.4, (0.3, 0.45), unit="1"),
    row("t2", "dendrite", "penetration", 0.2, (0.1, 0.3), unit="1"),
    row("t0", "electrode, plating side", "roughness", 2.0, unit="um"),
    row("t1", "electrode, plating side", "roughness", 3.0, unit="um"),
    row("t2", "electrode, plating side", "roughness", 2.5, unit="um"),
    row("t0", "electrode, stripping side", "roughness", 9.0, unit="um"),
    row("t2", "all Li", "dead_li_volume", 9e6, (8e6, 9.9e6)),
    row("t2", "dendrite", "dead_li_volume", 5e6, (4e6, 6e6)),
    row("t1", "cell", "capacity_ratio", 0.28, (0.22, 0.34), unit="1"),
    row("t1", "cell, stripping side", "capacity_ratio", 0.9, unit="1"),
    row("series", "dendrite", "growth_rate", 1.5, (1.0, 2.0), unit="um"),
)


def one(rule: str) -> RuleVerdict:
    return judge(TABLE, VerdictSettings(rules=(rule,))).rules[0]


@pytest.mark.parametrize(
    ("rule", "verdict", "scan"),
    [
        ("dendrite.volume_um3 < 61", "pass", "t1"),
        ("dendrite.volume_um3 < 60", "undecided", "t1"),  # the high end is not below 60
        ("dendrite.volume_um3 <= 60", "pass", "t1"),
        ("dendrite.volume_um3 < 40", "fail", "t1"),
        ("dendrite.volume_um3 <= 40", "undecided", "t1"),
        ("dendrite.volume_um3 > 14", "fail", "t0"),
        ("dendrite.volume < 26 in the last scan", "pass", "t2"),
        ("dendrite.volume < 1 at t0", "pass", "t0"),
        ("Dendrite.Penetration_frac<0.5", "pass", "t1"),
        ("electrode_plating_side.roughness_um < 2.9", "fail", "t1"),
        ("dead_li.volume_um3 < 1e7", "pass", "t2"),
        ("dendrite.dead_li_volume < 5e6", "undecided", "t2"),
        ("capacity_ratio > 0.3", "undecided", "t1"),
        ("cell_stripping_side.capacity_ratio > 0.3", "pass", "t1"),
        ("growth_rate_um < 3", "pass", "series"),
        ("dendrite.growth_rate > +3.5e0 at series", "fail", "series"),
    ],
)
def test_the_interval_and_the_worst_scan_decide(rule: str, verdict: str, scan: str) -> None:
    found = one(rule)
    assert (found.verdict, found.scan) == (verdict, scan), found.text


def test_a_missing_number_is_undecided_only_where_it_was_asked_for() -> None:
    assert "Not measured in t0" in one("dendrite.penetration < 0.5").text
    every = one("dendrite.penetration < 0.5 in every scan")
    assert (every.verdict, every.scan, every.value) == ("undecided", "t0", None)
    assert one("dendrite.penetration < 0.1 in every scan").verdict == "fail"
    assert one("dendrite.penetration < 0.5 at t0").text == "there is no such number in t0."
    absent = judge([row("t0", "pit", "x", None)], VerdictSettings(rules=("pit.x < 1",)))
    assert absent.verdict == "undecided"


def test_a_number_without_error_bar_decides_and_says_so() -> None:
    found = one("electrode_plating_side.roughness < 4")
    assert found.verdict == "pass"
    assert "no error bar" in found.text
    assert found.low is None
    assert "all of its interval is below 61" in one("dendrite.volume < 61").text


def test_what_the_interval_means_stands_in_the_reason() -> None:
    method = "counted voxels; 95 %: half-voxel boundary shift"
    found = replace(row("t0", "pit", "volume", 5.0, (4.0, 6.0)), method=method)
    for bound, words in (("7", "is below 7"), ("5", "reaches from below to above 5")):
        text = judge([found], VerdictSettings(rules=(f"pit.volume < {bound}",))).rules[0].text
        assert f"its interval (half-voxel boundary shift) {words}" in text


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("dendrit.volume_um3 < 1", "did you mean 'dendrite.volume_um3'?"),
        ("dendrite.thickness < 1", "measured are: dendrite.dead_li_volume_um3, dendrite.growth"),
        ("dendrite.volume_mm3 < 1", "expected: dendrite.volume_um3"),
        ("roughness < 1", "measured are: electrode_plating_side.roughness_um, electrode_str"),
        ("dendrite.volum < 1", "did you mean 'dendrite.volume_um3'?"),
        ("dendrite.volume < 1 at t9", "one of t0, t1, t2, series"),
    ],
)
def test_names_and_units_that_are_not_there_are_refused(rule: str, words: str) -> None:
    with pytest.raises(RecipeError) as error:
        judge(TABLE, VerdictSettings(rules=(rule,)), where="recipe.yaml")
    assert words in str(error.value)
    assert "recipe.yaml" in str(error.value)


def test_a_name_that_could_mean_two_numbers_is_refused() -> None:
    table = [row("t0", "a-b", "x", 1.0), row("t0", "a b", "x", 1.0)]
    with pytest.raises(RecipeError, match=r"could mean a_b\.x_um3 or a_b\.x_um3"):
        judge(table, VerdictSettings(rules=("a_b.x < 2",)))


@pytest.mark.parametrize(
    "rule", ["", "volume", "volume == 3", "volume < many", "volume < 3 um3", "volume < 3 somewhere"]
)
def test_rules_that_cannot_be_read_are_refused_with_the_recipe(rule: str) -> None:
    with pytest.raises(RecipeError, match="'in the last scan'") as error:
        parse_settings(VerdictSettings, {"rules": [rule]}, where="recipe.yaml")
    assert f"the rule '{rule}'" in str(error.value)


def test_no_rule_at_all_is_refused() -> None:
    with pytest.raises(RecipeError, match="'rules' is ") as error:
        parse_settings(VerdictSettings, {"rules": []}, where="recipe.yaml")
    assert error.value.expected == "at least 1 entry"


def test_fail_outweighs_undecided_and_undecided_pass(tmp_path: Path) -> None:
    rules = ("dendrite.volume < 99", "capacity_ratio > 0.3", "dendrite.volume < 1")
    found = [judge(TABLE, VerdictSettings(rules=rules[:n])) for n in (1, 2, 3)]
    assert [v.verdict for v in found] == ["pass", "undecided", "fail"]
    assert [EXIT_CODES[v.verdict] for v in found] == [0, 7, 6]
    assert found[2].summary == "fail: 1 of 3 rules pass, 1 fail, 1 undecided"
    path = tmp_path / "verdict.json"
    write_verdict(found[2], path)
    assert read_verdict(path) == found[2]
    values = json.loads(path.read_text())
    assert (values["verdict"], values["exit_code"]) == ("fail", 6)
    assert values["rules"][1]["low"] == 0.22


@pytest.mark.parametrize("text", ["{", "{}", '{"rules": [{"rule": "x"}]}', "[]"])
def test_a_damaged_verdict_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(ReadError, match="run the step 'verdict' again"):
        read_verdict(tmp_path / "verdict.json")
    assert Verdict(()).verdict == "undecided"
