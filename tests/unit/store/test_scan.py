from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Provenance
from tomolith.errors import (
    DiskError,
    IncompleteError,
    InputError,
    IntegrityError,
    ReadError,
)
from tomolith.store.integrity import verify_scan
from tomolith.store.scan import Scan

MADE = Provenance.now("test", inputs=("a.tif",), settings_hash="00ff", seed=3)


def test_a_scan_comes_back_as_it_was_written(make_scan):
    scan = make_scan()
    rng = np.random.default_rng(0)
    assert np.array_equal(scan.image.array[:], rng.integers(0, 120, (10, 60, 50)))
    assert scan.id == "a"
    assert scan.grid == Grid((10, 60, 50), (2.0, 0.5, 0.5))
    assert scan.image.dtype == np.uint16
    assert len(scan.stats) == 1
    assert scan.stats[0].n_sampled == 30_000
    assert scan.label_names() == ("truth",)
    assert scan.labels("truth").schema == PRESETS["li-operando"]
    assert scan.n_invalid == 0
    assert scan.invalid is None
    assert scan.provenance.seed == 0
    assert verify_scan(scan.path) == []


@pytest.mark.parametrize(
    "grid",
    [
        Grid((1, 5, 7), None),
        Grid((3, 40, 30), (1.0, 0.7, 0.7), sections=True),
        Grid((3, 40, 30), (4.0, 2.0, 1.0), origin_um=(1.0, -2.0, 3.5)),
    ],
)
def test_the_grid_is_kept_exactly(make_scan, grid):
    scan = make_scan(grid=grid, dtype="f4")
    assert scan.grid == grid
    assert scan.labels("truth").grid == grid
    assert verify_scan(scan.path) == []


def test_an_unfinished_scan_is_refused(tmp_path):
    grid = Grid((4, 8, 8), None)
    scan = Scan.create(tmp_path / "a.zarr", grid, "u1", provenance=MADE)
    with pytest.raises(IncompleteError, match=r"not finished[\s\S]*import or phantom"):
        Scan.open(tmp_path / "a.zarr")
    with pytest.raises(IncompleteError, match="1 of 1 parts of scan 'a'"):
        scan.finish()
    assert not Scan.open(tmp_path / "a.zarr", unfinished=True).is_complete
    (tmp_path / "a.zarr" / "zarr.json").unlink()
    with pytest.raises(IncompleteError):
        Scan.open(tmp_path / "a.zarr")


def test_what_is_no_scan_is_refused(tmp_path, make_scan):
    with pytest.raises(ReadError, match=r"no scan[\s\S]*step 'import'"):
        Scan.open(tmp_path / "none.zarr")
    scan = make_scan()
    document = json.loads((scan.path / "zarr.json").read_text())
    del document["attributes"]["tomolith"]
    (scan.path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(ReadError, match="not written by tomolith"):
        Scan.open(scan.path)


def test_a_changed_voxel_size_is_noticed(make_scan):
    scan = make_scan()
    text = (scan.path / "zarr.json").read_text()
    (scan.path / "zarr.json").write_text(text.replace("2.0", "2.4"))
    with pytest.raises(IntegrityError, match="changed after it was written"):
        Scan.open(scan.path)


def test_metadata_of_another_format_are_named(make_scan):
    scan = make_scan()
    document = json.loads((scan.path / "zarr.json").read_text())
    del document["attributes"]["tomolith"]["check"]
    del document["attributes"]["tomolith"]["voxel_size_um"]
    (scan.path / "zarr.json").write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="voxel_size_um"):
        Scan.open(scan.path)


def test_create_replaces_a_scan_and_nothing_else(tmp_path, make_scan):
    old = make_scan()
    new = Scan.create(old.path, Grid((2, 8, 8), None), "u1", provenance=MADE)
    assert new.label_names() == ()
    assert new.grid.shape_zyx == (2, 8, 8)
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("years of work")
    with pytest.raises(DiskError, match="no scan of tomolith"):
        Scan.create(folder, Grid((2, 8, 8), None), "u1", provenance=MADE)
    assert (folder / "chapter.tex").read_text() == "years of work"
    with pytest.raises(DiskError, match="in the way"):
        Scan.create(folder / "chapter.tex", Grid((2, 8, 8), None), "u1", provenance=MADE)


