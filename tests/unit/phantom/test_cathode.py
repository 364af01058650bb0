"""The three-phase cathode: its shares, its bytes, its scan, and cathodes that cannot be made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_multiotsu, threshold_otsu

from tomolith.app.recipe import Recipe
from tomolith.config import parse_settings
from tomolith.core import PRESETS, Box
from tomolith.errors import InputError, RecipeError
from tomolith.phantom import CATHODE_MATERIALS, Cathode, CathodeSettings, PhantomSettings
from tomolith.phantom.settings import by_preset

SMALL = CathodeSettings(
    shape_zyx=(16, 64, 64), particle_um=3.0, n_cathodes=2, hand_labelled_slices=2
)
NMC, BINDER, PORE = range(3)


@pytest.fixture(scope="module")
def cathode():
    return Cathode.build(SMALL, "cathode0")


@pytest.fixture(scope="module")
def whole(cathode):
    return cathode.render(cathode.grid.box)


@st.composite
def boxes(draw):
    start = [draw(st.integers(0, n - 1)) for n in SMALL.shape_zyx]
    stop = [
        draw(st.integers(a + 1, min(a + 24, n)))
        for a, n in zip(start, SMALL.shape_zyx, strict=True)
    ]
    return Box(tuple(start), tuple(stop))


def shares(material):
    return np.bincount(material.ravel(), minlength=3) / material.size


def test_materials_are_in_the_order_of_the_schema():
    schema = PRESETS["cathode-3phase"]
    assert tuple(schema.by_value(i).name for i in range(3)) == CATHODE_MATERIALS


@settings(max_examples=30, deadline=None)
@given(box=boxes())
def test_a_box_is_a_part_of_the_whole(box, cathode, whole):
    image, material = cathode.render(box)
    assert np.array_equal(image, whole[0][box.slices])
    assert np.array_equal(material, whole[1][box.slices])


def test_tiles_do_not_show(monkeypatch, cathode, whole):
    monkeypatch.setattr("tomolith.phantom.scanner._PICTURE_TILE_ZYX", (7, 64, 33))
    monkeypatch.setattr("tomolith.phantom.scanner._LABEL_TILE_ZYX", (9, 64, 31))
    image, material = cathode.render(cathode.grid.box)
    assert np.array_equal(image, whole[0])
    assert np.array_equal(material, whole[1])


def test_the_same_seed_and_name_give_the_same_scan(whole):
    again = Cathode.build(SMALL, "cathode0")
    image, material = again.render(again.grid.box)
    assert np.array_equal(image, whole[0])
    assert np.array_equal(material, whole[1])


@pytest.mark.parametrize(
    ("given", "name"), [(SMALL, "cathode1"), (SMALL.model_copy(update={"seed": 2}), "cathode0")]
)
def test_another_name_or_seed_gives_another_cathode(given, name, whole):
    image, material = Cathode.build(given, name).render(Box.whole(SMALL.shape_zyx))
    assert not np.array_equal(image, whole[0])
    assert (material != whole[1]).mean() > 0.2


@pytest.mark.parametrize(
    ("active", "pore"),
    [(0.6, 0.14), (0.3, 0.5), (0.85, 0.05), (0.5, 0.5), (0.6, 0.0), (0.7, 0.02), (0.01, 0.0)],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_labels_keep_the_shares(active, pore, seed):
    given = SMALL.model_copy(update={"active_frac": active, "pore_frac": pore, "seed": seed})
    cathode = Cathode.build(CathodeSettings(**given.model_dump()), "cathode0")
    _, material = cathode.render(cathode.grid.box)
    assert shares(material) == pytest.approx([active, given.binder_frac, pore], abs=0.01)


@pytest.mark.parametrize("particle_um", [2.0, 6.4])
def test_shares_are_kept_where_the_field_is_sampled(particle_um):
    given = CathodeSettings(shape_zyx=(48, 96, 160), particle_um=particle_um)
    assert 48 * 96 * 160 > 2 * 300_000
    cathode = Cathode.build(given, "cathode0")
    _, material = cathode.render(cathode.grid.box)
    assert shares(material) == pytest.approx([0.6, 0.26, 0.14], abs=0.01)


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 61, 200), (64, 40, 40)])
def test_any_field_that_holds_a_particle_is_filled(shape):
    cathode = Cathode.build(CathodeSettings(shape_zyx=shape, particle_um=4.0), "cathode0")
    _, material = cathode.render(cathode.grid.box)
    assert shares(material) == pytest.approx([0.6, 0.26, 0.14], abs=0.01)


def test_pores_are_connected_and_carbon_binder_coats_the_particles():
    given = CathodeSettings(
        shape_zyx=(32, 96, 96), particle_um=4.0, flawed_frac=0.0, skin_frac=0.01
    )
    cathode = Cathode.build(given, "cathode0")
    _, material = cathode.render(cathode.grid.box)
    names, n = ndimage.label(material == PORE)
    sizes = ndimage.sum_labels(material == PORE, names, np.arange(1, n + 1))
    assert sizes.max() > 0.3 * sizes.sum()
    shell = ndimage.binary_dilation(material == NMC) & (material != NMC)
    free = material != NMC
    assert (material[shell] == BINDER).mean() > 1.15 * (material[free] == BINDER).mean()


def test_flaws_lie_inside_particles():
    def enclosed(flawed_frac):
        given = SMALL.model_copy(update={"flawed_frac": flawed_frac})
        _, material = Cathode.build(given, "cathode0").render(Box.whole(SMALL.shape_zyx))
        around = ndimage.uniform_filter((material == NMC).astype(float), 7)
        return int(((material == PORE) & (around > 0.75)).sum())

    assert enclosed(1.0) > 5 * enclosed(0.0) + 20


@pytest.mark.parametrize(
    "part", ["texture", "drift", "noise", "rings", "fringes", "blur_um", "binder_contrast"]
)
def test_each_degradation_changes_the_image_and_not_the_labels(part, whole):
    without = Cathode.build(SMALL.model_copy(update={part: 0.0}), "cathode0")
    image, material = without.render(Box((0, 0, 0), (4, 64, 64)))
    assert not np.array_equal(image, whole[0][:4])
    assert np.array_equal(material, whole[1][:4])


def test_a_perfect_scan_has_one_grey_per_material():
    clean = dict.fromkeys(("texture", "drift", "noise", "rings", "fringes", "blur_um"), 0.0)
    cathode = Cathode.build(SMALL.model_copy(update=clean), "cathode0")
    image, material = cathode.render(cathode.grid.box)
    greys = [SMALL.active_grey, SMALL.pore_grey + SMALL.binder_contrast, SMALL.pore_grey]
    for index, grey in enumerate(greys):
        assert abs(np.median(image[material == index]) - 255 * grey) <= 1, CATHODE_MATERIALS[index]
    between = ~np.isin(image, [round(255 * grey) for grey in greys])
    assert 0.02 < between.mean() < 0.5  # partial volume at the borders


def test_sixteen_bits_hold_the_same_picture(whole):
    fine = Cathode.build(SMALL.model_copy(update={"dtype": "uint16"}), "cathode0")
    image, _ = fine.render(Box((0, 0, 0), (4, 64, 64)))
    assert image.dtype == np.uint16
    assert np.abs(image / 65535 - whole[0][:4] / 255).max() < 0.51 / 255


def test_inverted_turns_the_greys_round(whole):
    turned = Cathode.build(SMALL.model_copy(update={"inverted": True}), "cathode0")
    image, _ = turned.render(Box((0, 0, 0), (4, 64, 64)))
    assert np.abs(image.astype(int) + whole[0][:4] - 255).max() <= 1


def test_thresholds_find_the_particles_but_not_the_carbon_binder():
    def iou(found, name):
        true = material == name
        return (found & true).sum() / (found | true).sum()

    cathode = Cathode.build(CathodeSettings(), "cathode0")
    image, material = cathode.render(Box((60, 0, 0), (64, 224, 256)))
    assert iou(image > threshold_otsu(image), NMC) > 0.8
    darker, brighter = threshold_multiotsu(image, 3)
    assert iou((image > darker) & (image <= brighter), BINDER) < 0.4
    # and yet there is something to see
    means = [image[material == i].mean() for i in range(3)]
    assert means[NMC] - means[BINDER] > 40
    assert 10 < means[BINDER] - means[PORE] < 40


def test_a_box_of_labels_is_the_same_without_the_image(cathode, whole):
    box = Box((3, 10, 20), (9, 40, 64))
    assert np.array_equal(cathode.materials(box), whole[1][box.slices])


def test_no_pores_means_none_at_all():
    given = CathodeSettings(shape_zyx=(48, 96, 160), particle_um=4.0, pore_frac=0.0)
    _, material = Cathode.build(given, "cathode0").render(Box((0, 0, 0), (48, 96, 64)))
    assert not (material == PORE).any()


def test_a_scan_that_the_settings_do_not_make_is_refused():
    with pytest.raises(InputError, match="no scan 'cathode2'"):
        Cathode.build(SMALL, "cathode2")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"active_frac": 0.7, "pore_frac": 0.4}, "sum to 1.1"),
        ({"active_frac": 0.0}, "active_frac"),
        ({"active_frac": 0.9}, "active_frac"),
        ({"pore_frac": -0.1}, "pore_frac"),
        ({"shape_zyx": [0, 64, 64]}, "shape_zyx"),
        ({"shape_zyx": [64, 64]}, "shape_zyx"),
        ({"voxel_size_um": 0}, "voxel_size_um"),
        ({"voxel_size_um": float("nan")}, "voxel_size_um"),
        ({"particle_um": 23.0}, "larger than the field, 22.4 µm"),
        ({"particle_um": 0.5}, "less than 8 voxels"),
        ({"binder_contrast": 0.6}, "brighter than the active material"),
        ({"dtype": "float32"}, "dtype"),
        ({"particel_um": 3}, "did you mean 'particle_um'?"),
    ],
)
def test_a_cathode_that_cannot_be_is_refused(values, words):
    with pytest.raises(RecipeError) as error:
        parse_settings(CathodeSettings, values, where="recipe.yaml: cathode")
    assert words in str(error.value)
    assert "recipe.yaml" in str(error.value)


def test_the_defaults_are_the_volume_of_the_paper():
    given = CathodeSettings()
    assert given.shape_zyx == (133, 224, 256)
    assert (given.active_frac, round(given.binder_frac, 9), given.pore_frac) == (0.6, 0.26, 0.14)


def test_the_preset_of_a_recipe_decides_what_the_phantom_is():
    assert by_preset({"preset": "cathode-3phase", "seed": 7}) == CathodeSettings(seed=7)
    assert by_preset({"preset": "tiny"}) == PhantomSettings(preset="tiny")
    assert by_preset({}) == PhantomSettings()
    assert by_preset(SMALL) is SMALL


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"preset": "cathode-3phase", "n_pits": 3}, "no 'n_pits', which is of a lithium cell"),
        ({"preset": "cathode-3phase", "scans": [0, 12]}, "no 'scans', which is of a lithium cell"),
        ({"preset": "cathode-3phase", "projections": {}}, "no 'projections'"),
        ({"preset": "tiny", "active_frac": 0.5}, "no 'active_frac', which is of a cathode"),
        ({"n_cathodes": 2}, "'preset: cathode-3phase'"),
        ({"preset": "cathode-3phase", "particel_um": 3}, "did you mean 'particle_um'?"),
        ({"preset": "cathode-3phase", "pore_frac": 0.5}, "sum to 1.1"),
        ({"preset": "cathode-3phase", "hand_labelled_slices": [133]}, "slices 0 to 132"),
        ({"preset": "cathode"}, "cathode-3phase"),
    ],
)
def test_settings_of_the_other_kind_of_phantom_are_refused(values, words):
    with pytest.raises(RecipeError) as error:
        parse_settings(
            Recipe, {"name": "a", "classes": "li-binary", "phantom": values}, where="recipe.yaml"
        )
    assert words in str(error.value)
    assert "recipe.yaml" in str(error.value)


def test_a_cathode_is_no_preset_of_a_cell():
    with pytest.raises(ValueError, match="CathodeSettings"):
        PhantomSettings(preset="cathode-3phase")
