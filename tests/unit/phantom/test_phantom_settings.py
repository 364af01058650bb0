"""Settings of the phantom: presets, and cells that cannot be made."""

import pytest

from tomolith.config import parse_settings
from tomolith.errors import RecipeError
from tomolith.phantom import PHANTOM_PRESETS, Cell, PhantomSettings
from tomolith.phantom.hand import HandSlices


@pytest.mark.parametrize("preset", PHANTOM_PRESETS)
def test_every_preset_makes_a_cell(preset):
    assert PhantomSettings(preset=preset).preset == preset


def test_what_is_given_goes_before_the_preset():
    settings = parse_settings(
        PhantomSettings, {"preset": "tiny", "shape_zyx": [32, 64, 40]}, where="recipe.yaml"
    )
    assert settings.shape_zyx == (32, 64, 40)
    assert settings.voxel_size_um == PhantomSettings(preset="tiny").voxel_size_um


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dendrite_height_um": 140}, "dendrite_height_um"),
        ({"dendrite_radius_um": 80, "dendrite_height_um": 100}, "thicker than the electrolyte"),
        ({"shape_zyx": [0, 64, 64]}, "shape_zyx"),
        ({"shape_zyx": [64, 64]}, "shape_zyx"),
        ({"dendrite_contrast": -0.1}, "dendrite_contrast"),
        ({"electrode_contrast": 0.9}, "polymer_grey"),
        ({"voxel_size_um": 0}, "voxel_size_um"),
        ({"voxel_size_um": 1.0}, "y covers 152 µm"),
        ({"roughness_um": 40}, "roughness_um"),
        ({"porosity_frac": 1.5}, "porosity_frac"),
        ({"n_cells": 0}, "n_cells"),
        ({"tilt_deg": 11}, "tilt_deg"),
        ({"motion_deform_vox": 6}, "motion_deform_vox"),
        ({"coulombic_efficiency": 1.01}, "coulombic_efficiency"),
        ({"coulombic_efficiency": 0}, "coulombic_efficiency"),
        ({"hidden_frac": 1}, "hidden_frac"),
        ({"dendrite_share": 1.2}, "dendrite_share"),
        ({"deposit_porosity_frac": 0.95}, "deposit_porosity_frac"),
        ({"deposit_coverage_frac": 1}, "deposit_coverage_frac"),
        ({"void_coverage_frac": 1}, "void_coverage_frac"),
        ({"n_pulses": 0}, "n_pulses"),
        ({"current_density_ma_cm2": 0}, "current_density_ma_cm2"),
        ({"area_cm2": -1}, "area_cm2"),
        ({"scans": []}, "scans"),
        ({"scans": [-1, 0]}, "scans"),
        ({"scans": [0, 25]}, "a scan after pulse 25 in 'scans', but the protocol has 24 pulses"),
        ({"n_pulses": 3, "scans": [7]}, "the protocol has 6 pulses"),
        ({"scans": [6, 0]}, "'scans' must rise"),
        ({"scans": [6, 6]}, "name each scan once"),
        ({"pulse_min": 100}, "strips 145.5 µm of Li from an electrode that holds 100 µm"),
        (
            {"electrode_um": 14, "roughness_um": 1},
            "strips 14.6 µm of Li from an electrode that holds 14 µm",
        ),
        ({"swelling_um": 90}, "is 430 µm thick"),
        ({"hand_labelled_planes": [152]}, "slice 152 in 'hand_labelled_planes'"),
        ({"hand_labelled_slices": 0}, "hand_labelled_slices"),
        ({"hand_mistake_rate": 0.41}, "hand_mistake_rate"),
        ({"n_patches": 4, "patch_px": 153}, "patches of 153 pixels ('patch_px') do not fit"),
        ({"n_patches": 0}, "n_patches"),
        ({"projections": {"photons": -1}}, "photons"),
        ({"dtype": "float32"}, "dtype"),
        ({"preset": "huge"}, "preset"),
        ({"hand_labelled_slices": [3, 96]}, "slice 96"),
        ({"n_dendrits": 3}, "did you mean 'n_dendrites'?"),
        ({"noise": float("nan")}, "noise"),
        ({"electrolyte_um": float("inf")}, "electrolyte_um"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(values, words):
    with pytest.raises(RecipeError) as error:
        parse_settings(PhantomSettings, values, where="recipe.yaml: phantom")
    assert words in str(error.value)
    assert "recipe.yaml" in str(error.value)


def test_other_contrasts_may_not_be_blacker_than_black_either():
    for name in ("dendrite", "deposit", "redeposit", "pit"):
        with pytest.raises(RecipeError, match="polymer_grey"):
            parse_settings(PhantomSettings, {f"{name}_contrast": 0.56}, where="recipe.yaml")


@pytest.mark.parametrize(
    "values",
    [{"n_pits": 1}, {"pit_radius_um": 6.0}, {"electrode_um": 20.0, "scans": (0, 12)}],
)
def test_pits_through_the_electrode_are_refused_when_the_cell_is_built(values):
    settings = PhantomSettings(**{"preset": "tiny", "shape_zyx": (64, 64, 64), **values})
    with pytest.raises(RecipeError, match="would go through an electrode of") as error:
        Cell.build(settings, 0)
    assert "lower 'pit_share'" in str(error.value)


def test_scans_are_named_by_cell_and_pulse():
    settings = PhantomSettings(preset="tiny", n_cells=2, scans=(0, 5, 24))
    assert settings.scan_ids == (
        "cell0-t00", "cell0-t05", "cell0-t24", "cell1-t00", "cell1-t05", "cell1-t24",
    )  # fmt: skip
    assert {grid.shape_zyx for grid in settings.grids.values()} == {(64, 64, 64)}
    long = PhantomSettings(preset="tiny", n_pulses=60, pulse_min=2.0, scans=(7, 120))
    assert long.scan_ids == ("cell0-t07", "cell0-t120")


def test_patches_are_one_scan():
    settings = PhantomSettings(preset="binary-128")
    assert settings.scan_ids == ("patches",)
    assert settings.grids["patches"].shape_zyx == (4433, 128, 128)
    assert settings.grids["patches"].sections


def test_the_operando_presets_scan_every_state_of_the_paper():
    for preset, shape in (
        ("operando-256", (256, 300, 256)),
        ("operando-paper", (3896, 698, 1707)),
    ):
        settings = PhantomSettings(preset=preset)
        assert settings.shape_zyx == shape
        assert settings.scans == tuple(range(settings.protocol.n_states))
        assert settings.voxel_size_um == 1.33
    # 12 × 10 min at 1.5 mA/cm² are 3 mAh/cm²
    assert settings.charge_um == pytest.approx(12 * 1.2128, rel=1e-4)


@pytest.mark.parametrize("preset", PHANTOM_PRESETS)
def test_a_scan_is_blurred_by_as_many_voxels_whatever_their_size(preset):
    settings = PhantomSettings(preset=preset)
    assert 1.1 < settings.blur_um / settings.voxel_size_um < 1.35


def test_the_protocol_is_in_seconds():
    protocol = PhantomSettings(pulse_min=5, rest_min=7, area_cm2=2, n_pulses=3, scans=(0,)).protocol
    assert (protocol.pulse_s, protocol.rest_s, protocol.area_cm2) == (300, 420, 2)
    assert protocol.n_pulses == 3


def test_hand_slices_are_spread_or_listed():
    def slices(**values):
        return PhantomSettings(preset="tiny", **values).hand_slices

    assert slices(hand_labelled_slices=2) == HandSlices((), (16, 48))
    assert slices(hand_labelled_slices=(9, 3, 9)) == HandSlices((), (3, 9))
    assert len(slices(hand_labelled_slices=1000).cross_section) == 64
    assert slices(hand_labelled_slices=(7,), hand_labelled_planes=2) == HandSlices((16, 48), (7,))
    assert slices(hand_labelled_slices=1, hand_labelled_planes=(50, 4)) == HandSlices(
        (4, 50), (32,)
    )
    assert slices(hand_labelled_slices=(), hand_labelled_planes=()) == HandSlices((), ())