def test_blocks_of_nothing_but_fill_value_leave_files(tmp_path):
    scan = Scan.create(tmp_path / "a.zarr", Grid((4, 8, 8), None), "u1", provenance=MADE)
    scan.image.array[:] = 0
    assert scan.image.array.missing_files() == []
    again = Scan.open(tmp_path / "a.zarr", unfinished=True)
    again.image.array[:] = 0
    assert again.image.array.missing_files() == []


def test_reading_a_missing_or_damaged_part_is_an_error_not_fill_value(make_scan):
    scan = make_scan()
    files = scan.image.array.shard_files()
    content = bytearray(files[1].read_bytes())
    content[40] ^= 1
    files[1].write_bytes(bytes(content))
    files[0].unlink()
    with pytest.raises(IntegrityError, match=r"missing[\s\S]*verify"):
        _ = scan.image.array[0:1, 0:1, 0:1]
    with pytest.raises(IntegrityError, match="cannot be read back") as caught:
        _ = scan.image.array[0:4, 0:32, 32:50]
    assert caught.value.where == str(files[1])
    assert scan.image.array[4:6, :, :].shape == (2, 60, 50)


def test_a_finished_scan_is_not_written_to(make_scan):
    with pytest.raises(Exception, match="read-only"):
        make_scan().image.array[0:1, 0:1, 0:1] = 1


def test_stats_are_checked_and_kept(make_scan):
    scan = make_scan()
    with pytest.raises(InputError, match="2 intensity statistics"):
        scan.set_stats(scan.stats * 2)
    scan.set_stats(scan.stats)
    assert Scan.open(scan.path).stats == scan.stats


def test_invalid_voxels_are_kept(tmp_path):
    scan = Scan.create(tmp_path / "a.zarr", Grid((4, 8, 8), None), "f4", provenance=MADE)
    scan.image.array[:] = 1
    mask = np.zeros((4, 8, 8), np.uint8)
    mask[1, 2, 3] = 1
    scan.create_invalid()[:] = mask
    scan.set_n_invalid(1)
    scan.finish()
    scan = Scan.open(scan.path)
    assert scan.n_invalid == 1
    assert np.array_equal(scan.invalid[:], mask)


def test_labels_appear_only_when_whole(make_scan):
    scan = make_scan()
    assert scan.resume_labels("prediction") is None
    writer = scan.create_labels("prediction", PRESETS["li-binary"], provenance=MADE)
    writer.array[0:4] = 1
    assert scan.label_names() == ("truth",)
    with pytest.raises(IncompleteError, match="'prediction' of scan 'a' is not finished"):
        scan.labels("prediction")
    with pytest.raises(IncompleteError, match="8 of 12 parts were not written"):
        writer.finish()
    writer = Scan.open(scan.path).resume_labels("prediction")
    assert writer.record.schema == PRESETS["li-binary"]
    writer.array[4:10] = 0
    writer.finish()
    assert scan.label_names() == ("truth", "prediction")
    assert np.array_equal(scan.labels("prediction").volume.array[3:5, 0, 0], [1, 0])
    assert scan.resume_labels("prediction") is None
    writer.finish()  # once more does no harm
    assert verify_scan(scan.path) == []


def test_a_label_map_is_replaced_when_the_new_one_is_whole(make_scan):
    scan = make_scan()
    before = scan.labels("truth").volume.array[:]
    writer = scan.create_labels("truth", PRESETS["li-binary"], provenance=MADE)
    assert np.array_equal(scan.labels("truth").volume.array[:], before)
    writer.array[:] = 1
    writer.finish()
    assert scan.labels("truth").schema == PRESETS["li-binary"]
    assert scan.labels("truth").volume.provenance == MADE
    assert scan.labels("truth").volume.array[:].min() == 1
    assert sorted(p.name for p in (scan.path / "labels").iterdir()) == ["truth", "zarr.json"]


def test_begun_anew_drops_the_older_beginning(make_scan):
    scan = make_scan()
    scan.create_labels("otsu", PRESETS["li-binary"], provenance=MADE).array[:] = 1
    writer = scan.create_labels("otsu", PRESETS["li-binary"], provenance=MADE)
    assert len(writer.array.missing_files()) == 12
    assert writer.array[0, 0, 0] == 255  # unlabelled


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a.partial", "a b"])
def test_odd_label_names_are_refused(make_scan, name):
    with pytest.raises(InputError, match="letters, digits"):
        make_scan().create_labels(name, PRESETS["li-binary"], provenance=MADE)


