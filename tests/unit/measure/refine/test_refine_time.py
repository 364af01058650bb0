"""Time consistency: the likeliest history of each place, and what it leaves alone."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from refine_helpers import OPERANDO, STEPS, iou, true_series, with_flips
from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.errors import MismatchError
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.refine.region import Region
from tomolith.measure.refine.settings import RefineSettings, RegionSettings
from tomolith.measure.refine.time_model import (
    label_costs,
    likeliest,
    smooth_labels,
    smooth_probabilities,
    transition_costs,
)
from tomolith.measure.refine.time_series import TimeModel, TimeWork, check_series, find_places

SETTINGS = RefineSettings(time={})
NUMBER = {name: i for i, name in enumerate(OPERANDO.names)}


def history(side: str, steps: list[str], *names: str) -> list[str]:
    model = TimeModel.of(SETTINGS, OPERANDO, steps)
    labels = np.array([[NUMBER.get(name, 6)] for name in names], np.uint8)
    found = smooth_labels(labels, model.table, model.steps[side])
    return [OPERANDO.names[i] if i < 6 else "unlabelled" for i in found[:, 0]]


@pytest.mark.parametrize("side", [STRIPPING, PLATING])
def test_the_cheapest_history_is_that_of_all_histories(side):
    rng = np.random.default_rng(0)
    steps = [
        transition_costs(OPERANDO, side, step, natural=0.9, against=5.3)
        for step in ("charge", "both", "discharge")
    ]
    evidence = rng.exponential(2.0, (4, 40, 6))
    found = likeliest(evidence, steps)
    every = np.array(list(product(range(6), repeat=4)))
    for place in range(40):
        cost = sum(evidence[t, place, every[:, t]] for t in range(4))
        cost = cost + sum(steps[t][every[:, t], every[:, t + 1]] for t in range(3))
        assert found[:, place].tolist() == every[cost.argmin()].tolist()


def test_many_histories_at_once_are_each_worked_out():
    rng = np.random.default_rng(1)
    model = TimeModel.of(SETTINGS, OPERANDO, ["charge"] * 15 + ["discharge"] * 15)
    labels = rng.integers(0, 7, (31, 300)).astype(np.uint8)
    found = smooth_labels(labels, model.table, model.steps[PLATING])
    for i in range(300):
        one = smooth_labels(labels[:, i : i + 1], model.table, model.steps[PLATING])
        assert (one[:, 0] == found[:, i]).all()


@pytest.mark.parametrize(
    ("side", "steps", "given", "expected"),
    [
        # a lone wrong label, in the middle
        (PLATING, "ccc", "b d b b", "b b b b"),
        # growth is kept, also in the last scan
        (PLATING, "ccc", "b b d d", "b b d d"),
        (PLATING, "ccc", "b b b d", "b b b d"),
        # dendrites keep their place while the cell charges
        (PLATING, "cccc", "b d d b d", "b d d d d"),
        # and go when it discharges
        (PLATING, "ccddd", "b d d d b b", "b d d d b b"),
        # pits only grow while the cell charges, and an electrode does not come back
        (STRIPPING, "cccc", "e p p e p", "e p p p p"),
        (STRIPPING, "cccc", "e e p e e", "e e e e e"),
        # they are filled when it discharges
        (STRIPPING, "cdd", "e p r r", "e p r r"),
        # Li under the name of the other side is no less Li
        (PLATING, "ccd", "b r r b", "b r r b"),
        (STRIPPING, "cdd", "e p o o", "e p o o"),
        (STRIPPING, "cddd", "e p r o r", "e p r r r"),
        # what bears no label speaks for nothing
        (STRIPPING, "ccc", "e ? e p", "e e e p"),
    ],
)
def test_histories_follow_the_physics(side, steps, given, expected):
    names = {"b": "background", "d": "dendrite", "e": "electrode", "p": "pit", "r": "redeposited"}
    names["o"] = "deposited"
    kinds = ["charge" if c == "c" else "discharge" for c in steps]
    found = history(side, kinds, *(names.get(c, "?") for c in given.split()))
    assert found == [names[c] for c in expected.split()]


def test_over_half_cycle_both_may_have_happened():
    costs = transition_costs(OPERANDO, STRIPPING, "both", natural=1.0, against=6.0)
    assert costs[NUMBER["electrode"], NUMBER["redeposited"]] == 2.0
    assert costs[NUMBER["redeposited"], NUMBER["electrode"]] == 6.0


def test_sure_labels_are_kept_and_unsure_ones_bend():
    for share, expected in ((0.999, "dendrite"), (0.4, "background")):
        table = label_costs(6, share)
        steps = TimeModel.of(SETTINGS, OPERANDO, ["charge", "charge"]).steps[PLATING]
        labels = np.array([[0], [2], [0]], np.uint8)
        assert OPERANDO.names[smooth_labels(labels, table, steps)[1, 0]] == expected


def test_probabilities_say_how_sure_a_label_is():
    steps = TimeModel.of(SETTINGS, OPERANDO, ["charge", "charge"]).steps[PLATING]
    labels = np.array([[0, 0], [0, 0], [2, 2]], np.uint8)
    shares = np.zeros((3, 6, 2), np.uint8)
    shares[:2, 0] = 255
    shares[2, :, 0] = [0, 0, 255, 0, 0, 0]
    shares[2, :, 1] = [100, 0, 155, 0, 0, 0]
    assert smooth_probabilities(labels, shares, steps)[2].tolist() == [2, 0]


def maps_of(series, size_um=5.32, schema=OPERANDO) -> list[LabelMap]:
    sizes = (size_um,) * 3
    return [LabelMap(Volume(v, Grid(v.shape, sizes)), schema) for v in series]


def smooth(series, block, *, follow=True, region=None, settings=SETTINGS) -> list[np.ndarray]:
    maps = maps_of(series)
    places = find_places(maps, settings, follow=follow, block_zyx=(64, 64, 64))
    model = TimeModel.of(settings, OPERANDO, STEPS[: len(maps) - 1])
    work = TimeWork(maps, model, places, region=region)
    out = [np.empty_like(v) for v in series]
    for box in maps[0].grid.box.tiles(block):
        for one, found in zip(out, work(box)[0], strict=True):
            one[box.slices] = found
    return out


def test_the_shift_is_that_of_the_swelling():
    places = find_places(maps_of(true_series()), SETTINGS, follow=True, block_zyx=(64, 64, 64))
    assert [place.shift for place in places] == [0, 2, 4, 5, 7, 7, 7, 7, 7]


def test_noise_on_a_series_goes_and_true_labels_stay():
    true = true_series()
    clean = smooth(true, (64, 64, 64))
    wrong = np.mean([c != t for c, t in zip(clean, true, strict=True)])
    assert wrong < 0.0005
    noisy = [with_flips(labels, 0.06, seed) for seed, labels in enumerate(true)]
    found = smooth(noisy, (64, 64, 64))
    both = np.stack(noisy), np.stack(true), np.stack(found)
    for name, least in (("dendrite", 0.85), ("pit", 0.87), ("deposited", 0.87)):
        before = iou(both[0], both[1], NUMBER[name])
        after = iou(both[2], both[1], NUMBER[name])
        assert before < 0.6 and after > least
    # without following the swelling most dendrites are lost from scan to scan
    still = np.stack(smooth(noisy, (64, 64, 64), follow=False))
    assert iou(still, both[1], NUMBER["dendrite"]) < iou(both[2], both[1], NUMBER["dendrite"]) - 0.1


@pytest.mark.parametrize("block", [(7, 64, 64), (64, 9, 64), (30, 33, 17)])
def test_histories_do_not_depend_on_the_blocks(block):
    noisy = [with_flips(labels, 0.06, seed) for seed, labels in enumerate(true_series()[2:6])]
    expected = smooth(noisy, (64, 64, 64))
    for found, one in zip(smooth(noisy, block), expected, strict=True):
        assert (found == one).all()


def test_what_is_cut_away_or_bears_no_label_stays_so():
    noisy = [with_flips(labels, 0.06, seed) for seed, labels in enumerate(true_series()[:3])]
    noisy[1][5:9] = OPERANDO.unlabelled
    region = Region(RegionSettings(x=(10, 50)), Grid((64, 64, 64), None), OPERANDO)
    found = smooth(noisy, (20, 64, 64), region=region)
    for i, labels in enumerate(found):
        empty = labels == OPERANDO.unlabelled
        assert empty[:, :, :10].all() and empty[:, :, 50:].all()
        assert empty[5:9].all() == (i == 1)
        assert not empty[9:, :, 10:50].any()


def test_scans_of_other_grids_or_classes_are_no_series():
    first, other = maps_of([np.zeros((4, 8, 8), np.uint8)] * 2)
    check_series([first, other], ["a", "b"])
    cases = [
        (maps_of([np.zeros((4, 8, 9), np.uint8)])[0], "shape"),
        (maps_of([np.zeros((4, 8, 8), np.uint8)], 2.0)[0], "voxel size"),
        (maps_of([np.zeros((4, 8, 8), np.uint8)], schema=PRESETS["li-binary"])[0], "classes"),
    ]
    for bad, what in cases:
        with pytest.raises(MismatchError, match=f"'a' and 'b' differ in {what}"):
            check_series([first, bad], ["a", "b"])


def test_the_border_between_the_sides_lies_a_quarter_up_the_gap():
    (place,) = find_places(
        maps_of(true_series((0,))), SETTINGS, follow=True, block_zyx=(64, 64, 64)
    )
    column = place.is_plating(Box((32, 0, 32), (33, 64, 33))).ravel()
    first = int(column.argmax())
    values = true_series((0,))[0][32, :, 32]
    gap = np.flatnonzero(values[:48] != 1)
    inner = gap[gap > 10]
    expected = inner[0] + 0.25 * (inner[-1] + 1 - inner[0])
    assert abs(first - expected) < 2.5
