"""One pass: each voxel is read once, by any number of workers, and no more than planned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, LabelMap, Provenance, Volume
from tomolith.errors import MismatchError
from tomolith.measure.intervals import attach
from tomolith.measure.intervals.attach import NEEDED, attach_intervals
from tomolith.measure.one_pass import MAX_BLOCK_VOXELS, choose_block
from tomolith.measure.quantify import MeasureSettings, measure, measure_scan
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-operando"]


class Counting:
    """An array that counts how often each voxel is read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.n_reads = values, np.zeros(values.shape, int)
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        self.n_reads[index] += 1
        return self.values[index]


def cell(shape: tuple[int, int, int] = (20, 24, 16)) -> np.ndarray:
    values = np.zeros(shape, np.uint8)
    values[:, :6] = values[:, -6:] = 1
    values[2:9, -9:-6, 3:9] = 2
    values[4:12, 4:6, 5:11] = 3
    return values


@pytest.mark.parametrize("workers", [1, 2])
def test_every_voxel_is_read_once_but_for_the_cuts(workers: int) -> None:
    array = Counting(cell())
    labels = LabelMap(Volume(array, Grid(array.shape, (1.0, 1.0, 1.0))), SCHEMA)
    settings = MeasureSettings(quantities=["gap"], workers=workers)
    found = measure_scan(labels, settings, block_zyx=(4, 24, 8), also=NEEDED)
    per_slice = array.n_reads.reshape(20, -1)
    assert np.array_equal(per_slice.min(axis=1), per_slice.max(axis=1))
    assert sorted(per_slice[:, 0]) == [1] * 11 + [2] * 9  # nine cuts across the cell
    assert {m.name for m in found.measurements} == {"gap"}
    assert {m.name for m in found.also} == set(NEEDED)


@pytest.mark.parametrize("workers", [2, 5])
def test_workers_change_no_number_and_no_map(workers: int) -> None:
    rng = np.random.default_rng(0)
    values = cell()
    values[rng.random(values.shape) < 0.05] = 4
    labels = LabelMap(Volume(values, Grid(values.shape, (2.0, 1.0, 0.5))), SCHEMA)
    alone, found = (
        measure_scan(labels, MeasureSettings(workers=n), block_zyx=(8, 13, 9)) for n in (1, workers)
    )
    pairs = zip(found.measurements, alone.measurements, strict=True)
    assert all((a.name, a.region, a.value) == (b.name, b.region, b.value) for a, b in pairs)
    hashes = {m.provenance.settings_hash for s in (alone, found) for m in s.measurements}
    assert len(hashes) == 1
    assert found.plan is not None and alone.plan is not None
    assert np.array_equal(found.plan.counts, alone.plan.counts)
    for a, b in zip(found.maps, alone.maps, strict=True):
        assert np.array_equal(a.values, b.values, equal_nan=True)


def test_a_bad_value_stops_all_workers() -> None:
    values = cell()
    values[7, 7, 7] = 77
    labels = LabelMap(Volume(values, Grid(values.shape, None)), SCHEMA)
    with pytest.raises(MismatchError, match=r"77 \(1 voxels so far\)"):
        measure(labels, MeasureSettings(workers=3), block_zyx=(4, 24, 8))


def test_intervals_take_what_the_pass_has_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Provenance("test")
    grid = Grid((20, 24, 16), (1.0,) * 3)
    scan = Scan.create(tmp_path / "a.zarr", grid, np.uint8, provenance=made)
    writer = scan.create_labels("truth", SCHEMA, provenance=made)
    writer.array[:] = cell()
    writer.finish()
    settings = MeasureSettings(quantities=["volume"])
    found = measure_scan(scan.labels("truth"), settings, region="a", also=NEEDED)
    expected = attach_intervals(found.measurements, scan, "truth", settings)
    assert all(m.interval for m in expected if m.value)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the labels were read a second time")

    monkeypatch.setattr(attach, "measure", refuse)
    again = attach_intervals(found.measurements, scan, "truth", settings, also=found.also)
    assert again == expected


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(3896, 1707, 2280), (40, 60, 50), (9000, 9000, 9000)])
def test_blocks_are_whole_chunks_and_not_too_large(shape: tuple[int, int, int], axis: int) -> None:
    block = choose_block(Grid(shape, None), axis)
    voxels = math.prod(min(b, n) for b, n in zip(block, shape, strict=True))
    assert 0 < voxels <= MAX_BLOCK_VOXELS
    for b, n, chunk in zip(block, shape, (16, 256, 256), strict=True):
        assert b >= n or b % chunk == 0
