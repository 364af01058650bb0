"""What the refinement changed, on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tomolith.report import ReportSettings, write_report

RECIPE = "name: x\nclasses: li-operando\nrefine: {}\n"


def changed(before: str, after: str, voxels: int) -> dict[str, Any]:
    return {"from": before, "to": after, "voxels": voxels}


def refinement(n_scans: int = 2) -> dict[str, Any]:
    split = [changed("deposited", "redeposited", 1200), changed("redeposited", "deposited", 34)]
    scans: dict[str, Any] = {"t00": {"split": [], "min_size": [changed("pit", "electrode", 5)]}}
    scans |= {f"t{i:02}": {"split": split, "min_size": []} for i in range(1, n_scans)}
    left = {"operation": "allowed", "why": "the voxel size is unknown"}
    return {"source": "prediction", "labels": "refined", "left_out": [left], "scans": scans}


def page_of(folder: Path, text: str, recipe: str = RECIPE) -> str:
    (folder / "measurements").mkdir(exist_ok=True)
    (folder / "measurements" / "refine.json").write_text(text)
    (folder / "recipe.yaml").write_text(recipe)
    return write_report(folder, ReportSettings()).read_text(encoding="utf-8")


def tables(page: str) -> list[list[list[str]]]:
    part = page[page.index('<section id="refinement">') : page.index('<section id="volumes">')]
    return [
        [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", t)]
        for t in re.findall(r"<table.*?</table>", part, re.S)
    ]


def test_voxels_stand_there_by_operation_and_by_class(tmp_path: Path) -> None:
    page = page_of(tmp_path, json.dumps(refinement()))
    assert tables(page) == [
        [
            ["scan", "split", "min_size"],
            ["t00", "0", "5"],
            ["t01", "1,234", "0"],
            ["all scans", "1,234", "5"],
        ],
        [["scan", "deposited", "redeposited"], ["t01", "+34 −1,200", "+1,200 −34"]],
        [["scan", "pit", "electrode"], ["t00", "−5", "+5"]],
    ]
    assert "allowed was left out: the voxel size is unknown." in page
    assert '<a href="#refinement">' in page


def test_many_scans_are_folded(tmp_path: Path) -> None:
    few = page_of(tmp_path, json.dumps(refinement()))
    many = page_of(tmp_path, json.dumps(refinement(9)))
    assert "<summary>split:" not in few
    assert "<summary>split:" in many


@pytest.mark.parametrize(
    ("text", "recipe", "word"),
    [
        (json.dumps(refinement()), "name: x\nclasses: li-operando\n", ""),
        ("{", RECIPE, "What the refinement changed is not shown"),
        ("[]", RECIPE, "What the refinement changed is not shown"),
        (json.dumps(refinement()).replace("1200", "null"), RECIPE, "is not shown"),
    ],
)
def test_what_is_left_over_or_damaged_is_not_shown(
    text: str, recipe: str, word: str, tmp_path: Path
) -> None:
    page = page_of(tmp_path, text, recipe)
    assert '<section id="refinement">' not in page
    assert word in page
