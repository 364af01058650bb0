"""The page of the benchmark ``out_of_distribution`` says what its own table says."""

from pathlib import Path

import pytest
from benchmarks.out_of_distribution import _SHOWN, SAME, losses

PAGE = Path(__file__).resolve().parents[2] / "docs/results/out_of_distribution.md"


def _rows():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[c.strip() for c in line.strip("| ").split("|")] for line in lines if "|" in line]
    header = next(row for row in cells if row[0] == "scan")
    return [dict(zip(header, row, strict=True)) for row in cells if len(row) == len(header)][2:]


@pytest.mark.parametrize("name", _SHOWN)
def test_the_page_ranks_by_the_numbers_of_its_table(name):
    rows = _rows()
    systems = list(dict.fromkeys(row["system"] for row in rows))
    ious = {(row["scan"], row["system"]): float(row[f"IoU of {name}"]) for row in rows}
    assert f"- {losses(f'IoU of {name}', ious, systems)}\n" in PAGE.read_text(encoding="utf-8")


def test_who_finds_nothing_is_left_out_and_the_least_relative_loss_comes_first():
    at_home, away = {"a": 0.8, "b": 0.4, "c": 0.09}, {"a": 0.6, "b": 0.36, "c": 0.09}
    ious = {(SAME, s): v for s, v in at_home.items()} | {("blur", s): v for s, v in away.items()}
    words = losses("IoU of pit", ious, ["a", "b", "c"])
    assert "changed scans: b 10 %, a 25 %. Left out" in words
    assert words.endswith(f"on {SAME}: c 0.090.")
    assert "no system is ranked" in losses("IoU of pit", ious, ["c"])