@pytest.mark.parametrize("lost", ["null", "gone"])
def test_a_label_map_without_classes_is_refused_with_what_to_do(make_scan, lost):
    scan = make_scan()
    path = scan.path / "labels" / "truth" / "zarr.json"
    document = json.loads(path.read_text())
    own = document["attributes"]["tomolith"]
    del own["check"]
    if lost == "null":
        own["classes"] = None
    else:
        del own["classes"]
    path.write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="classes" if lost == "gone" else "which class") as got:
        scan.labels("truth")
    assert got.value.where == str(path)
    assert got.value.mend.startswith("run the step that")
    assert lost == "gone" or "'attributes: tomolith: classes'" in got.value.expected


def test_unknown_labels_are_refused_with_those_there_are(make_scan):
    with pytest.raises(ReadError, match=r"no label map 'truht'[\s\S]*one of truth"):
        make_scan().labels("truht")


def test_extras_lie_beside_the_labels(make_scan):
    scan = make_scan()
    name = "probabilities/prediction"
    writer = scan.create_extra(name, ("background", "lithium"), np.uint8, provenance=MADE)
    assert writer.array.shape == (2, 10, 60, 50)
    with pytest.raises(ReadError):
        scan.extra(name)
    writer.array[:] = 0
    writer.array[1, 4:8, 0:32, 0:32] = 200
    again = scan.resume_extra(name)
    assert again.array[1, 4, 0, 0] == 200
    again.finish()
    entropy = scan.create_extra("entropy/prediction", None, np.float32, provenance=MADE)
    entropy.array[:] = 0.5
    entropy.finish()
    assert scan.extra(name)[1, 4, 0, 0] == 200
    assert scan.extra("entropy/prediction").shape == (10, 60, 50)
    assert scan.label_names() == ("truth",)
    assert verify_scan(scan.path) == []
    for bad in ("labels/x", "0/x", "invalid/x", "x"):
        with pytest.raises(InputError):
            scan.create_extra(bad, None, np.uint8, provenance=MADE)


def test_an_image_of_other_software_is_not_replaced(tmp_path, make_scan):
    scan = make_scan()
    for file in scan.path.rglob("zarr.json"):
        document = json.loads(file.read_text())
        document["attributes"].pop("tomolith", None)
        file.write_text(json.dumps(document))
    for _ in range(2):
        with pytest.raises(DiskError, match="no scan of tomolith"):
            Scan.create(scan.path, Grid((2, 8, 8), None), "u1", provenance=MADE)
        (scan.path / "zarr.json").unlink(missing_ok=True)  # now without the group's metadata
    assert len(list(scan.path.glob("0/c/*/*/*"))) == 12


@pytest.mark.parametrize("gone", ["zarr.json", "0/zarr.json", "0/c"])
def test_a_damaged_or_half_removed_scan_is_replaced(tmp_path, make_scan, gone):
    scan = make_scan()
    (shutil.rmtree if gone == "0/c" else type(scan.path).unlink)(scan.path / gone)
    if gone == "0/c":
        (scan.path / "zarr.json").unlink()
    (tmp_path / f".a.zarr.{32 * '0'}.removed").mkdir()  # what a killed removal leaves
    Scan.create(scan.path, Grid((2, 8, 8), None), "u1", provenance=MADE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_backup_of_the_user_is_left_alone(tmp_path, make_scan):
    scan = make_scan()
    notes = []
    for folder in (tmp_path / "a.zarr.old", scan.path / "labels" / "truth.old"):
        folder.mkdir()
        notes.append(folder / "note.txt")
        notes[-1].write_text("mine")
    writer = scan.create_labels("truth", PRESETS["li-binary"], provenance=MADE)
    writer.array[:] = 0
    writer.finish()
    assert notes[1].is_file()
    Scan.create(scan.path, Grid((2, 8, 8), None), "u1", provenance=MADE)
    assert notes[0].read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "a.zarr.old"]


def test_what_a_killed_replacement_left_is_removed_by_the_next(make_scan):
    scan = make_scan()
    folder = scan.path / "labels"
    (folder / f".truth.{32 * 'a'}.removed").mkdir()
    (folder / f".other.{32 * 'a'}.removed").mkdir()
    writer = scan.create_labels("truth", PRESETS["li-binary"], provenance=MADE)
    writer.array[:] = 0
    writer.finish()
    assert [p.name for p in folder.glob(".*")] == [f".other.{32 * 'a'}.removed"]
