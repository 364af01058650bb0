"""Plan maps in one pass, and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import ReadError
from tomolith.measure.colocalisation import GrowthMap
from tomolith.measure.kept_plans import KeptPlans
from tomolith.measure.map_files import read_index, write_growth, write_index, write_maps
from tomolith.measure.quantify import MeasureSettings, ScanNumbers, measure, measure_scan

SIZES = (2.0, 1.0, 0.5)
LISTED = 2 * 5 + 6  # thickness and density of five classes; void, positions, gap, thicknesses


class CountedReads:
    """An array that counts how often each voxel is read."""

    def __init__(self, values: np.ndarray) -> None:
        self._values, self.n_reads = values, np.zeros(values.shape, int)
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        self.n_reads[index] += 1
        return self._values[index]


def cell() -> np.ndarray:
    values = np.zeros((12, 20, 6), np.uint8)
    values[:, :4] = values[:, 15:19] = 1
    values[2:5, 2:4, 1:3] = 3  # a pit
    values[2:4, 4:6, 1:3] = 5  # redeposited over it
    values[6:8, 12:15, 2:4] = 2
    return values


def found_in(values: np.ndarray, size: tuple | None = SIZES, **options: object) -> ScanNumbers:
    labels = LabelMap(Volume(values, Grid(values.shape, size)), PRESETS["li-operando"])
    return measure_scan(labels, MeasureSettings(), **options)


def test_numbers_and_maps_come_from_one_pass() -> None:
    array = CountedReads(cell())
    labels = LabelMap(Volume(array, Grid(array.shape, SIZES)), PRESETS["li-operando"])
    settings = MeasureSettings(sides="half_depth")
    found = measure_scan(labels, settings, region="a", block_zyx=(5, 7, 4))
    assert found.plan is not None and len(found.maps) == 6
    inner = array.n_reads[1:-1]  # some quantities look one voxel further
    assert (array.n_reads >= 1).all() and inner.min() == 1
    numbers = {(m.name, m.region): m.value for m in measure(labels, settings, region="a")}
    assert {(m.name, m.region): m.value for m in found.measurements} == numbers


@pytest.mark.parametrize("block", [(5, 7, 4), (99, 99, 99)])
def test_maps_do_not_depend_on_the_blocks(block: tuple[int, int, int]) -> None:
    found, whole = found_in(cell(), block_zyx=block), found_in(cell())
    assert found.plan is not None and whole.plan is not None
    assert np.array_equal(found.plan.counts, whole.plan.counts)
    for a, b in zip(found.maps, whole.maps, strict=True):
        assert (a.name, a.unit) == (b.name, b.unit)
        assert np.array_equal(a.values, b.values, equal_nan=True)


def test_maps_of_quantities_show_where_things_are() -> None:
    maps = {m.name: m.values for m in found_in(cell()).maps}
    assert np.isnan(maps["void_depth"]).sum() == 12 * 6 - 4
    assert np.nanmax(maps["void_depth"]) == 2.0
    assert maps["position_stripping_side"][0, 0] == (4 - 10) * 1.0
    assert maps["gap"][0, 0] == 11.0
    assert maps["local_thickness_plating_side"][0, 0] == 4.0
    assert np.isnan(maps["local_thickness_stripping_side"]).all()  # leaves the volume


def test_the_covered_share_is_that_of_the_labelled_columns() -> None:
    values = cell()
    values[:, :, 3:] = 255
    plan = found_in(values).plan
    assert plan is not None
    assert plan.n_analysed == 12 * 3
    assert plan.analysed_area_um2 == 36 * 2.0 * 0.5
    assert plan.covered_frac(["dendrite", "redeposited", "no such class"]) == (2 + 4) / 36


def test_files_carry_pixel_size_and_are_listed(tmp_path: Path) -> None:
    found = found_in(cell(), region="t0")
    assert found.plan is not None
    write_index(write_maps("t0", found.plan, found.maps, tmp_path), tmp_path)
    entries = read_index(tmp_path)
    assert len(entries) == LISTED
    first = entries[0]
    assert (first.map, first.class_name, first.axes) == (
        "thickness_electrode",
        "electrode",
        ("z", "x"),
    )
    assert first.pixel_um == (2.0, 0.5)
    with tifffile.TiffFile(tmp_path / first.file) as file:
        page = file.pages[0]
        assert page.dtype == np.float32
        assert page.tags["XResolution"].value == (2, 1)
        assert page.tags["YResolution"].value == (1, 2)
        assert file.imagej_metadata["unit"] == "um"
        assert page.asarray()[0, 0] == 8.0


def test_columns_without_labels_are_no_part_of_maps_and_shares(tmp_path: Path) -> None:
    values = cell()
    values[:3] = 255
    values[:, :, 4:] = 255
    found, inner = found_in(values, region="t0"), found_in(cell()[3:, :, :4], region="t0")
    assert found.plan is not None and found.plan.analysed_key == (3, 12, 0, 4)
    (entry, *_) = write_maps("t0", found.plan, (), tmp_path)
    assert int(np.isfinite(tifffile.imread(tmp_path / entry.file)).sum()) == 9 * 4
    same = ("effective_thickness", "plan_coverage", "void_map_share", "contact_area", "share")
    numbers, expected = (
        {(m.name, m.region): m.value for m in n.measurements if m.name in same}
        for n in (found, inner)
    )
    assert numbers == pytest.approx(expected)
    cut = found.plan.cut(found.plan.analysed_key)
    assert inner.plan is not None and np.array_equal(cut.counts, inner.plan.counts)


def test_plans_are_kept_on_disk_and_cut_to_what_any_scan_shows(tmp_path: Path) -> None:
    plans = KeptPlans(tmp_path / "plans")
    for name, rows in (("a", slice(0, 4)), ("b", slice(2, 7))):
        values = np.full((12, 20, 6), 255, np.uint8)
        values[rows] = cell()[rows]
        plan = found_in(values).plan
        assert plan is not None
        plans.keep(name, plan)
    assert list(plans.of(["b", "c"])) == ["b"]
    part = plans.analysed()
    assert part.key == (0, 7, 0, 6)
    assert np.array_equal(part["b"].counts, plans["b"].counts[:, :7])
    growth = GrowthMap("a", "b", np.ones((7, 6), np.uint8))
    entry = write_growth(growth, plans["a"], part.key, tmp_path)
    assert int(np.isfinite(tifffile.imread(tmp_path / entry.file)).sum()) == 42


def test_without_a_voxel_size_there_are_densities_only(tmp_path: Path) -> None:
    found = found_in(cell(), None)
    assert found.plan is not None
    entries = write_maps("t0", found.plan, found.maps, tmp_path)
    assert {entry.map.partition("_")[0] for entry in entries} == {"density"}
    assert entries[0].pixel_um is None


def test_sections_have_no_maps() -> None:
    labels = LabelMap(
        Volume(cell(), Grid((12, 20, 6), SIZES, sections=True)), PRESETS["li-operando"]
    )
    found = measure_scan(labels, MeasureSettings(quantities=["share"]))
    assert found.plan is None and not found.maps


def test_maps_of_an_earlier_run_are_removed(tmp_path: Path) -> None:
    plan = found_in(cell()).plan
    assert plan is not None
    old, new = (write_maps(scan, plan, (), tmp_path) for scan in ("old", "new"))
    write_index(old + new, tmp_path)
    write_index(new, tmp_path)
    assert [p.name for p in (tmp_path / "maps").iterdir() if p.is_dir()] == ["new"]
    assert all((tmp_path / entry.file).exists() for entry in read_index(tmp_path))


def test_a_damaged_list_is_refused(tmp_path: Path) -> None:
    assert read_index(tmp_path) == ()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/index.json").write_text('[{"scan": 1}]')
    with pytest.raises(ReadError, match="list of maps"):
        read_index(tmp_path)
