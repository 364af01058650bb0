"""Plated Li that is left at full cycle."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tomolith.core import Interval, Measurement, Provenance
from tomolith.measure.left_li import full_cycles, li_left

MADE = Provenance("test")


def volume(part: str, value: float | None, half: float | None = None) -> Measurement:
    interval = None
    if value is not None and half is not None:
        interval = Interval(value - half, value + half, "half-voxel boundary shift")
    return Measurement("li_volume", value, "um3", f"t24/{part}", interval, MADE)


def cell(after_pulse: dict[str, int], directions: list[int]) -> SimpleNamespace:
    pulses, half_cycle = [], 0
    for i, direction in enumerate(directions):
        half_cycle += i > 0 and direction != directions[i - 1]
        pulses.append(SimpleNamespace(number=i + 1, direction=direction, half_cycle=half_cycle))
    scans = [SimpleNamespace(name=name, after_pulse=n) for name, n in after_pulse.items()]
    return SimpleNamespace(steps=SimpleNamespace(pulses=pulses), match=SimpleNamespace(scans=scans))


def test_full_cycle_is_the_end_of_each_discharge():
    cycled = cell({"a": 0, "b": 2, "c": 3, "d": 4, "e": 6, "f": 7}, [1, 1, -1, -1, 1, 1, -1, -1])
    assert full_cycles("abcdef", cycled) == ("d",)
    assert full_cycles("abcdef", cell({"a": 2, "b": 4, "c": 8}, [1, 1, -1, -1] * 2)) == ("b", "c")
    assert full_cycles(["a", "b"], None) == ("b",)
    assert full_cycles(["a"], None) == ()


def test_half_widths_of_the_classes_add_up():
    found = [volume("dendrite", 30.0, 4.0), volume("deposited", 10.0, 3.0), volume("pit", 9.0)]
    rows = {row.region: row for row in li_left(found, ["t24"], provenance=MADE)}
    assert {region: row.value for region, row in rows.items()} == {
        "t24/dendrite": 30.0,
        "t24/deposited": 10.0,
        "t24/all plated Li": 40.0,
    }
    both = rows["t24/all plated Li"].interval
    assert both == Interval(33.0, 47.0, "half-voxel boundary shift")


@pytest.mark.parametrize(
    "found", [[], [volume("pit", 1.0)], [volume("dendrite", None), volume("deposited", 1.0)]]
)
def test_what_was_not_measured_is_not_made_up(found):
    assert li_left(found, ["t24"], provenance=MADE) == []


def test_a_class_that_is_gone_takes_no_interval_away():
    rows = li_left(
        [volume("dendrite", 3.0, 1.0), volume("deposited", 0.0)],
        ["t24"],
        is_known=False,
        provenance=MADE,
    )
    assert rows[-1].interval == Interval(2.0, 4.0, "half-voxel boundary shift")
    assert all("no cycler's file says" in row.method for row in rows)
    gone = li_left([volume("dendrite", 0.0), volume("deposited", 0.0)], ["t24"], provenance=MADE)
    assert (gone[-1].value, gone[-1].interval) == (0.0, None)
    assert gone[0].method == "li_volume at full cycle"


def test_a_class_without_interval_leaves_the_sum_without():
    rows = li_left(
        [volume("dendrite", 3.0, 1.0), volume("deposited", 1.0)], ["t24"], provenance=MADE
    )
    assert rows[-1].interval is None
