"""Labels as by hand: which slices, which mistakes, how many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tomolith.core import PRESETS, Box, ClassSchema
from tomolith.errors import InputError, MismatchError
from tomolith.phantom.hand import HandSlices, hand_label
from tomolith.phantom.noise import make_key

SCHEMA = PRESETS["li-operando"]
BACKGROUND, ELECTRODE, DENDRITE, PIT = (
    SCHEMA[name].value for name in ("background", "electrode", "dendrite", "pit")
)
EIGHT = np.ones((3, 3))


def cell_slice(shape: tuple[int, int] = (160, 400)) -> np.ndarray:
    """Two electrodes, 20 separate bars of dendrite between them, and 10 pits in the upper one."""
    truth = np.full(shape, BACKGROUND, np.uint8)
    truth[:40], truth[120:] = ELECTRODE, ELECTRODE
    for i in range(20):
        truth[60 : 90 + i, 20 * i + 5 : 20 * i + 10] = DENDRITE
    for i in range(10):
        truth[25:40, 40 * i + 10 : 40 * i + 22] = PIT
    return truth


def zone_of(truth: np.ndarray) -> np.ndarray:
    """Say again, in another way, where people go wrong: thin, or another class within 2 px."""
    near = truth == DENDRITE
    for value in np.unique(truth):
        near |= (truth == value) & (ndimage.distance_transform_edt(truth == value) <= 2)
    return near


def labelled(truth: np.ndarray, rate: float, key: int, schema: ClassSchema = SCHEMA) -> np.ndarray:
    return hand_label(truth, schema, mistake_rate=rate, key=make_key("test", key))


def test_without_mistakes_the_truth_comes_back_as_a_copy() -> None:
    truth = cell_slice()
    found = labelled(truth, 0.0, 1)
    assert np.array_equal(found, truth)
    assert not np.shares_memory(found, truth)


def test_the_key_decides_every_mistake() -> None:
    truth = cell_slice()
    before = truth.copy()
    first, again, other = (labelled(truth, 0.2, key) for key in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(truth, before)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.25, 0.4])
def test_the_share_of_wrong_pixels_in_the_zone_is_the_rate(rate: float) -> None:
    truth, zone = cell_slice(), zone_of(cell_slice())
    shares = [(labelled(truth, rate, key) != truth)[zone].mean() for key in range(40)]
    assert np.mean(shares) == pytest.approx(rate, rel=0.05)
    assert np.std(shares) < 0.25 * rate + 0.01


def test_outside_the_zone_only_confused_pieces_are_wrong() -> None:
    truth, zone = cell_slice(), zone_of(cell_slice())
    for key in range(20):
        found = labelled(truth, 0.3, key)
        wrong = (found != truth) & ~zone
        assert (truth[wrong] == PIT).all()
        assert (found[wrong] == DENDRITE).all()


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_that_share_of_branches_is_missed_or_confused(rate: float) -> None:
    truth = cell_slice()
    n_missed = n_confused = 0
    for key in range(60):
        cores = labelled(truth, rate, key)[75, 7::20]  # more than 2 px from any border
        n_missed += np.count_nonzero(cores == BACKGROUND)
        n_confused += np.count_nonzero(cores == PIT)
    assert (n_missed + n_confused) / (60 * 20) == pytest.approx(rate, abs=0.03)
    assert 0.1 < n_confused / (n_missed + n_confused) < 0.3


def test_a_few_pits_are_taken_for_dendrites() -> None:
    cores = [labelled(cell_slice(), 0.4, key)[32, 15::40] for key in range(60)]
    assert np.mean(np.array(cores) == DENDRITE) == pytest.approx(0.2 * 0.4, abs=0.03)


def test_without_pits_in_the_schema_nothing_is_confused() -> None:
    schema = ClassSchema.from_recipe(["background", "electrode", "dendrite"])
    truth = np.where(cell_slice() == PIT, ELECTRODE, cell_slice()).astype(np.uint8)
    for key in range(10):
        found = labelled(truth, 0.4, key, schema)
        assert set(np.unique(found)) <= {BACKGROUND, ELECTRODE, DENDRITE}
        assert not (found[62:88] == ELECTRODE).any()


def test_a_branch_is_missed_and_the_tree_stays() -> None:
    truth = np.zeros((120, 120), np.uint8)
    truth[60:, 57:63] = DENDRITE  # a trunk that forks into two arms
    for step in range(50):
        for side in (-1, 1):
            column = 60 + side * step
            truth[57 - step : 63 - step, column - 3 : column + 3] = DENDRITE
    states = set()
    for key in range(30):
        found = labelled(truth, 0.33, key)
        states.add(tuple(found[y, x] == DENDRITE for y, x in ((90, 60), (30, 30), (30, 89))))
    assert {state.count(False) for state in states} >= {0, 1, 2}  # of three branches
    assert len(states) >= 5


def test_borders_move_along_smooth_stretches_to_either_side() -> None:
    truth = np.full((60, 2000), BACKGROUND, np.uint8)
    truth[30:] = ELECTRODE
    found = labelled(truth, 0.2, 3)
    moved = (found == ELECTRODE).sum(axis=0) - 30
    assert set(np.unique(moved)) == {-2, -1, 0, 1, 2}
    assert abs(moved.mean()) < 0.25
    assert np.abs(np.diff(moved)).max() <= 1
    assert np.count_nonzero(np.diff(moved)) < 0.2 * moved.size  # not pixel by pixel
    assert (np.diff(found.astype(int), axis=0) >= 0).all()  # still one border, no specks


def test_a_missed_piece_gets_the_class_around_it() -> None:
    truth = np.full((60, 60), ELECTRODE, np.uint8)
    truth[:20] = BACKGROUND
    truth[35:50, 20:26] = DENDRITE
    cores = {int(labelled(truth, 0.4, key)[42, 23]) for key in range(40)}
    assert cores == {ELECTRODE, DENDRITE, PIT}


@pytest.mark.parametrize("value", [BACKGROUND, DENDRITE])
def test_a_slice_of_one_class_has_no_border_to_miss(value: int) -> None:
    truth = np.full((30, 30), value, np.uint8)
    for key in range(5):
        assert set(np.unique(labelled(truth, 0.3, key))) <= {value, PIT}


def test_another_class_can_be_the_thin_one() -> None:
    schema = PRESETS["li-binary"]
    truth = (cell_slice() == DENDRITE).astype(np.uint8)
    found = hand_label(truth, schema, mistake_rate=0.3, key=5, thin_class="lithium")
    cores = found[75, 7::20]
    assert 1 <= np.count_nonzero(cores == schema["background"].value) <= 12


def test_bad_input_is_refused() -> None:
    truth = cell_slice()
    for rate in (-0.1, 0.5, float("nan")):
        with pytest.raises(InputError, match="mistake rate"):
            labelled(truth, rate, 1)
    with pytest.raises(InputError, match="two axes"):
        labelled(truth[None], 0.1, 1)
    with pytest.raises(InputError, match="no class 'lithium'"):
        hand_label(truth, SCHEMA, mistake_rate=0.1, key=1, thin_class="lithium")
    truth[3, 4] = SCHEMA.unlabelled
    with pytest.raises(MismatchError, match="value 255"):
        labelled(truth, 0.1, 1)


def test_slices_are_spread_over_both_directions() -> None:
    slices = HandSlices.evenly((10, 20, 5), n_cross_section=2, n_in_plane=4)
    assert slices == HandSlices(in_plane=(2, 7, 12, 17), cross_section=(2, 7))
    assert HandSlices.evenly((3, 20, 5), n_cross_section=9, n_in_plane=0) == HandSlices(
        (), (0, 1, 2)
    )
    with pytest.raises(InputError, match="-1 labelled"):
        HandSlices.evenly((3, 3, 3), n_cross_section=-1, n_in_plane=0)
    with pytest.raises(InputError, match="slice -4"):
        HandSlices((-4, 2), ())


def test_the_mask_of_a_part_is_the_part_of_the_mask() -> None:
    slices = HandSlices(in_plane=(1, 6), cross_section=(0, 3, 9))
    whole = slices.mask(Box.whole((5, 8, 4)))
    expected = np.zeros((5, 8, 4), bool)
    expected[[0, 3]] = True
    expected[:, [1, 6]] = True
    assert np.array_equal(whole, expected)
    part = Box((2, 1, 1), (5, 7, 3))
    assert np.array_equal(slices.mask(part), whole[part.slices])
    assert not HandSlices((), ()).mask(part).any()
