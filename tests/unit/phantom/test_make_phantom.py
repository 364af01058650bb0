"""The step: what lies on disk afterwards."""

import numpy as np
import pytest

from tomolith.core import PRESETS, ClassSchema
from tomolith.errors import DiskError, RecipeError
from tomolith.phantom import Phantom, PhantomSettings, make_phantom, phantom_ids
from tomolith.store.scan import Scan

SETTINGS = PhantomSettings(preset="tiny", hand_labelled_slices=(5, 40))


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "phantom-0.zarr"
    make_phantom(SETTINGS, path)
    return Scan.open(path)


def test_the_scan_holds_what_the_phantom_renders(scan):
    image, material = Phantom.build(SETTINGS, "phantom-0").render(scan.grid.box)
    assert np.array_equal(scan.image.read(scan.grid.box), image)
    truth = scan.labels("truth")
    assert np.array_equal(truth.read(scan.grid.box), material)  # li-operando numbers them alike
    assert truth.schema == PRESETS["li-operando"]
    assert scan.grid.voxel_size_um == (5.32, 5.32, 5.32)


def test_hand_labels_are_the_truth_on_their_slices_only(scan):
    truth = scan.labels("truth").read(scan.grid.box)
    hand = scan.labels("hand").read(scan.grid.box)
    labelled = (hand != scan.labels("hand").schema.unlabelled).all(axis=(1, 2))
    assert np.flatnonzero(labelled).tolist() == [5, 40]
    assert (hand[~labelled] == 255).all()
    assert np.array_equal(hand[labelled], truth[labelled])


def test_the_scan_says_that_it_is_simulated(scan):
    assert scan.image.provenance.step == "phantom"
    assert "simulated" in scan.image.provenance.inputs[0]
    assert scan.image.provenance.seed == SETTINGS.seed
    assert "simulated" in (scan.path / "zarr.json").read_text()
    assert scan.stats[0].std > 0


def test_labels_follow_the_schema_of_the_study(tmp_path):
    schema = ClassSchema.from_recipe(["dendrite", "electrode", "background"])
    settings = PhantomSettings(preset="tiny", shape_zyx=(4, 64, 64))
    scan = make_phantom(settings, tmp_path / "a.zarr", scan_id="phantom-0", schema=schema)
    truth = scan.labels("truth").read(scan.grid.box)
    _, material = Phantom.build(settings, "phantom-0").render(scan.grid.box)
    assert np.array_equal(truth, 2 - material)


def test_the_name_decides_the_cell_not_the_folder(tmp_path):
    settings = PhantomSettings(preset="tiny", shape_zyx=(2, 64, 64), n_scans=2)
    assert phantom_ids(settings) == ("phantom-0", "phantom-1")
    first, second = (
        make_phantom(settings, tmp_path / f"{name}.zarr").image.read
        for name in phantom_ids(settings)
    )
    again = make_phantom(settings, tmp_path / "b.zarr", scan_id="phantom-1")
    box = again.grid.box
    assert np.array_equal(again.image.read(box), second(box))
    assert not np.array_equal(first(box), second(box))


def test_a_schema_without_the_classes_writes_nothing(tmp_path):
    with pytest.raises(RecipeError, match="li-operando"):
        make_phantom(SETTINGS, tmp_path / "a.zarr", schema=PRESETS["li-binary"])
    assert not (tmp_path / "a.zarr").exists()


def test_a_foreign_folder_is_not_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(DiskError):
        make_phantom(SETTINGS, tmp_path / "a.zarr")
    assert (tmp_path / "a.zarr" / "thesis.txt").read_text() == "do not lose me"
