"""Plan maps of a series: which go together, and where Li grew back."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, LabelMap, Provenance, Volume
from tomolith.errors import MismatchError
from tomolith.measure.colocalisation import colocalisation, growth_map, growth_scans
from tomolith.measure.persistence import persistence
from tomolith.measure.plan_maps import PlanMaps, plan_maps

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


def values(found: list, name: str) -> dict[str, float | None]:
    return {m.region: m.value for m in found if m.name == name}


def test_what_lies_above_the_same_places_correlates(series: dict[str, PlanMaps]) -> None:
    found = colocalisation(series, provenance=MADE)
    r, p = values(found, "pearson"), values(found, "pearson_p")
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
    shares = values(colocalisation(series, provenance=MADE), "growth_share")
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
    assert values(found, "persistence_jaccard")[region] == pytest.approx(0.5)
    assert values(found, "persistence_dice")[region] == pytest.approx(2 / 3)
    assert values(found, "persistence_share")[region] == pytest.approx(0.5)
    chance = values(found, "persistence_share_by_chance")[region]
    assert chance == pytest.approx(4 * 12 / (SHAPE[0] * SHAPE[2]))
    assert values(found, "persistence_p")[region] == pytest.approx(5 / (24 * 24))
    assert values(found, "persistence_share")["t24/deposited since t12"] == 0


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
        values(colocalisation({"s": maps(labels, size)}, provenance=MADE), "pearson")
        for size in (1.0, None)
    )
    assert known == unknown
