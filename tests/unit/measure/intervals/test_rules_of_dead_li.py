"""The lower end of dead Li leaves out what may be no Li at all."""

import numpy as np
import pytest

from tomolith.core import Interval
from tomolith.measure.held_out import HeldOut, HeldOutSlice
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.made_up import MadeUp
from tomolith.measure.intervals.rules import Scan, of_dead_li
from tomolith.measure.quantities.dead_li import MADE_UP

NAMES = ("background", "dendrite", "deposited", "redeposited")
COUNTED = np.array([900.0, 40.0, 60.0, 0.0])
FOUND = Interval(60.0, 70.0, f"links; {MADE_UP}")
# of 4 + 36 voxels labelled as dendrite, 3 are background and 1 is deposit
COUNTS = ((90, 3, 0, 0), (2, 36, 3, 0), (0, 1, 57, 0), (0, 0, 0, 0))


def record(*counts: tuple[tuple[int, ...], ...]) -> HeldOut:
    slices = tuple(HeldOutSlice("b", 3 * z, rows) for z, rows in enumerate(counts))
    return HeldOut("net", "test", NAMES, slices)


def dead(part: str, held_out: HeldOut | None) -> Interval:
    values = {("voxel_count", name): n for name, n in zip(NAMES, COUNTED, strict=True)}
    made_up = MadeUp.of(held_out)
    scan = Scan(Strata(NAMES, COUNTED), [], values, voxel_um3=2.0, made_up=made_up)
    return of_dead_li(FOUND, part, scan)


def test_what_may_be_wrongly_of_the_class_may_not_be_dead():
    found = dead("dendrite", record(COUNTS))
    assert found.low == pytest.approx(60.0 - 0.1 * 40 * 2.0)
    assert found.high == FOUND.high
    assert found.method == "links; 10 % of the labels may be wrong (1 held-out slice of 1 scan)"


def test_one_kind_of_li_for_another_is_still_li():
    assert dead("all Li", record(COUNTS)).low == pytest.approx(60.0 - 3 / 100 * 100 * 2.0)


def test_it_is_never_below_zero():
    assert dead("dendrite", record(((0, 9, 0, 0), (0, 1, 0, 0), (0,) * 4, (0,) * 4))).low == 0.0


@pytest.mark.parametrize("held_out", [None, record(), record(((9, 0, 0, 0), *[(0,) * 4] * 3))])
def test_without_such_labels_the_method_says_what_it_does_not_know(held_out):
    assert dead("dendrite", held_out) == FOUND
