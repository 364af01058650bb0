"""A cathode on disk: its scans, its labels, its true numbers, and the command."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tomolith.app.cli import app
from tomolith.core import PRESETS, ClassSchema
from tomolith.errors import RecipeError
from tomolith.phantom import (
    CATHODE_MATERIALS,
    Cathode,
    CathodeSettings,
    PhantomSettings,
    make_phantom,
    simulate_series,
)
from tomolith.store.scan import Scan

SCHEMA = PRESETS["cathode-3phase"]
SETTINGS = CathodeSettings(
    shape_zyx=(16, 64, 64), particle_um=3.0, n_cathodes=2, hand_labelled_slices=(4, 9)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    scans = simulate_series(SETTINGS, folder / "scans", folder / "phantom")
    assert [scan.id for scan in scans] == ["cathode0", "cathode1"]
    return folder


def test_every_scan_holds_what_its_cathode_renders(folder):
    for scan_id in SETTINGS.scan_ids:
        scan = Scan.open(folder / "scans" / f"{scan_id}.zarr")
        image, material = Cathode.build(SETTINGS, scan_id).render(scan.grid.box)
        assert scan.label_names() == ("truth", "hand")
        assert scan.labels("truth").schema == SCHEMA
        assert np.array_equal(scan.image.read(scan.grid.box), image)
        assert np.array_equal(scan.labels("truth").read(scan.grid.box), material)
        assert scan.grid.voxel_size_um == (0.1, 0.1, 0.1)
        assert "simulated" in scan.image.provenance.inputs[0]


def test_hand_labels_are_the_truth_on_their_slices_only(folder):
    scan = Scan.open(folder / "scans" / "cathode0.zarr")
    truth, hand = (scan.labels(name).read(scan.grid.box) for name in ("truth", "hand"))
    labelled = (hand != SCHEMA.unlabelled).any(axis=(1, 2))
    assert np.flatnonzero(labelled).tolist() == [4, 9]
    assert np.array_equal(hand[labelled], truth[labelled])


def test_people_miss_pores(tmp_path):
    given = SETTINGS.model_copy(update={"hand_mistake_rate": 0.2})
    scan = make_phantom(given, tmp_path / "cathode0.zarr")
    truth, hand = (scan.labels(name).read(scan.grid.box)[4] for name in ("truth", "hand"))
    pore = SCHEMA["pore"].value
    wrong = hand != truth
    assert 0.02 < wrong.mean() < 0.2
    assert (wrong & (truth == pore)).sum() / (truth == pore).sum() > 0.1


def test_people_miss_lithium_where_it_is_one_class(tmp_path):
    given = PhantomSettings(preset="tiny", shape_zyx=(6, 64, 64), hand_mistake_rate=0.2)
    scan = make_phantom(given, tmp_path / "cell0-t12.zarr", schema=PRESETS["li-binary"])
    truth, hand = (scan.labels(name).read(scan.grid.box) for name in ("truth", "hand"))
    labelled = hand != PRESETS["li-binary"].unlabelled
    assert (hand != truth)[labelled].any()


def test_the_true_numbers_are_those_of_the_labels(folder):
    table = pd.read_parquet(folder / "phantom" / "truth.parquet")
    assert sorted(path.name for path in (folder / "phantom").iterdir()) == [
        "truth.csv",
        "truth.parquet",
    ]
    values = table.set_index(["scan", "quantity", "region"])["value"]
    assert len(values) == 2 * 3 * len(CATHODE_MATERIALS)
    for scan_id in SETTINGS.scan_ids:
        scan = Scan.open(folder / "scans" / f"{scan_id}.zarr")
        labels = scan.labels("truth").read(scan.grid.box)
        for c in SCHEMA.classes:
            count = (labels == c.value).sum()
            assert values[scan_id, "voxel_count", c.name] == count
            assert values[scan_id, "volume", c.name] == pytest.approx(count * 1e-3)
            share = values[scan_id, "volume_percent", c.name]
            assert share == pytest.approx(100 * count / labels.size)


def test_labels_follow_the_schema_of_the_study(tmp_path, folder):
    schema = ClassSchema.from_recipe(["pore", "nmc", "carbon-binder", "crack"])
    scan = make_phantom(SETTINGS, tmp_path / "cathode0.zarr", schema=schema)
    labels = scan.labels("truth").read(scan.grid.box)
    usual = Scan.open(folder / "scans" / "cathode0.zarr").labels("truth").read(scan.grid.box)
    assert np.array_equal(labels, np.array([1, 2, 0])[usual])


def test_a_schema_without_the_classes_writes_nothing_at_all(tmp_path):
    with pytest.raises(RecipeError, match="classes: cathode-3phase"):
        simulate_series(
            SETTINGS, tmp_path / "scans", tmp_path / "phantom", schema=PRESETS["li-operando"]
        )
    assert not list(tmp_path.iterdir())


def test_the_command_makes_a_study(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: cathode\nclasses: cathode-3phase\nphantom:\n  preset: cathode-3phase\n"
        "  shape_zyx: [4, 64, 64]\n  particle_um: 3\n"
    )
    done = CliRunner().invoke(app, ["phantom", str(recipe)])
    assert done.exit_code == 0, done.output
    scan = Scan.open(tmp_path / "scans" / "cathode0.zarr")
    assert scan.label_names() == ("truth", "hand")
    assert (tmp_path / "phantom" / "truth.parquet").exists()
