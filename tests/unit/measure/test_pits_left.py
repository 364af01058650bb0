"""How much of the pits of the half cycle is left through the discharge."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tomolith.core import Interval, Measurement, Provenance
from tomolith.measure.pits_left import pits_left

MADE = Provenance("test")


def volumes(values: dict[str, float | None], **shared: float) -> list[Measurement]:
    """Return pit volumes that are off by a tenth, of which ``shared`` is common to all scans."""
    found = []
    for scan, value in values.items():
        interval = None
        if value is not None:
            causes = {cause: (share * value,) for cause, share in shared.items()}
            interval = Interval(0.9 * value, 1.1 * value, "borders", causes)
        found.append(Measurement("volume", value, "um3", f"{scan}/pit", interval, MADE))
    return found


def cycled(after_pulse: dict[str, int], directions: list[int]) -> SimpleNamespace:
    pulses, half_cycle = [], 0
    for i, direction in enumerate(directions):
        half_cycle += i > 0 and direction != directions[i - 1]
        pulses.append(SimpleNamespace(number=i + 1, direction=direction, half_cycle=half_cycle))
    scans = [SimpleNamespace(name=name, after_pulse=n) for name, n in after_pulse.items()]
    return SimpleNamespace(steps=SimpleNamespace(pulses=pulses), match=SimpleNamespace(scans=scans))


def shares(rows: list[Measurement]) -> dict[str, float | None]:
    return {row.region: row.value for row in rows}


def test_each_discharge_is_held_against_the_end_of_its_charge():
    found = volumes({"a": 1.0, "b": 10.0, "c": 12.0, "d": 4.0, "e": 20.0, "f": 5.0})
    cell = cycled({"a": 0, "b": 2, "c": 3, "d": 4, "e": 6, "f": 8}, [1, 1, -1, -1] * 2)
    rows = pits_left(found, "abcdef", cell, provenance=MADE)
    assert shares(rows) == {"b/pit": 1, "c/pit": 1.2, "d/pit": 0.4, "e/pit": 1, "f/pit": 0.25}
    assert "scan 'b', the end of charge" in rows[2].method


def test_without_a_scan_at_half_cycle_the_largest_volume_stands_in():
    found = volumes({"a": 8.0, "b": 6.0, "c": 2.0})
    cell = cycled({"a": 1, "b": 3, "c": 4}, [1, 1, -1, -1])
    rows = pits_left(found, "abc", cell, provenance=MADE)
    assert shares(rows) == {"a/pit": 1.0, "b/pit": 0.75, "c/pit": 0.25}
    assert shares(pits_left(found, "abc", None, provenance=MADE)) == shares(rows)
    assert "scan 'a', the largest" in rows[0].method


@pytest.mark.parametrize(
    "values", [{}, {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 3.0}, {"a": None, "b": 2.0}]
)
def test_without_pits_or_a_later_scan_there_is_no_number(values):
    assert pits_left(volumes(values), "ab", None, provenance=MADE) == []


def test_an_error_that_is_the_same_share_of_both_volumes_cancels():
    values = {"a": 8.0, "b": 4.0}
    apart = pits_left(volumes(values), "ab", None, provenance=MADE)
    alike = pits_left(volumes(values, threshold=0.1), "ab", None, provenance=MADE)
    assert apart[1].interval.half_width == pytest.approx(0.5 * 0.1 * 2**0.5)
    assert alike[1].interval.half_width == pytest.approx(0, abs=1e-8)
    assert (apart[0].interval.low, apart[0].interval.high) == (1.0, 1.0)
    assert apart[1].interval.method == "borders"


def test_pits_that_may_be_none_leave_no_interval():
    found = volumes({"b": 4.0})
    wide = Interval(-1.0, 17.0, "borders")
    found.append(Measurement("volume", 8.0, "um3", "a/pit", wide, MADE))
    rows = pits_left(found, "ab", None, provenance=MADE)
    assert rows[1].value == 0.5
    assert rows[1].interval is None
