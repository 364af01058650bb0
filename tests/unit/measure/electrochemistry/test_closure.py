"""A cycler file matched to scans, and charge against Li, on numbers worked out by hand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tomolith.config import parse_settings
from tomolith.core import Interval, Measurement, Provenance, charge_to_volume_um3
from tomolith.errors import InputError, MismatchError, RecipeError
from tomolith.measure.electrochemistry import (
    Analysed,
    CellNumbers,
    CycledCell,
    CyclerSettings,
    close_inventory,
    cycle_cell,
    remove_cycler,
    write_cycler,
)

MADE = Provenance("measure")
SCANS = ("t0", "t1", "t2", "t3", "t4")
AREA_CM2, PULSE_MAH = 0.5, 0.125
STARTED = datetime(2025, 5, 28, 14, 0)


def mpt(path: Path, *, current: str = "I/mA", hours: float = 1.0) -> Path:
    """Write rests of 20 min around two pulses of charge and two of discharge, 10 min each."""
    rows = []
    time_s, charge, sign = 0.0, 0.0, [0, 1, 0, 1, 0, -1, 0, -1, 0]
    for direction in sign:
        for k in range(3):
            step_s = (600.0 if direction else 1200.0) / 2
            rows.append((time_s + k * step_s, 0.75 * direction, charge))
            charge += direction * PULSE_MAH / 2 if k < 2 else 0.0
        time_s += 2 * step_s
    head = ["EC-Lab ASCII FILE", "Nb header lines : 5", ""]
    head += [f"Acquisition started on : {STARTED:%m/%d/%Y %H:%M:%S}.000"]
    head += [f"mode\ttime/s\tEwe/V\t{current}\t(Q-Qo)/mA.h\t"]
    lines = [f"1\t{t / hours:E}\t{0.1 + a / 10:E}\t{a:E}\t{q:E}" for t, a, q in rows]
    path.write_bytes(("\r\n".join(head + lines) + "\r\n").encode("latin-1"))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return mpt(tmp_path / "cell.mpt")


def matched(file: Path, scans: tuple[str, ...] = SCANS, **options: object) -> CycledCell:
    known = options.pop("known_times_s", None)
    values = {"path": str(file), "electrode_area_cm2": AREA_CM2, **options}
    settings = parse_settings(CyclerSettings, values, where="recipe.yaml")
    return cycle_cell(settings, scans, known_times_s=known)


MIDDLES_MIN = dict(zip(SCANS, (10.0, 40.0, 70.0, 100.0, 130.0), strict=True))


def states(cell: CycledCell) -> list[int]:
    return [scan.after_pulse for scan in cell.match.scans]


def test_scans_are_matched_by_whatever_is_known(file: Path) -> None:
    by_order = matched(file)
    assert (by_order.how, states(by_order)) == ("order", [0, 1, 2, 3, 4])
    assert "order" in by_order.notes[-1]
    times_s = {scan: 60 * t for scan, t in MIDDLES_MIN.items()}
    for options in (
        {"scan_times_min": MIDDLES_MIN},
        {"known_times_s": times_s},
        {"scan_stamps": {s: STARTED + timedelta(minutes=t) for s, t in MIDDLES_MIN.items()}},
    ):
        by_time = matched(file, **options)
        assert (by_time.how, states(by_time)) == ("time", [0, 1, 2, 3, 4])
        assert by_time.cycler_time_s("t1") == pytest.approx(2400, abs=1e-6)
    assert matched(file, match="order", known_times_s=times_s).how == "order"


def test_some_scans_of_a_long_test_may_be_named_by_their_pulses(file: Path) -> None:
    cell = matched(file, ("t0", "t3"), after_pulse={"t0": 0, "t3": 3})
    assert (cell.how, states(cell)) == ("given", [0, 3])
    assert cell.current_on_s(3) == pytest.approx(1800)
    assert [p.number for p in cell.pulses_between(*cell.match.scans)] == [1, 2, 3]


def test_a_clock_that_goes_wrong_is_set_right_and_said(file: Path) -> None:
    times = {scan: t - 7.0 for scan, t in MIDDLES_MIN.items()}
    cell = matched(file, scan_times_min={**times, "t0": 0.0}, scan_min=5.0)
    assert states(cell) == [0, 1, 2, 3, 4]
    assert any("ahead of the scanner's" in note for note in cell.notes)
    given = matched(file, scan_times_min=MIDDLES_MIN, clock_offset_s=60.0)
    assert any("given as 60 s" in note for note in given.notes)


@pytest.mark.parametrize(
    ("options", "kind", "why"),
    [
        ({"match": "time"}, InputError, "times of the scans, which are not known"),
        ({"after_pulse": {"t0": 0}}, InputError, "says nothing of t1, t2, t3, t4"),
        ({"scan_times_min": {**MIDDLES_MIN, "x": 1.0}}, InputError, "names x"),
        ({"after_pulse": dict(zip(SCANS, (0, 2, 1, 3, 4), strict=True))}, MismatchError, "rising"),
        ({"after_pulse": dict(zip(SCANS, (0, 1, 2, 3, 5), strict=True))}, MismatchError, "0 to 4"),
        ({"rest_below_ma": 1.0}, InputError, "no pulse"),
        ({"units": {"current": "A"}}, MismatchError, "ratio 1000"),
        ({"units": {"time": "h"}}, MismatchError, "ratio 3600"),
        (
            {"scan_times_min": dict.fromkeys(SCANS, 15.0), "clock_offset_s": 600.0},
            MismatchError,
            "in no rest",
        ),
    ],
)
def test_what_does_not_fit_is_refused(file: Path, options: dict, kind: type, why: str) -> None:
    with pytest.raises(kind, match=why):
        matched(file, **options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"units": {"current": "kA"}}, "unit of the current 'kA'"),
        ({"scan_times_min": {"t0": 1.0}, "after_pulse": {"t0": 0}}, "say the same"),
        ({"match": "order", "scan_times_min": {"t0": 1.0}}, "has no use for 'scan_times_min'"),
        ({"match": "time", "after_pulse": {"t0": 0}}, "has no use for 'after_pulse'"),
        ({"scan_stamps": {"t0": "2025-05-28T14:00:00Z"}}, "timezone"),
        ({"electrode_area_cm2": 0}, "greater than 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    file: Path, options: dict, why: str
) -> None:
    with pytest.raises(RecipeError, match=why):
        matched(file, **options)


def test_wrong_units_in_the_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="mA stand where A is written"):
        matched(mpt(tmp_path / "a.mpt", current="I/A"))
    with pytest.raises(MismatchError, match="h stand where s is written"):
        matched(mpt(tmp_path / "h.mpt", hours=3600.0))


def test_a_missing_rest_is_refused(file: Path) -> None:
    with pytest.raises(MismatchError, match="4 scans, but 5 rests"):
        matched(file, SCANS[:4])


SHARE = 0.1
ANALYSED = dict.fromkeys(SCANS, Analysed(SHARE * AREA_CM2 * 1e8, 0.25, 0.5))
PULSE_UM3 = SHARE * charge_to_volume_um3(PULSE_MAH)


def li(share_seen: float = 0.8, arm: float | None = None) -> list[Measurement]:
    """Return the Li of both sides; what is seen of each pulse, and 0.9 of it where it left."""
    passed = (0, 1, 2, 1, 0)
    found = []
    for scan, n in zip(SCANS, passed, strict=True):
        for side, moved in (("plating side", share_seen * n), ("stripping side", -0.9 * n)):
            change = moved * PULSE_UM3
            volume = 1e9 + change
            for name, part, v in (
                ("li_volume", f"all Li, {side}", volume),
                ("travelling_li", side, change),
            ):
                bounds = None if arm is None else Interval(v - arm, v + 2 * arm, "x")
                found.append(Measurement(name, v, "um3", f"{scan}/{part}", bounds))
    return found


def closed(cell: CycledCell, found: list[Measurement]) -> CellNumbers:
    return close_inventory(cell, found, ANALYSED, provenance=MADE)


def test_the_inventory_closes_as_far_as_li_is_seen(file: Path) -> None:
    numbers = closed(matched(file), li())
    assert numbers.analysed_frac == pytest.approx(SHARE)
    rows = {(m.name, m.region): m.value for m in numbers.measurements}
    for scan in SCANS[1:]:
        assert rows["capacity_ratio", f"{scan}/cell"] == pytest.approx(0.8)
        assert rows["capacity_ratio", f"{scan}/cell, stripping side"] == pytest.approx(0.9)
    assert rows["charge_passed", "t2/cell"] == pytest.approx(2 * SHARE * PULSE_MAH)
    assert rows["expected_li_volume", "t3/cell"] == pytest.approx(PULSE_UM3)
    assert rows["inventory_closure", "t2/cell"] == pytest.approx(-0.4 * PULSE_UM3)
    assert rows["inventory_closure", "t2/cell, stripping side"] == pytest.approx(0.2 * PULSE_UM3)
    assert rows["current_on_time", "t3/cell"] == pytest.approx(30.0)
    assert [rows["pulse", f"{scan}/cell"] for scan in SCANS] == [0, 1, 2, 3, 4]
    assert rows["plating_current_density", "t0/cell"] is None
    assert rows["plating_current_density", "t1/cell"] == pytest.approx(1.5 / 0.25)
    assert rows["plating_current_density", "t3/cell"] == pytest.approx(1.5 / 0.5)


def test_intervals_of_the_volumes_reach_the_ratio(file: Path) -> None:
    arm = 0.1 * PULSE_UM3
    numbers = closed(matched(file), li(arm=arm))
    found = {(m.name, m.region): m.interval for m in numbers.measurements}
    volumes = np.hypot(0.15, 0.15)  # half widths; the middles lie alike, so their shifts cancel
    for region, ratio in (("t1/cell", 0.8), ("t4/cell", 0.8), ("t1/cell, stripping side", 0.9)):
        interval = found["capacity_ratio", region]
        assert interval is not None
        wide = np.hypot(volumes, 0.01 * ratio)  # with that of the charge
        assert (interval.low, interval.high) == pytest.approx((ratio - wide, ratio + wide))
    closure = found["inventory_closure", "t1/cell"]
    assert closure is not None
    half = np.hypot(0.15, 0.01) * PULSE_UM3  # that of the charge of one pulse with it
    middle = -0.15 * PULSE_UM3
    assert (closure.low, closure.high) == pytest.approx((middle - half, middle + half), abs=1)
    assert found["expected_li_volume", "t0/cell"] is found["charge_passed", "t0/cell"] is None
    expected = found["expected_li_volume", "t3/cell"]
    assert expected is not None  # two pulses of charge, one of discharge: 3 % of one
    assert (expected.low, expected.high) == pytest.approx((0.97 * PULSE_UM3, 1.03 * PULSE_UM3))
    charge, mah = found["charge_passed", "t3/cell"], SHARE * PULSE_MAH
    assert charge is not None
    assert (charge.low, charge.high) == pytest.approx((0.97 * mah, 1.03 * mah))


def test_the_method_says_how_each_side_is_held_against_the_charge(file: Path) -> None:
    method = {(m.name, m.region): m.method for m in closed(matched(file), li()).measurements}
    parts = "t1/cell", "t1/cell, stripping side"
    plating, stripping = (method["inventory_closure", part] for part in parts)
    assert plating == "travelling Li of the plating side less expected_li_volume"
    assert stripping == "travelling Li of the stripping side plus expected_li_volume"
    assert method["plating_current_density", "t3/cell"].endswith("the area under redeposited Li")
    assert method["pulse", "t1/cell"] == "matched by order"
    given = closed(matched(file, after_pulse={s: n for n, s in enumerate(SCANS)}), li())
    assert given.measurements[0].method == "matched by 'after_pulse'"


def test_the_covered_area_reaches_the_current_density(file: Path) -> None:
    plated, regrown = Interval(0.2, 0.5, "x"), Interval(0.0, 0.6, "x")
    area = SHARE * AREA_CM2 * 1e8
    analysed = dict.fromkeys(SCANS, Analysed(area, 0.25, 0.5, plated, regrown))
    numbers = close_inventory(matched(file), li(), analysed, provenance=MADE)
    found = {m.region: m for m in numbers.measurements if m.name == "plating_current_density"}
    interval = found["t1/cell"].interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((1.5 / 0.5, 1.5 / 0.2))
    assert interval.method == "covered area: x"
    assert found["t1/cell"].value == pytest.approx(1.5 / 0.25)
    assert found["t3/cell"].value and found["t3/cell"].interval is None  # perhaps nothing covered


def test_scans_without_charge_between_have_no_ratio_and_it_says_so(file: Path) -> None:
    cell = matched(file, ("t1", "t3"), after_pulse={"t1": 1, "t3": 3})
    numbers = closed(cell, li())
    (ratio,) = [m for m in numbers.measurements if m.region == "t3/cell" and "ratio" in m.name]
    assert ratio.value is None and "no charge passed on balance" in ratio.method
    assert any("no capacity ratio" in note for note in numbers.notes)


def test_without_li_volumes_the_charge_is_still_told(file: Path) -> None:
    numbers = closed(matched(file), [])
    assert {m.name for m in numbers.measurements} == {
        "pulse",
        "current_on_time",
        "charge_passed",
        "expected_li_volume",
        "plating_current_density",
    }
    assert any("'li_volume' was not measured" in note for note in numbers.notes)


def test_labels_that_cover_another_area_are_told(file: Path) -> None:
    analysed = {**ANALYSED, "t3": Analysed(1.0, 0.1, 0.1)}
    numbers = close_inventory(matched(file), li(), analysed, provenance=MADE)
    assert any(note.startswith("the labels of t3 cover") for note in numbers.notes)


def test_an_area_beyond_the_electrode_is_refused(file: Path) -> None:
    analysed = dict.fromkeys(SCANS, Analysed(0.6e8))
    with pytest.raises(InputError, match=r"the analysed area is 0\.6"):
        close_inventory(matched(file), li(), analysed, provenance=MADE)


def test_files_hold_what_the_documentation_says(file: Path, tmp_path: Path) -> None:
    cell = matched(file, scan_times_min=MIDDLES_MIN)
    write_cycler(cell, closed(cell, li(arm=1.0)), tmp_path)
    text = (Path(__file__).parents[4] / "docs/reference/files.md").read_text(encoding="utf-8")
    told = text.partition("## cycler.json")[2].partition("## Columns of `voltage`")
    found = json.loads((tmp_path / "cycler.json").read_text())
    for key in [*found, *(k for part in ("pulses", "scans", "ratios") for k in found[part][0])]:
        assert f"`{key}`" in told[0], key
    assert found["match"] == "time" and len(found["sha256"]) == 16
    assert found["clock_offset"]["low_s"] <= 0 <= found["clock_offset"]["high_s"]
    assert found["pulses"][3]["charge_mah"] == pytest.approx(-PULSE_MAH)
    assert found["scans"][1]["plating_um3"][0] == pytest.approx(0.8 * PULSE_UM3)
    voltage = pd.read_parquet(tmp_path / "voltage.parquet")
    for column in voltage.columns:
        assert f"`{column}`" in told[2], column
    assert voltage["current_on_min"].iloc[-1] == pytest.approx(40.0)
    assert (voltage["lowest_v"] <= voltage["voltage_v"]).all()
    remove_cycler(tmp_path)
    assert not list(tmp_path.glob("*.json")) and not list(tmp_path.glob("*.parquet"))
