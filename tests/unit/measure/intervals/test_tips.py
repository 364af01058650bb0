"""Tips of dendrites in held-out slices: what evaluate leaves, and what intervals make of it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.evaluate import EvaluateSettings, Pair, evaluate
from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.intervals.tips import find_tips

SCHEMA = PRESETS["li-operando"]
SHAPE = (12, 40, 30)


def label_map(values: np.ndarray) -> LabelMap:
    return LabelMap(Volume(values, Grid(SHAPE, None)), SCHEMA)


def held_out(
    truth: np.ndarray, prediction: np.ndarray, boxes: list[Box], patch_px: int = 64
) -> HeldOut:
    pair = Pair("a", label_map(prediction), label_map(truth), tuple(boxes), "test", "net")
    settings = EvaluateSettings(metrics=["iou"], patch_px=patch_px)
    return evaluate([pair], settings).held_out[0]


def boxes_of(*zs: int) -> list[Box]:
    return [Box((z, 0, 0), (z + 1, *SHAPE[1:])) for z in zs]


def test_evaluate_leaves_how_far_dendrites_reach() -> None:
    truth, prediction = np.zeros((2, *SHAPE), np.uint8)
    truth[3, 10:30, 4:8] = 2
    prediction[3, 14:31, 4:9] = 2
    prediction[3, 1, 20:25] = 2  # five pixels are noise
    truth[5, 10:12, 4:8] = 2  # eight too
    truth[3, 0] = 255
    (third, fifth) = held_out(truth, prediction, boxes_of(3, 5)).slices
    # of four pixels a row the third row holds the ninth, of five the second
    assert third.reach == ((12, 28, 14, 30), (4, 8, 4, 9))
    assert fifth.reach == ((-1,) * 4,) * 2


def test_tiles_do_not_change_how_far_they_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.choice([0, 2, 255], (2, *SHAPE), p=[0.9, 0.06, 0.04]).astype(np.uint8)
    whole = held_out(truth, prediction, boxes_of(2, 6))
    monkeypatch.setattr("tomolith.measure.evaluate._BLOCK_VOX", 64)
    assert held_out(truth, prediction, boxes_of(2, 6), patch_px=8) == whole


def test_a_schema_without_dendrites_has_no_reach() -> None:
    values = np.zeros(SHAPE, np.uint8)
    labels = LabelMap(Volume(values, Grid(SHAPE, None)), PRESETS["li-binary"])
    pair = Pair("a", labels, labels, tuple(boxes_of(1)), "test", "net")
    (record,) = evaluate([pair], EvaluateSettings(metrics=["iou"])).held_out
    assert record.slices[0].reach == ()
    assert find_tips(record, axis=1, plating_high=True).half_vox is None


def of_units(*reaches: tuple[int, int, int, int], scans: str = "") -> HeldOut:
    """Return one slice per reach along y, far from each other or each of its own scan."""
    names = scans or "a" * len(reaches)
    slices = [
        HeldOutSlice(name, 5 * i, ((50, 2), (4, 6)), reach=(reach, (0, 1, 0, 1)))
        for i, (name, reach) in enumerate(zip(names, reaches, strict=True))
    ]
    return HeldOut("net", "test", ("background", "dendrite"), tuple(slices))


def expected_half(misses: list[float], t: float) -> float:
    n = len(misses)
    return math.hypot(np.mean(misses), t * np.std(misses, ddof=1) * math.sqrt(1 + 1 / n))


def test_the_half_width_is_that_of_one_more_unit() -> None:
    record = of_units((10, 30, 12, 30), (11, 30, 10, 31), (12, 28, 12, 29))
    found = find_tips(record, axis=1, plating_high=True)
    assert found.half_vox == pytest.approx(expected_half([2, -1, 0], 4.3027), rel=1e-4)
    assert "3 held-out slices of 1 scan, which find 60 % of dendrite voxels" in found.words
    # dendrites that grow the other way end at the other end
    low = find_tips(record, axis=1, plating_high=False)
    assert low.half_vox == pytest.approx(expected_half([0, -1, -1], 4.3027), rel=1e-4)


def test_a_missed_dendrite_counts_from_its_foot() -> None:
    none = (-1, -1)
    record = of_units((10, 30, *none), (*none, 20, 30), (10, 30, 10, 30), (*none, *none))
    found = find_tips(record, axis=1, plating_high=True)
    assert found.half_vox == pytest.approx(expected_half([20, -10, 0], 4.3027), rel=1e-4)


def test_from_five_scans_on_scans_are_compared() -> None:
    reaches = [(10, 30, 10, 30)] * 4 + [(10, 30, 14, 30)] + [(8, 30, 9, 30)] * 5
    record = of_units(*reaches, scans="aabbccddee")
    # of b the highest of truth and prediction, and so on; of c slices 4 and 5
    found = find_tips(record, axis=1, plating_high=True)
    assert found.half_vox == pytest.approx(expected_half([0, 0, 1, 1, 1], 2.7764), rel=1e-4)
    assert "10 held-out slices of 5 scans" in found.words


def test_neighbouring_slices_are_one_place() -> None:
    slices = [
        HeldOutSlice("a", z, ((1, 0), (0, 9)), reach=((tip, 30, 10, 30), (0, 1, 0, 1)))
        for z, tip in ((3, 8), (4, 10), (9, 9))
    ]
    record = HeldOut("net", "test", ("background", "dendrite"), tuple(slices))
    found = find_tips(record, axis=1, plating_high=True)
    assert found.half_vox == pytest.approx(expected_half([2, 1], 12.7062), rel=1e-4)


@pytest.mark.parametrize(
    ("record", "axis", "why"),
    [
        (None, 1, "^missed dendrites are not in it$"),
        (of_units((10, 30, 12, 30), (11, 30, 10, 31)), 0, "heights along z do not show in them"),
        (of_units((10, 30, 12, 30)), 1, "60 % of dendrite voxels: too few"),
    ],
)
def test_what_held_out_slices_cannot_tell_is_said(
    record: HeldOut | None, axis: int, why: str
) -> None:
    found = find_tips(record, axis=axis, plating_high=True)
    assert found.half_vox is None
    assert re.search(why, found.words)
