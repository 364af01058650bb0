"""Any box of a phantom is the same bytes, whatever the layout."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolith.core import PRESETS, Box, ClassSchema
from tomolith.errors import InputError, RecipeError
from tomolith.phantom import MATERIALS, Cell, Phantom, PhantomSettings, label_values
from tomolith.phantom.phantom import attenuations

PULSES = (0, 1, 6, 12, 13, 18, 24)
TINY = PhantomSettings(preset="tiny")
SERIES = PhantomSettings(preset="tiny", scans=PULSES)
MOVED = PhantomSettings(
    preset="tiny", scans=(0, 18), motion_shift_vox=3.5, motion_rotate_deg=2.0, motion_deform_vox=0.7
)
# the point spread is wide here: the picture is made of samples of two voxels a side
WIDE = {"preset": "tiny", "shape_zyx": (63, 65, 64), "blur_um": 12.0, "scans": (0, 18)}
WIDE_MOVED = {**WIDE, "motion_shift_vox": 3.5, "motion_rotate_deg": 2.0}


def phantom_of(cell, pulse):
    return Phantom.of(cell, f"cell0-t{pulse:02d}", pulse)


def cut_small_tiles(monkeypatch):
    monkeypatch.setattr("tomolith.phantom.scanner._PICTURE_TILE_ZYX", (7, 64, 33))
    monkeypatch.setattr("tomolith.phantom.scanner._LABEL_TILE_ZYX", (9, 64, 31))


@pytest.fixture(scope="module")
def phantom():
    return Phantom.build(TINY, "cell0-t12")


@pytest.fixture(scope="module")
def whole(phantom):
    return phantom.render(phantom.grid.box)


@pytest.fixture(scope="module")
def series():
    """Every scan of a cell, rendered whole."""
    cell = Cell.build(SERIES, 0)
    scans = [phantom_of(cell, pulse) for pulse in PULSES]
    return [(scan, *scan.render(scan.grid.box)) for scan in scans]


@pytest.fixture(scope="module")
def moved():
    scan = Phantom.build(MOVED, "cell0-t18")
    return scan, *scan.render(scan.grid.box)


@pytest.fixture(scope="module", params=[WIDE, WIDE_MOVED], ids=["still", "moved"])
def wide(request):
    scan = Phantom.build(PhantomSettings(**request.param), "cell0-t18")
    assert scan.scanner.step == 2
    return scan, *scan.render(scan.grid.box)


@st.composite
def boxes(draw, side=64):
    start = draw(st.tuples(*[st.integers(0, side - 1)] * 3))
    stop = [draw(st.integers(a + 1, min(a + 30, side))) for a in start]
    return Box(start, (stop[0], stop[1], stop[2]))


@settings(max_examples=60, deadline=None)
@given(box=boxes(), which=st.integers(0, len(PULSES) - 1))
def test_a_box_of_any_pulse_is_a_part_of_the_whole(box, which, series):
    scan, whole_image, whole_material = series[which]
    image, material = scan.render(box)
    assert np.array_equal(image, whole_image[box.slices])
    assert np.array_equal(material, whole_material[box.slices])
    assert np.array_equal(scan.materials(box), material)


@settings(max_examples=30, deadline=None)
@given(box=boxes())
def test_a_box_of_a_moved_scan_is_a_part_of_the_whole(box, moved):
    scan, whole_image, whole_material = moved
    image, material = scan.render(box)
    assert np.array_equal(image, whole_image[box.slices])
    assert np.array_equal(material, whole_material[box.slices])
    assert np.array_equal(scan.materials(box), material)


@settings(max_examples=20, deadline=None)
@given(box=boxes(side=63))
def test_a_box_of_a_widely_blurred_scan_is_a_part_of_the_whole(box, wide):
    scan, whole_image, whole_material = wide
    image, material = scan.render(box)
    assert np.array_equal(image, whole_image[box.slices])
    assert np.array_equal(material, whole_material[box.slices])


@pytest.mark.parametrize("changes", [WIDE, WIDE_MOVED], ids=["still", "moved"])
def test_coarse_samples_of_a_wide_blur_do_not_show(changes, monkeypatch):
    clean = {"noise": 0.0, "dtype": "uint16"}
    scan = Phantom.build(PhantomSettings(**{**changes, **clean}), "cell0-t18")
    box = Box((10, 0, 10), (34, 65, 50))
    coarse = scan.render(box)[0] / 65535
    monkeypatch.setattr("tomolith.phantom.scanner._COARSE_FROM_VOX", 99.0)
    assert scan.scanner.step == 1
    fine = scan.render(box)[0] / 65535
    assert 0 < np.abs(coarse - fine).max() < 0.02
    assert np.sqrt(np.square(coarse - fine).mean()) < (0.5 if scan.motion.is_still else 1) / 255


@settings(max_examples=20, deadline=None)
@given(box=boxes(), which=st.integers(0, len(PULSES) - 1))
def test_attenuation_of_a_box_is_a_part_of_the_whole(box, which, series):
    scan = series[which][0]
    around = Box((0, 0, 0), (box.stop_zyx[0], 64, 64))
    assert np.array_equal(scan.attenuation(box), scan.attenuation(around)[box.slices])


def test_every_pulse_shows_something_else(series):
    for (_, image, material), (_, later_image, later_material) in pairwise(series):
        assert not np.array_equal(material, later_material)
        assert not np.array_equal(image, later_image)


def test_a_pulse_does_not_depend_on_the_other_scans_of_the_series(series, whole):
    scan, image, material = series[PULSES.index(12)]
    assert scan.scan_id == "cell0-t12"
    assert np.array_equal(image, whole[0])
    assert np.array_equal(material, whole[1])


@pytest.mark.parametrize("fixture", ["series", "moved"])
def test_tiles_do_not_show(monkeypatch, request, fixture):
    found = request.getfixturevalue(fixture)
    scan, whole_image, whole_material = found[-1] if fixture == "series" else found
    cut_small_tiles(monkeypatch)
    image, material = scan.render(scan.grid.box)
    assert np.array_equal(image, whole_image)
    assert np.array_equal(material, whole_material)


def test_tiles_do_not_show_under_a_wide_blur(monkeypatch, wide):
    scan, whole_image, whole_material = wide
    cut_small_tiles(monkeypatch)
    image, material = scan.render(scan.grid.box)
    assert np.array_equal(image, whole_image)
    assert np.array_equal(material, whole_material)


def test_the_same_seed_and_name_give_the_same_scan(whole):
    again = Phantom.build(TINY, "cell0-t12")
    image, material = again.render(again.grid.box)
    assert np.array_equal(image, whole[0])
    assert np.array_equal(material, whole[1])


@pytest.mark.parametrize(
    ("changes", "name"), [({"n_cells": 2}, "cell1-t12"), ({"seed": 2}, "cell0-t12")]
)
def test_another_cell_or_seed_gives_another_cell(changes, name, whole):
    other = Phantom.build(TINY.model_copy(update=changes), name)
    image, material = other.render(other.grid.box)
    assert not np.array_equal(image, whole[0])
    assert not np.array_equal(material, whole[1])


@pytest.mark.parametrize("name", ["cell1-t12", "cell0-t00", "a-scan", ""])
def test_a_scan_that_the_settings_do_not_make_is_refused(name):
    with pytest.raises(InputError, match="one of cell0-t12") as error:
        Phantom.build(TINY, name)
    assert f"no scan '{name}'" in str(error.value)
    assert "'n_cells' or 'scans'" in str(error.value)


def test_sixteen_bits_hold_the_same_picture(whole):
    fine = Phantom.build(PhantomSettings(preset="tiny", dtype="uint16"), "cell0-t12")
    image, _ = fine.render(Box((0, 0, 0), (4, 64, 64)))
    assert image.dtype == np.uint16
    assert np.abs(image / 65535 - whole[0][:4] / 255).max() < 0.51 / 255


def test_inverted_turns_the_greys_round(whole):
    turned = Phantom.build(PhantomSettings(preset="tiny", inverted=True), "cell0-t12")
    image, _ = turned.render(Box((0, 0, 0), (4, 64, 64)))
    assert np.abs(image.astype(int) + whole[0][:4] - 255).max() <= 1


@pytest.mark.parametrize("part", ["texture", "drift", "noise", "rings", "fringes", "blur_um"])
def test_each_degradation_changes_the_image_and_not_the_labels(part, whole):
    without = Phantom.build(TINY.model_copy(update={part: 0.0}), "cell0-t12")
    box = Box((0, 0, 0), (8, 64, 64))
    image, material = without.render(box)
    assert not np.array_equal(image, whole[0][:8])
    assert np.array_equal(material, whole[1][:8])


def test_a_perfect_scan_has_one_grey_per_material():
    clean = dict.fromkeys(("texture", "drift", "noise", "rings", "fringes", "blur_um"), 0.0)
    specks = {"n_defects": 0, "n_bubbles": 0}
    settings = TINY.model_copy(update={**clean, **specks, "scans": (18,)})
    phantom = Phantom.build(settings, "cell0-t18")
    image, material = phantom.render(phantom.grid.box)
    contrast = {
        "background": 0,
        "electrode": TINY.electrode_contrast,
        "dendrite": TINY.dendrite_contrast,
        "pit": TINY.pit_contrast,
        "deposited": TINY.deposit_contrast,
        "redeposited": TINY.redeposit_contrast,
    }
    for index, name in enumerate(MATERIALS):
        grey = round(255 * (TINY.polymer_grey - contrast[name]))
        found = image[material == index]
        # thin layers share most of their voxels; what lies deep has one grey
        assert np.abs(found.astype(int) - grey).min() <= 1, name
        if name in ("background", "electrode"):
            assert abs(int(np.median(found)) - grey) <= 1, name


def test_specks_are_seen_and_are_no_label():
    with_specks, without = (
        Phantom.build(TINY.model_copy(update={"n_defects": n, "n_bubbles": 0}), "cell0-t12")
        for n in (6, 0)
    )
    image, material = with_specks.render(with_specks.grid.box)
    clean_image, clean_material = without.render(without.grid.box)
    darker = clean_image.astype(int) - image > 15
    assert 20 < np.count_nonzero(darker) < 0.05 * image.size
    assert (material[darker] == MATERIALS.index("background")).mean() > 0.95
    # places of specks are drawn after the trees: dendrites stay where they are
    assert np.array_equal(material, clean_material)


def test_bubbles_appear_in_time():
    settings = TINY.model_copy(update={"n_defects": 0, "n_bubbles": 8, "scans": (0, 6, 12, 18, 24)})
    cell = Cell.build(settings, 0)
    box = Box((0, 0, 0), settings.shape_zyx)
    fracs = [cell.draw(box, pulse).speck_frac for pulse in settings.scans]
    filled = [0.0 if frac is None else float(frac.sum()) for frac in fracs]
    assert filled == sorted(filled)
    assert filled[0] == 0
    assert filled[-1] > filled[1]


def test_attenuation_is_that_of_each_material():
    settings = TINY.model_copy(update={"scans": (0, 18), "n_defects": 0, "n_bubbles": 0})
    phantom = Phantom.build(settings, "cell0-t18")
    attenuation = phantom.attenuation(phantom.grid.box)
    material = phantom.materials(phantom.grid.box)
    mu = attenuations(settings)
    assert list(mu)[: len(MATERIALS)] == list(MATERIALS)
    for index in (0, 1):
        found = float(np.median(attenuation[material == index]))
        assert found == pytest.approx(mu[MATERIALS[index]], rel=1e-5)
    assert attenuation.min() >= 0
    assert attenuation.max() <= max(mu.values()) * 1.00001


def test_values_come_from_the_schema_by_name():
    schema = ClassSchema.from_recipe(["dendrite", "background", "void", "electrode"])
    # pits are background here, and both deposits count as dendrite
    assert label_values(schema).tolist() == [1, 3, 0, 1, 0, 0]
    assert label_values(PRESETS["li-operando"]).tolist() == [0, 1, 2, 3, 4, 5]


def test_some_materials_may_have_classes_of_their_own():
    schema = ClassSchema.from_recipe(["background", "electrode", "dendrite", "redeposited"])
    assert label_values(schema).tolist() == [0, 1, 2, 0, 2, 3]


def test_a_binary_schema_knows_lithium_only():
    assert label_values(PRESETS["li-binary"]).tolist() == [0, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["background", "electrode"], "leave out dendrite"),
        (["pore", "particle"], "leave out background, electrode, dendrite"),
        (["lithium", "pore"], "leave out background"),
    ],
)
def test_a_schema_that_cannot_name_the_materials_is_refused(names, missing):
    with pytest.raises(RecipeError, match=missing) as error:
        label_values(ClassSchema.from_recipe(names))
    assert "classes: li-operando" in str(error.value)
