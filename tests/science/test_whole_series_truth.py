"""Every number of a series is that of the whole arrays and of the simulated current."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from benchmarks.measured_cell import Numbers, measure_cell
from benchmarks.whole_array_truth import EXACT, Truth, WholeScan, deviation
from benchmarks.whole_series_truth import (
    SERIES_TOLERANCES,
    Key,
    Spread,
    WholeSeries,
    n_effective,
    series_truth,
)
from scipy import ndimage

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.series_quantities import SERIES_QUANTITIES
from tomolith.phantom import Cell, PhantomSettings
from tomolith.phantom.cycler import simulate_cycler, write_mpt

NEEDED = (
    *("li_volume", "gap", "cell_thickness", "plan_coverage"),
    *("volume", "effective_thickness"),
)
# pulses of the scans, a tilt of the cell, and a volume that it fits in; the first series has no
# scan at half cycle, nor three of any half cycle
CASES = [((0, 6, 18, 24), 0.0, (64, 64, 64)), ((0, 3, 6, 12, 18, 21, 24), 10.0, (40, 80, 48))]


@dataclass(frozen=True)
class Measured:
    settings: PhantomSettings
    found: Numbers
    truth: dict[Key, Truth]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{len(case[0])}-scans")
def series(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    pulses, tilt_deg, shape_zyx = request.param
    settings = PhantomSettings(
        preset="tiny", scans=pulses, seed=3, tilt_deg=tilt_deg, shape_zyx=shape_zyx
    )
    cell, grid = Cell.build(settings, 0), Grid(settings.shape_zyx, (settings.voxel_size_um,) * 3)
    path: Path = tmp_path_factory.mktemp("cycler") / "cell0.mpt"
    write_mpt(simulate_cycler(settings.protocol, key=1), path)
    whole = {
        f"t{pulse:02d}": WholeScan(
            cell, pulse, cell.draw(Box.whole(settings.shape_zyx), pulse).material
        )
        for pulse in pulses
    }
    labels = {
        name: LabelMap(Volume(scan.labels, grid), PRESETS["li-operando"])
        for name, scan in whole.items()
    }
    found = measure_cell(labels, settings, path, quantities=NEEDED).of_series
    return Measured(settings, found, series_truth(WholeSeries(whole)))


def test_every_number_has_a_truth_and_is_within_its_tolerance(series: Measured) -> None:
    found, truth = series.found, series.truth
    assert set(found) == set(truth)
    off = {key: deviation(found[key], truth[key]) for key in found}
    assert {k: v for k, v in off.items() if v > SERIES_TOLERANCES.get(k[1], EXACT)} == {}


def test_every_quantity_of_a_series_gives_a_number(series: Measured) -> None:
    given = {name for (_, name, _), value in series.found.items() if value is not None}
    fitted = set() if len(series.settings.scans) > 4 else {"thickness_growth"}
    assert given == {quantity.name for quantity in SERIES_QUANTITIES} - fitted


def test_the_scans_show_what_the_simulation_lets_them_see_of_the_charge(series: Measured) -> None:
    """All Li is taken from the stripping side; what arrives is less by loss and hidden Li."""
    shown = series.settings.coulombic_efficiency * (1 - series.settings.hidden_frac)
    ratios = {k: v for k, v in series.found.items() if k[1] == "capacity_ratio" and v is not None}
    assert len(ratios) > 3
    for (scan, _, part), ratio in ratios.items():
        leaves = part == "cell, stripping side" and int(scan[1:]) <= series.settings.n_pulses
        assert ratio == pytest.approx(1.0 if leaves else shown, rel=0.002)


def test_independent_columns_added_up_by_lags_are_those_of_the_whole_matrices() -> None:
    rng, shape = np.random.default_rng(0), (12, 9)
    a, b = (ndimage.gaussian_filter(rng.normal(size=shape), 1.5) for _ in range(2))
    u, v = (index.ravel() for index in np.indices(shape))
    ring = np.rint(np.hypot(u[:, None] - u, v[:, None] - v)).astype(int)
    centre = np.eye(a.size) - 1 / a.size
    products = []
    for values in (a, b):
        rest = (values - values.mean()).ravel()
        mean = np.bincount(ring.ravel(), np.outer(rest, rest).ravel()) / np.bincount(ring.ravel())
        mean[5:] = 0.0  # farther than half of the shorter side
        products.append(centre @ mean[ring])
    first, second = products
    wanted = 1 + np.trace(first) * np.trace(second) / np.trace(first @ second)
    assert 4 < wanted < a.size
    assert n_effective(Spread(a), Spread(b)) == pytest.approx(wanted, rel=1e-9)
