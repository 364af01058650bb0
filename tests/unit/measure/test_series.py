"""Changes from scan to scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Interval, LabelMap, Measurement, Provenance, Volume
from tomolith.errors import InputError
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.series import series_changes

MADE = Provenance("measure")


def scan(name: str, values: list[int]) -> list[Measurement]:
    column = np.array(values, np.uint8).reshape(1, -1, 1)
    labels = LabelMap(Volume(column, Grid(column.shape, (1.0, 1.0, 1.0))), PRESETS["li-operando"])
    chosen = MeasureSettings(quantities=["li_volume", "gap", "cell_thickness"])
    return measure(labels, chosen, region=name)


FIRST = scan("t0", [0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0])
SECOND = scan("t1", [0, 1, 1, 3, 0, 0, 0, 2, 4, 1, 1, 0])


def test_li_travels_from_side_to_side_and_the_cell_swells() -> None:
    found = series_changes([*FIRST, *SECOND], ["t0", "t1"], provenance=MADE)
    assert {(m.name, m.region): m.value for m in found if m.region.startswith("t1/")} == {
        ("swelling", "t1/gap"): 2.0,
        ("swelling", "t1/cell"): 1.0,
        ("li_change", "t1/all Li, stripping side"): -1.0,
        ("li_change", "t1/all Li, plating side"): 2.0,
        ("li_change", "t1/all Li"): 1.0,
        ("travelling_li", "t1/stripping side"): -1.0,
        ("travelling_li", "t1/plating side"): 2.0,
    }
    assert all(m.value == 0 for m in found if m.region.startswith("t0/"))


def test_what_a_scan_does_not_show_has_no_change() -> None:
    empty = scan("t1", [0] * 12)
    found = series_changes([*FIRST, *empty], ["t0", "t1"], provenance=MADE)
    assert {m.region: m.value for m in found if m.name == "swelling"}["t1/gap"] is None


@pytest.mark.parametrize(
    ("scans", "why"), [(["t0", "t0"], "named twice"), (["t0", "t2"], "'t2' .* not measured")]
)
def test_scans_twice_or_missing_are_refused(scans: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        series_changes([*FIRST, *SECOND], scans, provenance=MADE)


def test_a_change_has_the_intervals_of_both_scans() -> None:
    def with_interval(m: Measurement, half: float) -> Measurement:
        if m.value is None:
            return m
        return replace(m, interval=Interval(m.value + 1 - half, m.value + 1 + half, "x"))

    found = [*(with_interval(m, 3.0) for m in FIRST), *(with_interval(m, 4.0) for m in SECOND)]
    changes = series_changes(found, ["t0", "t1"], provenance=MADE)
    of = {(m.name, m.region): m.interval for m in changes}
    assert of["swelling", "t1/gap"] == Interval(-3.0, 7.0, "x")  # 2 ± hypot(3, 4)
    assert of["travelling_li", "t1/stripping side"] == Interval(-6.0, 4.0, "x")
    itself = of["li_change", "t0/all Li"]
    assert itself is not None
    assert (itself.low, itself.high) == (0.0, 0.0)
    travelled = of["travelling_li", "t0/plating side"]  # the side is its electrode alone
    assert travelled is not None
    assert (travelled.low, travelled.high) == (0.0, 0.0)


def test_li_that_grew_before_the_first_scan_is_not_known_exactly() -> None:
    found = [
        replace(m, interval=Interval(m.value - 1, m.value + 1, "x"))
        for m in SECOND
        if m.name == "li_volume" and m.value is not None
    ]
    changes = series_changes(found, ["t1"], provenance=MADE)
    grown = next(m for m in changes if m.region == "t1/plating side")
    assert grown.value == 2.0
    assert grown.interval is not None
    assert grown.interval.half_width == pytest.approx(2**0.5)
