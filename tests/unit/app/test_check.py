"""What ``tomolith check`` foresees: trainings that cannot be, and the disk space."""

import re
from pathlib import Path

import pytest

from tomolith.app.check import check_study
from tomolith.app.run import run_study
from tomolith.app.steps.compare import planned_bytes
from tomolith.app.study import Study
from tomolith.errors import RecipeError, TomolithError

RECIPE = """
name: a
study: out
classes: [background, electrode, dendrite]
phantom: {preset: tiny, scans: [0, 12], shape_zyx: [20, 64, 50]}
"""
COMPARE = """
compare:
  systems: [{name: unet, seeds: [0, 1]}, otsu]
  train: {split: {test: TEST}}
"""
SLICE = 64 * 50


def _study(folder: Path, text: str) -> Study:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return Study.load(path)


@pytest.mark.parametrize(
    ("test", "held"), [("[cell0-t12]", (0, 20)), ("['cell0-t00[3-5]', 'cell0-t12[7]']", (3, 1))]
)
def test_every_run_has_labels_and_networks_have_probabilities(tmp_path, test, held):
    study = _study(tmp_path, RECIPE + COMPARE.replace("TEST", test))
    per_voxel = 2 * (1 + 3) + 1 + (1 + 3)  # two seeds, thresholds, and one that is replaced
    expected = [n * SLICE * per_voxel for n in held]
    assert list(planned_bytes(study).values()) == expected


def test_without_names_the_share_counts(tmp_path):
    text = (RECIPE + COMPARE).replace("{test: TEST}", "{test_frac: 0.25}")
    assert set(planned_bytes(_study(tmp_path, text)).values()) == {5 * SLICE * 13}


def test_the_projection_counts_what_compare_writes(tmp_path):
    text = RECIPE.replace("20, 64, 50", "2000, 640, 500") + COMPARE.replace("TEST", "[cell0-t12]")
    voxels = 2000 * 640 * 500
    expected = 4 / 3 * voxels * (2 * 3 + 13) / 2**30  # two scans: grey, truth, hand; one compared
    assert _gib(_study(tmp_path, text)) == pytest.approx(expected, abs=0.006)


def _gib(study: Study) -> float:
    line = next(line for line in check_study(study) if line.startswith("disk"))
    found = re.search(r"([\d.]+) GiB needed", line)
    assert found
    return float(found[1])


WRONG = {
    "loss: focal_tverski": "unknown loss",
    "loss: {name: weighted_cross_entropy, weights: [1, 5]}": "option 'weights' of loss",
    "patch_px: 60": "patch_px is 60",
    "split: {test: [cell0-t99]}": "'cell0-t99' is no labelled scan",
    "split: {test: ['cell0-t12[30-40]']}": "holds no labelled slice",
    "split: {test: [cell0-t12], validation: [cell0-t00]}": "no slice for training",
    "split: {test: [cell0-t12], validation: ['cell0-t12[3]']}": "both validation and test",
}


@pytest.mark.parametrize(("wrong", "found"), WRONG.items())
@pytest.mark.parametrize("section", ["train", "compare"])
def test_a_training_that_cannot_be_is_refused_before_anything_runs(tmp_path, section, wrong, found):
    given = f"{{systems: [otsu, unet], train: {{{wrong}}}}}"
    text = f"{RECIPE}{section}: {given if section == 'compare' else f'{{{wrong}}}'}\n"
    study = _study(tmp_path, text)
    with pytest.raises(TomolithError, match=re.escape(found)):
        list(check_study(study))
    with pytest.raises(TomolithError, match=re.escape(found)):
        run_study(study, say=lambda line: None)
    assert not study.scans_folder.exists()


WRONG_NETWORKS = {
    "{name: matphase, parts: [ugsm, lcgar]}": "option 'parts' of network 'matphase'",
    "{name: transforcnn, channels: -4}": "channels is -4",
    "{name: resnet18_centre, channels: 0}": "channels is 0",
    "{name: unet_plus_plus, encoder: 3}": "option 'encoder' of network 'unet_plus_plus'",
}


@pytest.mark.parametrize(("wrong", "found"), WRONG_NETWORKS.items())
@pytest.mark.parametrize("section", ["train", "compare"])
def test_a_network_that_cannot_be_built_is_refused(tmp_path, section, wrong, found):
    system = f"{{name: last, method: {wrong}}}"
    given = f"{{network: {wrong}}}" if section == "train" else f"{{systems: [otsu, {system}]}}"
    with pytest.raises(RecipeError, match=re.escape(found)) as caught:
        list(check_study(_study(tmp_path, f"{RECIPE}{section}: {given}\n")))
    assert str(caught.value.where).endswith("train.network")
    assert caught.value.mend


def test_members_that_are_no_list_are_refused(tmp_path):
    text = f"{RECIPE}train: {{network: {{name: ensemble, members: 3}}}}\n"
    with pytest.raises(RecipeError, match="option 'members' of network 'ensemble' is 3"):
        list(check_study(_study(tmp_path, text)))


WRONG_COMPARISONS = {
    "systems: [unet], seeds: [-1]": "'compare.seeds.0' is -1",
    "systems: [unet], seeds: [0, 0, 0]": "'compare.seeds' is [0, 0, 0]",
    "systems: [unet, {name: unet-s0, method: otsu}]": "would both be called 'unet-s0'",
    "systems: [{name: truth, method: unet}]": "is 'truth'",
    "systems: [unet], train: {network: ynet, seed: 7}": "it has 'network'",
    "systems: [unet, {name: mean, method: {name: ensemble, members: 3}}]": "needs 'members'",
}


@pytest.mark.parametrize(("wrong", "found"), WRONG_COMPARISONS.items())
def test_a_comparison_that_contradicts_itself_is_refused(tmp_path, wrong, found):
    with pytest.raises(RecipeError, match=re.escape(found)) as caught:
        _study(tmp_path, f"{RECIPE}compare: {{{wrong}}}\n")
    assert str(caught.value.where).endswith("recipe.yaml")


def test_a_comparison_without_test_slices_is_refused(tmp_path):
    text = (RECIPE + COMPARE).replace("{test: TEST}", "{test_frac: 0}")
    with pytest.raises(TomolithError, match="no slice for the test"):
        list(check_study(_study(tmp_path, text)))


def test_a_study_that_is_done_is_not_checked_anew(tmp_path, monkeypatch):
    study = _study(tmp_path, f"{RECIPE}train: {{loss: focal_tverski}}\n")
    monkeypatch.setattr("tomolith.app.run.is_done", lambda step, study: True)
    monkeypatch.setattr("tomolith.app.run._run_if_needed", lambda step, study, say: None)
    run_study(study, say=lambda line: None)


def test_the_next_thing_is_a_run_until_all_is_done(tmp_path):
    study = _study(tmp_path, RECIPE)
    assert list(check_study(study))[-1] == f"next      tomolith run {study.recipe_path}"
    run_study(study, say=lambda line: None)
    assert list(check_study(study))[-1] == "next      nothing: all is done"
