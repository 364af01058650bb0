"""True numbers: counted in blocks of any layout, and each as it is counted by hand."""

import csv
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from phantom_helpers import (
    DENDRITE,
    DEPOSITED,
    ELECTRODE,
    PIT,
    REDEPOSITED,
    draw,
    electrode_counts,
    swelling_vox,
)
from tomolith.core import Box
from tomolith.phantom import MATERIALS, Cell, PhantomSettings, State
from tomolith.phantom import truth as module
from tomolith.phantom.truth import TruthCounter, porosity_frac, write_truth

SETTINGS = PhantomSettings(preset="tiny", scans=(0, 6, 12, 18, 24), dead_frac=0.6)
WHOLE = Box.whole(SETTINGS.shape_zyx)
AREA_UM2 = (64 * 5.32) ** 2
VOXEL_UM3 = 5.32**3


@pytest.fixture(scope="module")
def cell():
    return Cell.build(SETTINGS, 0)


@pytest.fixture(scope="module")
def materials(cell):
    return {pulse: draw(cell, pulse) for pulse in SETTINGS.scans}


def count(cell, pulse, material, tile_zyx=SETTINGS.shape_zyx):
    counter = TruthCounter(cell, pulse)
    for box in WHOLE.tiles(tile_zyx):
        counter.add(box, material[box.slices])
    return counter.rows(f"cell0-t{pulse:02d}", 0)


def numbers(cell, pulse, material):
    return {(row.quantity, row.region): row.value for row in count(cell, pulse, material)}


@settings(max_examples=25, deadline=None)
@given(tile_zyx=st.tuples(*[st.integers(5, 64)] * 3), pulse=st.sampled_from(SETTINGS.scans))
def test_the_layout_of_the_blocks_does_not_show(tile_zyx, pulse, cell, materials):
    material = materials[pulse]
    assert count(cell, pulse, material, tile_zyx) == count(cell, pulse, material)


