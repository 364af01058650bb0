"""Which scans a training learns from, with and without their labels."""

from pathlib import Path

import pytest

from tomolith.app.steps.train import TrainStep, training_examples
from tomolith.app.study import Study
from tomolith.errors import RecipeError, TomolithError
from tomolith.phantom import PhantomSettings, make_phantom

RECIPE = (
    "name: a\nclasses: li-operando\n"
    "phantom: {preset: tiny, shape_zyx: [6, 64, 24], scans: [0, 12], n_pits: 2}\n"
)
SETTINGS = PhantomSettings(preset="tiny", shape_zyx=(6, 64, 24), scans=(0, 12), n_pits=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return the folder of a study with two simulated scans, both labelled."""
    folder = tmp_path_factory.mktemp("study")
    for name in SETTINGS.scan_ids:
        make_phantom(SETTINGS, folder / "scans" / f"{name}.zarr")
    return folder


def _study(root: Path, tmp_path: Path, train: str) -> Study:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{RECIPE}study: {root}\ntrain: {{{train}}}\n", encoding="utf-8")
    return Study.load(path)


def test_all_scans_with_the_labels_are_learnt_from(root, tmp_path):
    examples = training_examples(_study(root, tmp_path, "labels: truth"))
    assert [e.scan_id for e in examples] == ["cell0-t00", "cell0-t12"]


def test_of_unlabelled_scans_only_the_image_is_taken(root, tmp_path):
    study = _study(root, tmp_path, "unlabelled: mean_teacher, unlabelled_scans: [cell0-t12]")
    first, second = training_examples(study)
    assert (first.scan_id, second.scan_id) == ("cell0-t00", "cell0-t12")
    assert (first.read_labels(first.image.grid.box) != 255).all()
    assert (second.read_labels(second.image.grid.box) == 255).all()
    assert second.image.read(second.image.grid.box).std() > 0
    assert any("mean_teacher" in line for line in TrainStep().describe(study))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("unlabelled_scans: [cell0-t12]", "need a method"),
        ("unlabelled: mean_teacher, unlabelled_scans: [cell9]", "cell9"),
    ],
)
def test_what_cannot_be_is_refused(root, tmp_path, train, message):
    with pytest.raises(TomolithError, match=message):
        training_examples(_study(root, tmp_path, train))


def test_a_scan_in_both_lists_is_refused(root, tmp_path):
    both = "scans: [cell0-t12], unlabelled_scans: [cell0-t12], unlabelled: pseudo_labels"
    with pytest.raises(RecipeError, match="stands under"):
        training_examples(_study(root, tmp_path, both))
