"""Quantities: block sizes, unknown voxel sizes, unlabelled voxels, bad labels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolith.config import parse_settings
from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.errors import InputError, MismatchError, RecipeError
from tomolith.measure import quantify
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities.base import ClassValue, Quantity, Region

SCHEMA = PRESETS["li-binary"]


def labelmap(values: np.ndarray, size: tuple | None = (2.0, 1.0, 0.5), **more: bool) -> LabelMap:
    array = np.asarray(values, np.uint8)
    return LabelMap(Volume(array, Grid(array.shape, size, **more)), SCHEMA)


def found(labels: LabelMap, **options: object) -> dict[tuple[str, str], float | None]:
    chosen = MeasureSettings(**{k: v for k, v in options.items() if k == "quantities"})
    more = {k: v for k, v in options.items() if k == "block_zyx"}
    measurements = measure(labels, chosen, region="scan-0", **more)
    return {(m.name, m.region.split("/")[1]): m.value for m in measurements}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.tuples(*[st.integers(1, 9)] * 3))
def test_block_size_changes_no_digit(seed: int, block_zyx: tuple[int, int, int]) -> None:
    values = np.random.default_rng(seed).choice([0, 1, 255], (5, 7, 6))
    labels = labelmap(values)
    got = found(labels, block_zyx=block_zyx)
    assert got == found(labels)
    assert got["voxel_count", "lithium"] == int((values == 1).sum())
    assert got["voxel_count", "unlabelled"] == int((values == 255).sum())
    assert got["volume", "lithium"] == int((values == 1).sum()) * 1.0
    assert got["share", "lithium"] == 100 * (values == 1).sum() / (values != 255).sum()


def test_unknown_voxel_size_gives_counts_and_shares_and_says_what_is_missing() -> None:
    got = found(labelmap(np.ones((1, 2, 2)), None))
    assert got["voxel_count", "lithium"] == 4
    assert got["share", "lithium"] == 100.0
    assert got["volume", "lithium"] is None
    assert ("volume", "background") in got


def test_volume_asked_for_by_name_is_refused_without_a_voxel_size() -> None:
    with pytest.raises(InputError, match="voxel size is unknown") as error:
        found(labelmap(np.ones((1, 2, 2)), None), quantities=["volume"])
    assert "voxel_size_um" in str(error.value)
    with pytest.raises(InputError, match="independent 2-D images"):
        found(labelmap(np.ones((1, 2, 2)), sections=True), quantities=["volume"])


def test_without_any_label_there_is_no_share() -> None:
    got = found(labelmap(np.full((1, 2, 2), 255)))
    assert got["share", "lithium"] is None
    assert got["voxel_count", "lithium"] == 0


def test_values_outside_the_schema_are_listed() -> None:
    values = np.zeros((1, 2, 2))
    values[0, 0] = 7
    with pytest.raises(MismatchError, match=r"7 \(2 voxels so far\)"):
        found(labelmap(values))


def test_unknown_quantity_is_refused_with_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'volume'"):
        parse_settings(MeasureSettings, {"quantities": ["volum"]}, where="recipe.yaml")


def test_all_stands_for_what_is_not_named() -> None:
    named = {"name": "li_volume", "deposited_porosity_frac": 0.3}
    chosen = MeasureSettings(quantities=[named, "all"]).chosen()
    assert chosen[0].options == {"deposited_porosity_frac": 0.3}
    assert sorted(c.name for c in chosen) == sorted(c.name for c in MeasureSettings().chosen())
    flat = labelmap(np.ones((1, 2, 2)), None)
    got = found(flat, quantities=["share", "all"])  # what only 'all' means is never refused
    assert got == found(flat)
    with pytest.raises(InputError, match="no class 'electrode'"):
        found(flat, quantities=["gap", "all"])


def test_measurements_carry_unit_and_provenance() -> None:
    first = measure(labelmap(np.ones((1, 2, 2))), MeasureSettings(quantities=["volume"]))[0]
    assert (first.unit, first.provenance.step) == ("um3", "measure")
    assert first.provenance.settings_hash


class Neighbours(Quantity):
    """Number of lithium pairs along z: needs one voxel of halo."""

    unit = "pairs"
    halo_zyx: ClassVar[tuple[int, int, int]] = (1, 0, 0)
    n = 0

    def update(self, region: Region) -> None:
        labels, core = region.labels, region.core.relative_to(region.read)
        for z in range(core.start_zyx[0], core.stop_zyx[0]):
            if z + 1 < labels.shape[0]:
                _, y, x = core.slices
                self.n += int(((labels[z, y, x] == 1) & (labels[z + 1, y, x] == 1)).sum())

    def merge(self, other: Neighbours) -> None:
        self.n += other.n

    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        return (ClassValue("lithium", self.n),)


@pytest.mark.parametrize("block", [(1, 2, 2), (2, 9, 9), (9, 9, 9)])
def test_a_quantity_gets_the_halo_it_declares(
    block: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomolith.config import Registry

    registry = Registry("quantity", {"pairs": f"{__name__}:Neighbours"}, group="none")
    monkeypatch.setattr(registry, "load", lambda name: Neighbours)
    monkeypatch.setattr(quantify, "QUANTITIES", registry)
    labels = labelmap(np.ones((4, 3, 3)))
    assert found(labels, quantities=["pairs"], block_zyx=block) == {("pairs", "lithium"): 27}
    sections = labelmap(np.ones((4, 3, 3)), sections=True)  # the next section is no neighbour
    assert found(sections, quantities=["pairs"], block_zyx=(1, 9, 9)) == {("pairs", "lithium"): 0}
