from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.errors import RecipeError
from tomolith.label.filters import CleanSettings, clean_labels

NICKEL, CARBON, PORE, NONE = 0, 1, 2, 255
SYMBOLS = {".": NICKEL, "c": CARBON, "o": PORE, "?": NONE}
PAIRS = (("nmc", "carbon-binder"),)


def _map(*slices):
    values = [[[SYMBOLS[s] for s in row] for row in one.split()] for one in slices]
    array = np.array(values, np.uint8)
    return LabelMap(Volume(array, Grid(array.shape, None)), PRESETS["cathode-3phase"])


def _text(labels):
    symbols = {value: symbol for symbol, value in SYMBOLS.items()}
    values = labels.read(labels.grid.box)
    return [" ".join("".join(symbols[v] for v in row) for row in one) for one in values]


def _cleaned(*slices, neighbours=8):
    settings = CleanSettings(pairs=PAIRS, neighbours=neighbours)
    return _text(clean_labels(_map(*slices), settings))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("..... ..c.. .....", "..... ..... ....."),  # carbon inside nickel
        ("ccccc cc.cc ccccc", "ccccc ccccc ccccc"),  # and vice versa
        ("c.... ..... .....", "..... ..... ....."),  # a corner: the neighbours inside count
        ("..... .cc.. .....", "..... .cc.. ....."),  # two are no single pixel
        ("..... ..co. .....", "..... ..co. ....."),  # a third class touches
        ("..?.. ..c.. .....", "..?.. ..c.. ....."),  # unlabelled touches
        ("ooooo oocoo ooooo", "ooooo oocoo ooooo"),  # no pair with pore
        ("c.... .c... ..c..", "c.... .c... ..c.."),  # a line aslant stays
    ],
)
def test_single_pixels_take_the_class_around_them(given, expected):
    assert _cleaned(given) == [expected]


def test_with_four_neighbours_a_line_aslant_goes():
    assert _cleaned("c.... .c... ..c..", neighbours=4) == ["..... ..... ....."]


def test_all_change_at_once():
    # the nickel in the middle and the carbon around it: none is made by another's change
    assert _cleaned("..... .ccc. .c.c. .ccc. .....") == ["..... .ccc. .ccc. .ccc. ....."]


def test_slices_do_not_see_each_other():
    carbon = "ccc ccc ccc"
    assert _cleaned(carbon, "... .c. ...", carbon) == [carbon, "... ... ...", carbon]


def test_any_box_reads_what_the_whole_holds():
    rng = np.random.default_rng(0)
    values = rng.choice([NICKEL, CARBON, PORE], size=(2, 40, 50), p=[0.9, 0.08, 0.02])
    array = values.astype(np.uint8)
    labels = LabelMap(Volume(array, Grid(array.shape, None)), PRESETS["cathode-3phase"])
    cleaned = clean_labels(labels, CleanSettings(pairs=PAIRS))
    whole = cleaned.read(cleaned.grid.box)
    assert 50 < (whole != array).sum() < 320
    for box in (
        Box((0, 0, 0), (1, 7, 9)),
        Box((1, 5, 6), (2, 6, 7)),
        Box((0, 33, 41), (2, 40, 50)),
    ):
        assert np.array_equal(cleaned.read(box), whole[box.slices])


def test_without_pairs_the_labels_are_the_same_object():
    labels = _map("... .c. ...")
    assert clean_labels(labels, CleanSettings()) is labels


def test_a_name_that_is_no_class_is_refused():
    with pytest.raises(RecipeError, match="did you mean 'carbon-binder'"):
        clean_labels(_map("..."), CleanSettings(pairs=[("nmc", "carbonbinder")]))
    with pytest.raises(RecipeError, match="names 'nmc' twice"):
        clean_labels(_map("..."), CleanSettings(pairs=[("nmc", "nmc")]))
