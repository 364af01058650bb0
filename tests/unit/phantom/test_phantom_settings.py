"""Settings of the phantom: presets, and cells that cannot be made."""

import pytest

from tomolith.config import parse_settings
from tomolith.errors import RecipeError
from tomolith.phantom import PHANTOM_PRESETS, PhantomSettings


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
        ({"voxel_size_um": 1.0}, "y covers 144 µm"),
        ({"roughness_um": 40}, "roughness_um"),
        ({"porosity_frac": 1.5}, "porosity_frac"),
        ({"n_scans": 0}, "n_scans"),
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


def test_hand_slices_are_spread_or_listed():
    assert PhantomSettings(preset="tiny", hand_labelled_slices=2).hand_slices == (16, 48)
    assert PhantomSettings(preset="tiny", hand_labelled_slices=(9, 3, 9)).hand_slices == (3, 9)
    assert len(PhantomSettings(preset="tiny", hand_labelled_slices=1000).hand_slices) == 64