def test_blocks_may_come_in_any_order_from_many_threads(cell, materials):
    counter = TruthCounter(cell, 18)
    boxes = list(WHOLE.tiles((16, 16, 16)))
    np.random.default_rng(0).shuffle(boxes)

    def work(part):
        for box in part:
            counter.add(box, materials[18][box.slices])

    threads = [threading.Thread(target=work, args=(boxes[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.rows("cell0-t18", 0) == count(cell, 18, materials[18])


@pytest.mark.parametrize("pulse", SETTINGS.scans)
def test_volumes_are_those_counted_with_numpy(pulse, cell, materials):
    material, found = materials[pulse], numbers(cell, pulse, materials[pulse])
    for index, name in enumerate(MATERIALS):
        n = int((material == index).sum())
        assert found["voxel_count", name] == n
        assert found["volume", name] == pytest.approx(n * VOXEL_UM3)
        assert found["volume_percent", name] == pytest.approx(100 * n / material.size)
        assert found["effective_thickness", name] == pytest.approx(n * VOXEL_UM3 / AREA_UM2)
        covered = (material == index).any(axis=1).mean()
        assert found["plan_coverage", name] == pytest.approx(covered)
    for side, n in zip(("stripping", "plating"), electrode_counts(material), strict=True):
        region = f"electrode, {side} side"
        assert found["li_volume", region] == pytest.approx(n * VOXEL_UM3)
        assert found["effective_thickness", region] == pytest.approx(n * VOXEL_UM3 / AREA_UM2)


def test_pores_are_no_lithium(cell, materials):
    found = numbers(cell, 18, materials[18])
    for name, metal in (("dendrite", 1.0), ("deposited", 0.7), ("redeposited", 0.6)):
        assert found["li_volume", name] == pytest.approx(metal * found["volume", name])
        assert porosity_frac(cell, name) == pytest.approx(1 - metal)


@pytest.mark.parametrize("pulse", SETTINGS.scans)
def test_voids_and_filling_are_those_of_the_columns(pulse, cell, materials):
    material, found = materials[pulse], numbers(cell, pulse, materials[pulse])
    over_void = np.zeros((64, 64), bool)
    for y in range(63):
        over_void |= (material[:, y] == PIT) & (material[:, y + 1] == REDEPOSITED)
    assert found["void_map_share", "redeposited"] == pytest.approx(over_void.mean())
    n_filled, n_pit = (material == REDEPOSITED).sum(), (material == PIT).sum()
    if n_filled + n_pit:
        assert found["pit_filling", "pit"] == pytest.approx(n_filled / (n_filled + n_pit))
    else:
        assert found["pit_filling", "pit"] is None
    if pulse <= 12:
        assert found["void_map_share", "redeposited"] == 0


@pytest.mark.parametrize("pulse", SETTINGS.scans)
def test_dead_lithium_is_what_has_no_way_to_the_electrode(pulse, cell, materials):
    material = materials[pulse]
    electrode = material == ELECTRODE
    electrode[:, :32] = False
    plated = np.isin(material, (DENDRITE, DEPOSITED))
    # another way than labelling: what can be reached from the electrode
    alive = ndimage.binary_propagation(
        electrode, structure=np.ones((3, 3, 3), bool), mask=electrode | plated
    )
    n_dead = int((plated & ~alive).sum())
    found = numbers(cell, pulse, material)["dead_li_volume", "dendrite and deposited, 26-connected"]
    assert found == pytest.approx(n_dead * VOXEL_UM3)
    if pulse in (18, 24):
        assert n_dead > 50


def test_positions_follow_the_drawn_electrodes(cell, materials):
    fresh = numbers(cell, 0, materials[0])
    for pulse in SETTINGS.scans:
        found, material = numbers(cell, pulse, materials[pulse]), materials[pulse]
        assert found["swelling", "plating side"] == pytest.approx(swelling_vox(cell, pulse) * 5.32)
        is_electrode = material == ELECTRODE
        last = 31 - np.argmax(is_electrode[:, 31::-1], axis=1)
        first = 32 + np.argmax(is_electrode[:, 32:], axis=1)
        gap_um = (first - last - 1).mean() * 5.32
        assert found["gap", "electrodes"] == pytest.approx(gap_um, abs=1)
        stripping, plating = (
            found["position", f"electrode, {side} side"] for side in ("stripping", "plating")
        )
        assert plating - stripping == pytest.approx(found["gap", "electrodes"])
        # the electrode that is stripped only ever recedes
        assert stripping <= fresh["position", "electrode, stripping side"]


def test_what_moved_is_what_the_state_says(cell, materials):
    for pulse in SETTINGS.scans:
        found, state = numbers(cell, pulse, materials[pulse]), State.after(SETTINGS, pulse)
        for key, um in {
            ("charge_passed", "charge"): state.charged_um,
            ("charge_passed", "discharge"): state.returned_um,
            ("li_moved", "stripped"): state.stripped_um,
            ("li_moved", "plating side, visible"): state.visible_um,
            ("li_moved", "redeposited, visible"): state.redeposited_um,
        }.items():
            assert found[key] == pytest.approx(um * AREA_UM2)


def test_too_large_a_scan_has_no_number_for_dead_lithium(monkeypatch, tmp_path, cell, materials):
    monkeypatch.setattr(module, "LARGEST_CONNECTED_VOXELS", 64**3 - 1)
    rows = count(cell, 24, materials[24])
    assert [row.quantity for row in rows if row.value is None] == ["dead_li_volume"]
    write_truth(rows, tmp_path)
    table = pd.read_parquet(tmp_path / "truth.parquet").set_index("quantity")
    assert np.isnan(table.loc["dead_li_volume", "value"])
    with (tmp_path / "truth.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert (last["quantity"], last["value"]) == ("dead_li_volume", "")


def test_a_truth_of_nothing_but_gaps_keeps_its_column_of_numbers(tmp_path, cell, materials):
    rows = [row for row in count(cell, 0, materials[0]) if row.value is None]
    assert [row.quantity for row in rows] == ["pit_filling"]
    write_truth(rows, tmp_path)
    assert pd.read_parquet(tmp_path / "truth.parquet")["value"].dtype == np.float64
