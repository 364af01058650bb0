"""Plan maps of a series: which go together, and where Li grew back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Provenance, Volume
from tomolith.errors import MismatchError
from tomolith.measure.colocalisation import colocalisation, growth_map, growth_scans
from tomolith.measure.kept_plans import KeptPlans
from tomolith.measure.persistence import persistence
from tomolith.measure.plan_maps import PlanMaps, plan_maps
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.phantom import Cell, PhantomSettings

SHAPE = (24, 8, 24)
MADE = Provenance("measure")


def maps(values: np.ndarray, size_um: float | None = 1.0, schema: str = "li-operando") -> PlanMaps:
    grid = Grid(values.shape, None if size_um is None else (size_um,) * 3)
    return plan_maps(LabelMap(Volume(values, grid), PRESETS[schema]))


@pytest.fixture(scope="module")
def series() -> dict[str, PlanMaps]:
    """A fresh cell, one after charge and one after discharge, with sites that stay."""
    rng = np.random.default_rng(0)
    fresh = np.zeros(SHAPE, np.uint8)
    half = fresh.copy()
    half[4:12, 2:5, 4:16] = 2  # dendrite
    half[4:12, 6:, 4:16] = 4  # deposit right there
    half[rng.random(SHAPE) < 0.02] = 3  # pits anywhere
    full = fresh.copy()
    full[4:8, 2:4, 4:16] = 2
    full[8:16, 6:, 4:16] = 5
    return {"t0": maps(fresh), "t12": maps(half), "t24": maps(full)}


def values_of(found: list, name: str) -> dict[str, float | None]:
    return {m.region: m.value for m in found if m.name == name}


def test_what_lies_above_the_same_places_correlates(series: dict[str, PlanMaps]) -> None:
    found = colocalisation(series, provenance=MADE)
    r, p = values_of(found, "pearson"), values_of(found, "pearson_p")
    assert len(r) == 3 * 6 + 1
    counts = [series["t12"].count(name) for name in ("dendrite", "deposited")]
    expected = np.corrcoef(counts[0].ravel(), counts[1].ravel())[0, 1]
    assert r["t12/dendrite ~ deposited"] == pytest.approx(expected, abs=1e-6)
    assert r["t0/dendrite ~ deposited"] is None
    assert p["t0/dendrite ~ deposited"] is None
    assert p["t12/dendrite ~ pit"] > 0.01
    by_region = {m.region: m for m in found if m.name == "pearson"}
    interval = by_region["t12/dendrite ~ pit"].interval
    assert interval.low < by_region["t12/dendrite ~ pit"].value < interval.high
    assert "Fisher" in interval.method
    assert "the same everywhere" in by_region["t0/dendrite ~ deposited"].method


def test_old_growth_is_set_against_new(series: dict[str, PlanMaps]) -> None:
    assert growth_scans(series) == ("t12", "t24")
    found = growth_map(series)
    assert (found.half, found.full) == ("t12", "t24")
    assert found.places[4, 4] == 1  # dendrite and deposit only
    assert found.places[8, 4] == 3  # both
    assert found.places[12, 4] == 2  # redeposited only
    assert found.places[0, 0] == 0
    n = SHAPE[0] * SHAPE[2]
    both, old, new = 4 * 12 / n, 8 * 12 / n, 8 * 12 / n
    shares = values_of(colocalisation(series, provenance=MADE), "growth_share")
    assert shares == pytest.approx(
        {
            "series/neither": 1 - old - new + both,
            "series/only dendrite or deposited": old - both,
            "series/only redeposited": new - both,
            "series/both": both,
            "series/both, expected by chance": old * new,
        }
    )
    assert np.array_equal(found.as_map().values, found.places)


def test_sites_are_followed_from_the_first_scan_that_shows_them(
    series: dict[str, PlanMaps],
) -> None:
    found = persistence(series, provenance=MADE)
    regions = {m.region for m in found}
    assert regions == {"t24/dendrite since t12", "t24/deposited since t12"}
    region = "t24/dendrite since t12"
    assert values_of(found, "persistence_jaccard")[region] == pytest.approx(0.5)
    assert values_of(found, "persistence_dice")[region] == pytest.approx(2 / 3)
    assert values_of(found, "persistence_share")[region] == pytest.approx(0.5)
    chance = values_of(found, "persistence_share_by_chance")[region]
    assert chance == pytest.approx(4 * 12 / (SHAPE[0] * SHAPE[2]))
    assert values_of(found, "persistence_p")[region] == pytest.approx(5 / (24 * 24))
    assert values_of(found, "persistence_share")["t24/deposited since t12"] == 0


def test_one_scan_or_other_classes_have_no_growth(series: dict[str, PlanMaps]) -> None:
    assert growth_map({"t12": series["t12"]}) is None
    assert growth_map({"t0": series["t0"], "t12": series["t12"]}) is None  # nothing later
    assert growth_map({"t0": series["t0"], "again": series["t0"]}) is None  # nothing plated
    binary = {name: maps(np.ones(SHAPE, np.uint8), schema="li-binary") for name in "ab"}
    assert growth_map(binary) is None
    assert colocalisation(binary, provenance=MADE) == []
    assert persistence(binary, provenance=MADE) == []


@pytest.mark.parametrize(
    "other",
    [maps(np.zeros((24, 8, 23), np.uint8)), maps(np.zeros(SHAPE, np.uint8), 2.0)],
    ids=["shape", "voxel size"],
)
def test_scans_of_another_grid_are_refused(series: dict[str, PlanMaps], other: PlanMaps) -> None:
    mixed = {**series, "odd": other}
    for follow in (
        lambda: colocalisation(mixed, provenance=MADE),
        lambda: persistence(mixed, provenance=MADE),
        lambda: growth_map(mixed),
    ):
        with pytest.raises(MismatchError, match="scan 'odd' has"):
            follow()


def test_maps_without_a_voxel_size_correlate_all_the_same() -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice([0, 2, 4], SHAPE).astype(np.uint8)
    known, unknown = (
        values_of(colocalisation({"s": maps(labels, size)}, provenance=MADE), "pearson")
        for size in (1.0, None)
    )
    assert known == unknown


def test_only_columns_with_labels_count(series: dict[str, PlanMaps]) -> None:
    """A cross of labels in a field of view without any: the same as the cross alone."""
    rng = np.random.default_rng(1)
    known = np.zeros((20, 20), np.bool_)
    known[6:14] = known[:, 6:14] = True
    scans, counts = {}, {}
    for name in ("half", "full"):
        values = rng.choice([0, 2, 4, 5], (20, 5, 20), p=[0.7, 0.1, 0.1, 0.1]).astype(np.uint8)
        if name == "full":
            values[values != 5] = 0
            values[:, 0][rng.random((20, 20)) < 0.2] = 2
        counts[name] = {v: (values == v).sum(axis=1)[known] for v in (2, 4, 5)}
        scans[name] = maps(np.where(known[:, None, :], values, 255).astype(np.uint8))
    found = colocalisation(scans, provenance=MADE) + persistence(scans, provenance=MADE)
    r, shares = values_of(found, "pearson"), values_of(found, "growth_share")
    expected = np.corrcoef(counts["half"][2], counts["half"][4])[0, 1]
    assert r["half/dendrite ~ deposited"] == pytest.approx(expected, abs=1e-6)
    old, new = counts["half"][2] + counts["half"][4], counts["full"][5]
    part = "series/dendrite or deposited, at its most ~ redeposited, last scan"
    assert r[part] == pytest.approx(np.corrcoef(old, new)[0, 1], abs=1e-6)
    assert shares["series/both"] == pytest.approx(np.mean((old > 0) & (new > 0)))
    assert shares["series/neither"] == pytest.approx(np.mean((old == 0) & (new == 0)))
    places = growth_map(scans).as_map().values
    assert np.array_equal(np.isnan(places), ~known)
    chance = values_of(found, "persistence_share_by_chance")["full/dendrite since half"]
    assert chance == pytest.approx(np.mean(counts["full"][2] > 0))


def test_scans_that_know_no_common_column_have_nothing_to_compare() -> None:
    values = np.zeros((2, 6, 3, 6), np.uint8)
    values[0, :, 0, 1], values[1, :, 0, 4] = 2, 5
    values[1, :, 1, 5] = 2
    values[0, :, :, 3:], values[1, :, :, :3] = 255, 255
    scans = {"half": maps(values[0]), "full": maps(values[1])}
    found = persistence(scans, provenance=MADE) + colocalisation(scans, provenance=MADE)
    of_series = [m for m in found if m.region.startswith("series/") or "persistence" in m.name]
    assert {m.name for m in of_series} >= {"growth_share", "pearson", "persistence_p"}
    assert {m.value for m in of_series} == {None}


MAPS = ("void_depth", "position_stripping_side", "local_thickness_plating_side", "gap")


@pytest.fixture(scope="module")
def discharging() -> PlanMaps:
    settings = PhantomSettings(preset="tiny", scans=(20,))
    values = Cell.build(settings, 0).materials(Box((0, 0, 0), (64, 64, 64)), 20)
    values[32:, :, 40:] = 255
    values[5, :, 5][values[5, :, 5] == 1] = 0  # a column without electrode
    labels = LabelMap(Volume(values, Grid(values.shape, (5.32,) * 3)), PRESETS["li-operando"])
    return measure_scan(labels, MeasureSettings(correlate=MAPS)).plan


def test_maps_of_quantities_correlate_where_both_are_known(discharging: PlanMaps) -> None:
    by_name = {other.name: other.values for other in discharging.others}
    assert set(by_name) == set(MAPS)
    names = ("redeposited", *MAPS)
    found = values_of(colocalisation({"a": discharging}, names=names, provenance=MADE), "pearson")
    assert len(found) == 10
    known = discharging.is_analysed
    depth = np.nan_to_num(by_name["void_depth"])[known]
    counts = discharging.count("redeposited")
    expected = np.corrcoef(counts[known], depth)[0, 1]
    assert found["a/redeposited ~ void_depth"] == pytest.approx(expected, abs=1e-6)
    thick, height = by_name["local_thickness_plating_side"], by_name["position_stripping_side"]
    seen = known & np.isfinite(height) & np.isfinite(thick)
    assert np.count_nonzero(known & ~seen) == 1
    expected = np.corrcoef(height[seen], thick[seen])[0, 1]
    part = "a/position_stripping_side ~ local_thickness_plating_side"
    assert found[part] == pytest.approx(expected, abs=1e-5)


def test_maps_of_quantities_are_kept_with_the_plan(discharging: PlanMaps, tmp_path: Path) -> None:
    kept = KeptPlans(tmp_path / "plans")
    kept.keep("a", discharging)
    found = kept.analysed()["a"]
    key = discharging.analysed_key
    assert np.array_equal(found.counts, discharging.cut(key).counts)
    for mine, theirs in zip(found.others, discharging.cut(key).others, strict=True):
        assert (mine.name, mine.nothing) == (theirs.name, theirs.nothing)
        assert np.array_equal(mine.values, theirs.values, equal_nan=True)


def test_a_map_that_is_not_there_has_no_coefficient(discharging: PlanMaps) -> None:
    bare = PlanMaps(discharging.schema, discharging.grid, discharging.frame, discharging.counts)
    found = colocalisation({"a": bare}, names=("pit", "void_depth"), provenance=MADE)
    assert [m.value for m in found] == [None] * 3
    assert "no plan map 'void_depth'" in found[0].method
