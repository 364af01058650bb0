from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Provenance
from tomolith.store.integrity import verify_scan
from tomolith.store.scan import Scan

MADE = Provenance("test")


def whats(path):
    return [problem.what for problem in verify_scan(path)]


def test_a_whole_scan_has_no_problems(make_scan):
    assert verify_scan(make_scan().path) == []
    sections = make_scan("b", grid=Grid((3, 40, 30), None, sections=True), dtype="f4")
    assert verify_scan(sections.path) == []


def test_every_metadata_file_that_is_gone_is_named(make_scan):
    scan = make_scan()
    for file in sorted(scan.path.rglob("zarr.json")):
        content = file.read_bytes()
        file.unlink()
        problems = verify_scan(scan.path)
        assert problems, file
        assert any(p.path in (file, file.parent) and p.mend for p in problems), (file, problems)
        file.write_bytes(content)
    assert verify_scan(scan.path) == []


def test_every_shard_that_is_gone_is_named(make_scan):
    scan = make_scan()
    files = [f for f in scan.path.rglob("*") if f.is_file() and f.name != "zarr.json"]
    assert len(files) > 20
    for file in files[::5]:
        content = file.read_bytes()
        file.unlink()
        assert [(p.path, p.what) for p in verify_scan(scan.path)] == [
            (file, "a part of the array is missing")
        ]
        file.write_bytes(content)


def test_a_lost_level_and_a_lost_label_map_are_named(make_scan):
    grid = Grid((4, 300, 40), None)
    scan = make_scan(grid=grid, dtype="u1")
    shutil.rmtree(scan.path / "1")
    assert [p.path.parent.name for p in verify_scan(scan.path)] == ["1"]
    shutil.rmtree(scan.path / "labels" / "truth")
    assert "the label map is listed and missing" in whats(scan.path)


REMOVED = f".truth.{32 * '0'}.removed"


def test_unfinished_work_is_named(make_scan, tmp_path):
    scan = make_scan()
    writer = scan.create_labels("prediction", PRESETS["li-binary"], provenance=MADE)
    assert whats(scan.path) == ["it is unfinished"]
    writer.array[:] = 0
    writer.finish()
    assert whats(scan.path) == []
    shutil.copytree(scan.path / "labels" / "truth", scan.path / "labels" / REMOVED)
    assert whats(scan.path) == ["a replaced result was not removed"]
    shutil.rmtree(scan.path / "labels" / REMOVED)
    (scan.path / "0" / "c" / f"3.{'0a' * 16}.partial").write_text("half")
    assert whats(scan.path) == ["a killed process left this temporary file"]

    begun = Scan.create(tmp_path / "b.zarr", Grid((2, 4, 4), None), "u1", provenance=MADE)
    assert "it was not finished" in whats(begun.path)
    assert "a part of the array is missing" in whats(begun.path)
    begun.create_labels("truth", PRESETS["li-binary"], provenance=MADE)
    assert "it is unfinished" in whats(begun.path)


def test_a_label_map_that_is_not_listed_is_named(make_scan):
    scan = make_scan()
    (scan.path / "labels" / "zarr.json").unlink()
    assert "the label map is not listed" in whats(scan.path)
    scan.resume_labels("truth").finish()
    assert whats(scan.path) == []


def test_chunks_that_were_never_written_are_counted(tmp_path):
    scan = Scan.create(tmp_path / "a.zarr", Grid((40, 40, 600), None), "u1", provenance=MADE)
    scan.image.array[0:32, :, 0:256] = 7  # one of three chunks of a shard along x, of 2 along z
    scan.image.array[32:40, :, :] = 7
    scan.finish()
    problems = verify_scan(scan.path)
    assert [p.what for p in problems] == ["4 chunks were never written"]


def test_metadata_without_checksum_are_named(make_scan):
    scan = make_scan()
    file = scan.path / "0" / "zarr.json"
    document = json.loads(file.read_text())
    del document["attributes"]["tomolith"]
    file.write_text(json.dumps(document))
    assert whats(scan.path) == ["the metadata carry no checksum"]


def test_an_array_of_another_shape_is_named(make_scan):
    scan = make_scan()
    other = make_scan("b", grid=Grid((3, 20, 20), None))
    shutil.rmtree(scan.path / "0")
    shutil.copytree(other.path / "0", scan.path / "0")
    assert whats(scan.path) == ["the array has shape (3, 20, 20), not (10, 60, 50)"]


def test_the_mask_of_invalid_voxels_is_checked_too(make_scan, tmp_path):
    scan = Scan.create(tmp_path / "a.zarr", Grid((4, 8, 8), None), "f4", provenance=MADE)
    scan.image.array[:] = 1
    scan.create_invalid()[:] = np.ones((4, 8, 8), np.uint8)
    scan.set_n_invalid(256)
    scan.finish()
    assert verify_scan(scan.path) == []
    shutil.rmtree(scan.path / "invalid" / "c")
    assert whats(scan.path) == ["a part of the array is missing"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_wrecked_metadata_file_is_named(make_scan, content):
    scan = make_scan()
    (scan.path / "zarr.json").write_bytes(content)
    assert "damaged" in whats(scan.path)[0]
    (scan.path / "0" / "zarr.json").write_bytes(content)
    assert len(verify_scan(scan.path)) == 1


def test_label_maps_of_other_software_are_welcome(make_scan):
    scan = make_scan()
    labels = scan.path / "labels"
    shutil.copytree(labels / "truth", labels / "by-hand")
    document = json.loads((labels / "by-hand" / "zarr.json").read_text())
    del document["attributes"]["tomolith"]
    (labels / "by-hand" / "zarr.json").write_text(json.dumps(document))
    listed = json.loads((labels / "zarr.json").read_text())
    listed["attributes"]["ome"]["labels"].append("by-hand")
    (labels / "zarr.json").write_text(json.dumps(listed))
    assert whats(scan.path) == []
    writer = scan.create_labels("prediction", PRESETS["li-binary"], provenance=MADE)
    writer.array[:] = 0
    writer.finish()
    assert whats(scan.path) == []
    after = json.loads((labels / "zarr.json").read_text())["attributes"]["ome"]["labels"]
    assert after == ["truth", "by-hand", "prediction"]
