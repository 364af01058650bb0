"""Any box of a phantom is the same bytes, whatever the layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolith.core import PRESETS, Box, ClassSchema
from tomolith.errors import RecipeError
from tomolith.phantom import MATERIALS, Phantom, PhantomSettings, label_values

TINY = PhantomSettings(preset="tiny")


@pytest.fixture(scope="module")
def phantom():
    return Phantom.build(TINY, "phantom-0")


@pytest.fixture(scope="module")
def whole(phantom):
    return phantom.render(phantom.grid.box)


@st.composite
def boxes(draw):
    start = draw(st.tuples(*[st.integers(0, 63)] * 3))
    stop = [draw(st.integers(a + 1, min(a + 30, 64))) for a in start]
    return Box(start, (stop[0], stop[1], stop[2]))


@settings(max_examples=40, deadline=None)
@given(box=boxes())
def test_a_box_is_a_part_of_the_whole(box, phantom, whole):
    image, material = phantom.render(box)
    assert np.array_equal(image, whole[0][box.slices])
    assert np.array_equal(material, whole[1][box.slices])


def test_tiles_do_not_show(monkeypatch, phantom, whole):
    monkeypatch.setattr("tomolith.phantom.phantom._TILE_ZYX", (7, 64, 33))
    image, material = phantom.render(phantom.grid.box)
    assert np.array_equal(image, whole[0])
    assert np.array_equal(material, whole[1])


def test_the_same_seed_and_name_give_the_same_scan(whole):
    again = Phantom.build(TINY, "phantom-0")
    image, material = again.render(again.grid.box)
    assert np.array_equal(image, whole[0])
    assert np.array_equal(material, whole[1])


@pytest.mark.parametrize(
    ("settings", "name"), [(TINY, "phantom-1"), (TINY.model_copy(update={"seed": 2}), "phantom-0")]
)
def test_another_name_or_seed_gives_another_cell(settings, name, whole):
    other = Phantom.build(settings, name)
    image, material = other.render(other.grid.box)
    assert not np.array_equal(image, whole[0])
    assert not np.array_equal(material, whole[1])


def test_sixteen_bits_hold_the_same_picture(whole):
    fine = Phantom.build(PhantomSettings(preset="tiny", dtype="uint16"), "phantom-0")
    image, _ = fine.render(Box((0, 0, 0), (4, 64, 64)))
    assert image.dtype == np.uint16
    assert np.abs(image / 65535 - whole[0][:4] / 255).max() < 0.51 / 255


def test_inverted_turns_the_greys_round(whole):
    turned = Phantom.build(PhantomSettings(preset="tiny", inverted=True), "phantom-0")
    image, _ = turned.render(Box((0, 0, 0), (4, 64, 64)))
    assert np.abs(image.astype(int) + whole[0][:4] - 255).max() <= 1


@pytest.mark.parametrize("part", ["texture", "drift", "noise", "rings", "fringes", "blur_um"])
def test_each_degradation_changes_the_image_and_not_the_labels(part, whole):
    without = Phantom.build(TINY.model_copy(update={part: 0.0}), "phantom-0")
    box = Box((0, 0, 0), (8, 64, 64))
    image, material = without.render(box)
    assert not np.array_equal(image, whole[0][:8])
    assert np.array_equal(material, whole[1][:8])


def test_a_perfect_scan_has_one_grey_per_material():
    clean = dict.fromkeys(("texture", "drift", "noise", "rings", "fringes", "blur_um"), 0.0)
    phantom = Phantom.build(TINY.model_copy(update={**clean, "n_defects": 0}), "phantom-0")
    image, material = phantom.render(phantom.grid.box)
    contrast = {"background": 0, "electrode": TINY.electrode_contrast,
                "dendrite": TINY.dendrite_contrast}  # fmt: skip
    for index, name in enumerate(MATERIALS):
        grey = round(255 * (TINY.polymer_grey - contrast[name]))
        assert abs(int(np.median(image[material == index])) - grey) <= 1, name


def test_values_come_from_the_schema_by_name():
    schema = ClassSchema.from_recipe(["dendrite", "background", "void", "electrode"])
    assert label_values(schema).tolist() == [1, 3, 0]
    assert label_values(PRESETS["li-operando"]).tolist() == [0, 1, 2]


def test_a_schema_without_dendrites_is_refused():
    with pytest.raises(RecipeError, match="leave out electrode, dendrite"):
        label_values(PRESETS["li-binary"])
