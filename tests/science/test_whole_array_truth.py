"""Every number of a scan is that of the whole array, counted by other means."""

from collections.abc import Iterator

import pytest
from benchmarks.whole_array_truth import EXACT, TOLERANCES, WholeScan, deviation, scan_truth

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import QUANTITIES
from tomolith.phantom import Cell, PhantomSettings

CASES = [(0, 0.0), (12, 0.0), (18, 0.0), (24, 0.0), (20, 10.0)]  # pulses, and a tilt of the cell
Numbers = dict[tuple[str, str], float | None]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"t{case[0]}-{case[1]:g}deg")
def scan(request) -> Iterator[tuple[WholeScan, Numbers]]:
    pulse, tilt_deg = request.param
    settings = PhantomSettings(preset="tiny", scans=(pulse,), seed=3, tilt_deg=tilt_deg)
    cell = Cell.build(settings, 0)
    labels = cell.draw(Box.whole(settings.shape_zyx), pulse).material
    grid = Grid(labels.shape, (settings.voxel_size_um,) * 3)
    names = [name for name in QUANTITIES.names() if name != "li_volume"]
    porous = {
        "name": "li_volume",
        "deposited_porosity_frac": settings.deposit_porosity_frac,
        "redeposited_porosity_frac": settings.redeposit_porosity_frac,
    }
    found = measure(
        LabelMap(Volume(labels, grid), PRESETS["li-operando"]),
        MeasureSettings(quantities=[porous, *names]),
        region="s",
        block_zyx=(16, 33, 64),
    )
    numbers = {(m.name, m.region.removeprefix("s/")): m.value for m in found}
    return WholeScan(cell, pulse, labels), numbers


def test_every_number_has_a_truth_and_is_within_its_tolerance(scan):
    whole, found = scan
    truth = scan_truth(whole)
    assert set(found) == set(truth)
    off = {key: deviation(found[key], truth[key]) for key in found}
    assert {k: v for k, v in off.items() if v > TOLERANCES.get(k[0], EXACT)} == {}


def test_every_quantity_gives_a_number(scan):
    assert {name for name, _ in scan[1]} >= set(QUANTITIES.names())
