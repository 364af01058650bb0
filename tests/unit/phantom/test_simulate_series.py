"""A whole series on disk: scans, true numbers, cycler files, motions."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest

from tomolith.core import PRESETS
from tomolith.errors import DiskError, RecipeError
from tomolith.phantom import Phantom, PhantomSettings, simulate_series
from tomolith.store.scan import Scan

SETTINGS = PhantomSettings(
    preset="tiny",
    shape_zyx=(16, 72, 64),
    n_cells=2,
    scans=(0, 12, 18),
    motion_shift_vox=2.0,
    motion_rotate_deg=1.0,
    clock_offset_s=7.0,
)
COLUMNS = ["scan", "cell", "pulse", "time_s", "quantity", "region", "value", "unit"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    scans = simulate_series(SETTINGS, folder / "scans", folder / "phantom")
    assert tuple(scan.id for scan in scans) == SETTINGS.scan_ids
    return folder


def test_every_scan_is_whole_and_what_its_phantom_renders(folder):
    for scan_id in SETTINGS.scan_ids:
        scan = Scan.open(folder / "scans" / f"{scan_id}.zarr")
        image, material = Phantom.build(SETTINGS, scan_id).render(scan.grid.box)
        assert np.array_equal(scan.image.read(scan.grid.box), image), scan_id
        assert np.array_equal(scan.labels("truth").read(scan.grid.box), material), scan_id


def test_provenance_differs_between_the_scans_of_a_series(folder):
    scans = [Scan.open(folder / "scans" / f"{i}.zarr") for i in SETTINGS.scan_ids]
    identities = {json.dumps(scan.image.provenance.identity()) for scan in scans}
    assert len(identities) == len(scans)
    for scan in scans:
        assert any(scan.id in entry for entry in scan.image.provenance.inputs)
        assert scan.labels("truth").volume.provenance.identity() == scan.image.provenance.identity()


def test_the_true_numbers_read_back_alike_from_both_files(folder):
    table = pd.read_parquet(folder / "phantom" / "truth.parquet")
    text = pd.read_csv(folder / "phantom" / "truth.csv")
    assert list(table.columns) == list(text.columns) == COLUMNS
    pd.testing.assert_frame_equal(table, text, check_dtype=False, rtol=1e-12)
    assert table["value"].dtype == np.float64
    assert list(table["scan"].unique()) == list(SETTINGS.scan_ids)
    assert table.groupby("scan").size().nunique() == 1
    assert not table.duplicated(["scan", "quantity", "region"]).any()
    assert (table["cell"] == table["scan"].str[4].astype(int)).all()
    assert (table["pulse"] == table["scan"].str[-2:].astype(int)).all()


def test_the_true_numbers_are_those_of_the_labels(folder):
    table = pd.read_parquet(folder / "phantom" / "truth.parquet")
    counted = table[table["quantity"] == "voxel_count"].set_index(["scan", "region"])["value"]
    for scan_id in SETTINGS.scan_ids:
        scan = Scan.open(folder / "scans" / f"{scan_id}.zarr")
        labels = scan.labels("truth").read(scan.grid.box)
        for c in PRESETS["li-operando"].classes:
            assert counted[scan_id, c.name] == (labels == c.value).sum()


def test_scans_are_taken_when_the_protocol_says(folder):
    table = pd.read_parquet(folder / "phantom" / "truth.parquet")
    times = table.groupby("pulse")["time_s"].unique()
    for pulse in SETTINGS.scans:
        assert times[pulse].tolist() == [SETTINGS.protocol.scan_time_s(pulse)]


def test_each_cell_has_its_own_cycler_files(folder):
    names = sorted(path.name for path in (folder / "phantom").iterdir())
    assert names == [
        "cell0.bdf.csv", "cell0.mpt", "cell1.bdf.csv", "cell1.mpt",
        "motions.json", "truth.csv", "truth.parquet",
    ]  # fmt: skip
    logs = [pd.read_csv(folder / "phantom" / f"cell{i}.bdf.csv") for i in (0, 1)]
    assert logs[0].columns.tolist() == logs[1].columns.tolist()
    voltage = next(name for name in logs[0].columns if "oltage" in name)
    current = next(name for name in logs[0].columns if "urrent" in name)
    assert not np.array_equal(logs[0][voltage], logs[1][voltage])
    assert np.array_equal(logs[0][current], logs[1][current])
    for i in (0, 1):
        header = (folder / "phantom" / f"cell{i}.mpt").read_bytes()[:200]
        assert header.startswith(b"EC-Lab ASCII FILE")


def test_motions_are_written_and_the_first_scan_lies_still(folder):
    motions = json.loads((folder / "phantom" / "motions.json").read_text())
    assert tuple(motions) == SETTINGS.scan_ids
    for scan_id, motion in motions.items():
        is_still = np.array_equal(motion["matrix_scan_to_cell"], np.eye(4))
        assert is_still == scan_id.endswith("t00")
        assert motion == Phantom.build(SETTINGS, scan_id).motion.to_dict()


def test_the_series_is_the_same_when_made_again(folder, tmp_path):
    simulate_series(SETTINGS, tmp_path / "scans", tmp_path / "phantom")
    for path in sorted((folder / "phantom").iterdir()):
        assert path.read_bytes() == (tmp_path / "phantom" / path.name).read_bytes(), path.name
    for path in sorted((folder / "scans").rglob("c/*/*/*")):
        again = tmp_path / path.relative_to(folder)
        assert path.read_bytes() == again.read_bytes()


def test_projections_are_written_for_each_scan_when_asked_for(tmp_path):
    settings = PhantomSettings(
        preset="tiny", shape_zyx=(3, 64, 64), scans=(0, 12), projections={"n_angles": 5}
    )
    simulate_series(settings, tmp_path / "scans", tmp_path / "phantom")
    counts = []
    for scan_id in settings.scan_ids:
        with h5py.File(tmp_path / "phantom" / f"{scan_id}.h5") as file:
            counts.append(file["exchange/data"][:])
    assert counts[0].shape[:2] == (5, 3)
    assert not np.array_equal(*counts)


def test_a_schema_without_the_classes_writes_nothing_at_all(tmp_path):
    with pytest.raises(RecipeError, match="leave out"):
        simulate_series(
            SETTINGS, tmp_path / "scans", tmp_path / "phantom", schema=PRESETS["cathode-3phase"]
        )
    assert not list(tmp_path.iterdir())


def test_a_series_that_cannot_be_built_writes_nothing_at_all(tmp_path):
    settings = PhantomSettings(preset="tiny", n_pits=1)
    with pytest.raises(RecipeError, match="would go through"):
        simulate_series(settings, tmp_path / "scans", tmp_path / "phantom")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_a_disk_error(tmp_path):
    (tmp_path / "phantom").write_text("mine")
    with pytest.raises(DiskError):
        simulate_series(SETTINGS, tmp_path / "scans", tmp_path / "phantom")
    assert (tmp_path / "phantom").read_text() == "mine"
