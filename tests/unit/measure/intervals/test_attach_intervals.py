"""From sources to the numbers of a scan: which interval each gets, and how several combine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Measurement, Provenance
from tomolith.errors import MismatchError
from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.intervals.attach import attach_intervals
from tomolith.measure.intervals.tips import find_tips
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.tables import measurement_rows
from tomolith.measure.verdict import VerdictSettings, judge
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-operando"]
GRID = Grid((8, 24, 8), (2.0, 1.0, 1.0))
MADE = Provenance("test")
COLUMN = [1] * 5 + [3] * 2 + [0] * 7 + [2] * 3 + [4] * 2 + [1] * 5  # across the cell
TRULY = [1] * 5 + [3] * 2 + [0] * 8 + [2] * 2 + [4] * 2 + [1] * 5


def volume(column: list[int]) -> np.ndarray:
    return np.broadcast_to(np.array(column, np.uint8)[None, :, None], GRID.shape_zyx).copy()


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    scan = Scan.create(tmp_path / "a.zarr", GRID, np.uint8, provenance=MADE)
    for name, column in (("prediction", COLUMN), ("other", TRULY)):
        labels = scan.create_labels(name, SCHEMA, provenance=MADE)
        labels.array[:] = volume(column)
        labels.finish()
    return scan


def numbers(
    scan: Scan, held_out: HeldOut | None = None, **uncertainty: object
) -> dict[str, Measurement]:
    settings = MeasureSettings.model_validate({"uncertainty": uncertainty})
    found = measure(scan.labels("prediction"), settings, region="a")
    attached = attach_intervals(found, scan, "prediction", settings, held_out=held_out)
    assert [replace(m, interval=None) for m in attached] == [
        replace(m, interval=None) for m in found
    ]
    return {f"{m.name} {m.region[2:]}": m for m in attached}


def ends(m: Measurement) -> tuple[float, float]:
    assert m.interval is not None
    return m.interval.low, m.interval.high


def held_out(scans: str = "bcdef", *, names: tuple[str, ...] = SCHEMA.names) -> HeldOut:
    """Return slices in which each third predicted dendrite voxel is background."""
    counts = np.diag([100, 100, 20, 20, 20, 0])
    counts[0, 2] = 10
    order = [SCHEMA.names.index(n) for n in names]
    rows = tuple(tuple(int(counts[i, j]) for j in order) for i in order)
    return HeldOut(
        "net", "test", names, tuple(HeldOutSlice(s, z, rows) for s in scans for z in (1, 5))
    )


def test_half_a_voxel_is_there_without_labels_and_probabilities(scan: Scan) -> None:
    found = numbers(scan)
    area = 8 * 8 * 2.0  # of the plan, µm²
    dendrite = found["volume dendrite"]
    assert dendrite.value == 3 * area
    assert ends(dendrite) == (2 * area, 4 * area)  # two borders of half a voxel of 1 µm
    assert dendrite.interval is not None
    assert dendrite.interval.method == "half-voxel boundary shift"
    assert ends(found["effective_thickness dendrite"]) == (2.0, 4.0)
    assert ends(found["voxel_count dendrite"]) == (128, 256)
    # electrode: 5 voxels, one inner border each side; half of the error of both on either side
    assert ends(found["effective_thickness electrode"]) == (9.0, 11.0)
    assert ends(found["effective_thickness electrode, stripping side"]) == (4.5, 5.5)
    # borders between kinds of Li are none for all of it: one face a side is left
    assert ends(found["effective_thickness plating side, all Li"]) == (9.5, 10.5)
    assert ends(found["li_volume all Li"]) == pytest.approx((14 * area, 16 * area))
    assert ends(found["plan_coverage electrode"])[1] == 1.0
    assert ends(found["gap electrodes"]) == (13.0, 15.0)
    assert ends(found["dead_li_volume dendrite"]) == (0.0, 54.0)  # 27 voxels cannot be told
    assert ends(found["dead_li_volume redeposited"]) == (0.0, 54.0)
    assert ends(found["roughness electrode, plating side"]) == (0.0, 0.5)
    # half a voxel of 1 µm · sum |u| / sum u²: of eight columns 16 / 42, of 2 and of 1 µm
    steepest = np.degrees(np.arctan(0.5 * 16 / 42 * np.hypot(1 / 2, 1)))
    assert ends(found["tilt electrode, plating side"]) == pytest.approx((0.0, steepest))
    assert ends(found["thickness_across_tilt dendrite"]) == pytest.approx((2.0, 4.0))
    assert ends(found["boundary_volume dendrite"]) == pytest.approx((area / 3**0.5, area))
    assert found["void_map_share redeposited"].interval is None  # nor anything it could lie on
    assert found["pit_filling pit"].interval is None  # there is no redeposited Li: nothing to shift
    assert found["unfilled_pits pit"].interval is None  # nor is it certain that there is none


def test_held_out_labels_stand_for_all_errors(scan: Scan) -> None:
    found = numbers(scan, held_out())
    dendrite = found["effective_thickness dendrite"]
    assert ends(dendrite) == pytest.approx((2.0, 2.0))  # a third of three layers is background
    assert dendrite.interval is not None
    assert (
        dendrite.interval.method == "correction by the confusion in 10 held-out slices of 5 scans"
    )
    shuffled = numbers(scan, held_out(names=SCHEMA.names[::-1]))
    assert shuffled["volume dendrite"].interval == found["volume dendrite"].interval


def test_islands_of_redeposited_li_may_be_none(tmp_path: Path) -> None:
    values = volume([1] * 5 + [0] * 14 + [1] * 5)
    values[2:6, 5:7, 2:6], values[2:6, 7:9, 2:6] = 3, 5
    scan = Scan.create(tmp_path / "b.zarr", GRID, np.uint8, provenance=MADE)
    labels = scan.create_labels("prediction", SCHEMA, provenance=MADE)
    labels.array[:] = values
    labels.finish()
    found = numbers(scan)["void_map_share redeposited"]
    assert found.value == 0.25
    # 32 voxels with 64 faces: half a voxel takes all of it, or doubles it
    assert ends(found) == (0.0, 0.5)
    assert found.interval is not None
    assert found.interval.method.endswith("; redeposited Li: half-voxel boundary shift")


def with_tips(record: HeldOut, misses: tuple[int, ...]) -> HeldOut:
    """Return the slices with tips along y that were found too low by so much."""
    slices = (
        replace(s, reach=((12 - miss, 20, 12, 20), (0, 8, 0, 8)))
        for s, miss in zip(record.slices, misses, strict=True)
    )
    return replace(record, slices=tuple(slices))


def test_missed_dendrites_widen_what_is_said_of_tips(scan: Scan) -> None:
    known = numbers(scan)
    assert ends(known["dendrite_height dendrite"]) == (4.0, 6.0)
    assert ends(known["smallest_gap dendrite"]) == (8.0, 10.0)
    near = known["penetration_frac dendrite"]  # 5 of 14 voxels
    assert ends(near) == pytest.approx((5 / 14 - 0.0758, 5 / 14 + 0.0758), abs=1e-3)
    assert near.interval is not None
    assert near.interval.method.endswith("each face; missed dendrites are not in it")
    record = with_tips(held_out(), (3, 0, 0, 0, 1, 0, 0, 0, -2, 0))
    found = numbers(scan, record)
    half = np.hypot(1, find_tips(record, axis=1, plating_high=True).half_vox or 0)
    assert half > 3
    assert ends(found["dendrite_height dendrite"]) == pytest.approx((5 - half, 5 + half))
    assert ends(found["smallest_gap dendrite"]) == pytest.approx((9 - half, 9 + half))
    low, high = ends(found["penetration_frac dendrite"])
    assert (low, high) == pytest.approx((5 / 14 - half / 14, 5 / 14 + half / 14), abs=1e-2)
    rules = VerdictSettings(rules=["dendrite.penetration_frac < 0.5"])
    for numbers_, verdict in ((known, "pass"), (found, "undecided")):
        rows = measurement_rows(list(numbers_.values()), labels="prediction")
        assert judge(rows, rules).verdict == verdict
        (row,) = [r for r in rows if r.quantity == "penetration_frac"]
        assert ("10 held-out slices of 5 scans, which find 100 %" in row.method) == (
            verdict == "undecided"
        )


def test_slices_of_one_scan_are_one_cause_among_others(scan: Scan) -> None:
    found = numbers(scan, held_out("b"))["effective_thickness dendrite"]
    # middle 3 as counted; the correction lies 1 below it, the border shift is 1
    assert ends(found) == pytest.approx((3 - 2**0.5, 3 + 2**0.5))
    assert found.interval is not None
    assert "of one scan" in found.interval.method


def test_an_ensemble_adds_its_spread(scan: Scan) -> None:
    names = ["prediction", "other"]
    found = numbers(scan, sources=["ensemble"], ensemble=names)["effective_thickness dendrite"]
    half = 12.706 * 0.5**0.5 * 1.5**0.5  # 3 and 2 layers: sd 0.707, t of one degree of freedom
    assert ends(found) == pytest.approx((0.0, 3 + np.hypot(half, 0.5)), rel=1e-3)
    assert found.interval is not None
    assert found.interval.method == "spread of 2 trainings"


def test_an_ensemble_tells_of_what_no_rule_does(scan: Scan) -> None:
    for name, n in (("one", 1), ("three", 3)):
        values = volume([v if v != 2 else 0 for v in COLUMN])
        for i in range(n):
            values[1 + 2 * i : 2 + 2 * i, 9:15, :6] = 2
        labels = scan.create_labels(name, SCHEMA, provenance=MADE)
        labels.array[:] = values
        labels.finish()
    found = numbers(scan, ensemble=["one", "three", "prediction"])["dendrite_number dendrite"]
    assert found.value == 1
    half = 4.3027 * np.std([1, 3, 1], ddof=1) * np.sqrt(4 / 3)
    assert ends(found) == pytest.approx((0.0, 5 / 3 + half), rel=1e-4)
    assert found.interval is not None
    assert found.interval.method == "spread of 3 trainings"
    assert numbers(scan)["dendrite_number dendrite"].interval is None


def test_no_source_gives_no_interval(scan: Scan) -> None:
    assert all(m.interval is None for m in numbers(scan, sources=[]).values())


def test_what_needs_not_be_measured_is_counted_for_the_intervals(scan: Scan) -> None:
    settings = MeasureSettings(quantities=["share"])
    found = measure(scan.labels("prediction"), settings, region="a")
    attached = attach_intervals(found, scan, "prediction", settings)
    assert [m.name for m in attached] == ["share"] * 6
    assert ends(attached[2]) == pytest.approx((100 * 2 / 24, 100 * 4 / 24))


def test_probabilities_are_used_where_they_were_predicted(scan: Scan) -> None:
    shares = np.zeros((6, *GRID.shape_zyx), np.uint8)
    labels = volume(COLUMN)
    for value in range(6):
        shares[value][labels == value] = 255
    shares[2, :, 13], shares[0, :, 13] = 102, 153  # one layer of background may be dendrite
    extra = scan.create_extra("probabilities/prediction", SCHEMA.names, np.uint8, provenance=MADE)
    extra.array[:] = shares
    extra.finish()
    found = numbers(scan, sources=["probabilities"])["effective_thickness dendrite"]
    low, high = ends(found)
    assert (low + high) / 2 == pytest.approx(3.0)
    assert 0.4 < high - 3 < 1.5
    assert found.interval is not None
    assert "at their word" in found.interval.method


def test_other_classes_are_refused(scan: Scan) -> None:
    record = HeldOut("net", "test", ("a", "b"), (HeldOutSlice("b", 1, ((1, 0), (0, 1))),) * 2)
    with pytest.raises(MismatchError, match="held-out"):
        numbers(scan, record)
