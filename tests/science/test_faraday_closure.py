"""Drawn lithium obeys Faraday's law: it is counted voxel by voxel and held against the charge."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phantom_helpers import (
    ALL_PULSES,
    DENDRITE,
    DEPOSITED,
    REDEPOSITED,
    draw,
    electrode_counts,
)
from tomolith.core import charge_to_thickness_um
from tomolith.phantom import Cell, PhantomSettings, State

SMALL = {"preset": "tiny", "shape_zyx": (32, 64, 40), "scans": ALL_PULSES}
TOLERANCE = 0.005
# a solver that moves surfaces cannot hit a number of voxels better than this
FINEST_VOXELS = 1


@dataclass(frozen=True)
class Moved:
    """Dense metal over the plane, in µm."""

    plated: float
    redeposited: float
    stripped: float


def count_moved(cell: Cell, *, deposit_porosity: float | None = None) -> dict[int, Moved]:
    s = cell.settings
    if deposit_porosity is None:
        deposit_porosity = s.deposit_porosity_frac
    per_voxel_um = s.voxel_size_um / (s.shape_zyx[0] * s.shape_zyx[2])
    fresh = electrode_counts(draw(cell, 0))
    found = {}
    for pulse in s.scans:
        material = draw(cell, pulse)
        n = np.bincount(material.ravel(), minlength=6)
        stripping, plating = electrode_counts(material)
        plated = plating - fresh[1] + n[DENDRITE] + n[DEPOSITED] * (1 - deposit_porosity)
        found[pulse] = Moved(
            plated * per_voxel_um,
            n[REDEPOSITED] * (1 - s.redeposit_porosity_frac) * per_voxel_um,
            (fresh[0] - stripping) * per_voxel_um,
        )
    return found


def worst_error(settings: PhantomSettings, **options: float) -> float:
    """Return the largest error of any pulse, in units of what is allowed."""
    found = count_moved(Cell.build(settings, 0), **options)
    half, whole = (State.after(settings, n * settings.n_pulses) for n in (1, 2))
    finest_um = FINEST_VOXELS * settings.voxel_size_um
    finest_um /= settings.shape_zyx[0] * settings.shape_zyx[2]
    worst = 0.0
    for pulse, moved in found.items():
        state = State.after(settings, pulse)
        for is_um, should_um, largest_um in (
            (moved.plated, state.visible_um, half.visible_um),
            (moved.redeposited, state.redeposited_um, whole.redeposited_um),
            (moved.stripped, state.stripped_um, half.stripped_um),
        ):
            # what is 0 again at the end is held against what it was at most
            allowed_um = TOLERANCE * (should_um if should_um > 1e-9 else largest_um)
            worst = max(worst, abs(is_um - should_um) / max(allowed_um, finest_um))
    return worst


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_every_pulse_of_any_cell_moves_what_faraday_says(seed):
    assert worst_error(PhantomSettings(**SMALL, seed=seed)) <= 1


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_tiny_preset_closes_without_help_of_the_voxel_size(seed):
    cell = Cell.build(PhantomSettings(preset="tiny", scans=ALL_PULSES, seed=seed), 0)
    for pulse, moved in count_moved(cell).items():
        state = State.after(cell.settings, pulse)
        if 0 < pulse < 24:
            assert moved.plated == pytest.approx(state.visible_um, rel=TOLERANCE)
        assert moved.redeposited == pytest.approx(state.redeposited_um, rel=TOLERANCE)
        assert moved.stripped == pytest.approx(state.stripped_um, rel=TOLERANCE)


@pytest.mark.parametrize(
    "values",
    [
        {"coulombic_efficiency": 1.0},
        {"hidden_frac": 0.0},
        {"coulombic_efficiency": 1.0, "hidden_frac": 0.0},
        {"coulombic_efficiency": 0.5},
        {"n_dendrites": 0},
        {"n_dendrites": 3},
        {"dendrite_share": 0.0},
        {"dendrite_share": 1.0},
        {"dead_frac": 0.0},
        {"dead_frac": 1.0},
        {"current_density_ma_cm2": 0.5},
        {"current_density_ma_cm2": 2.5},
        {"tilt_deg": 3.0, "shape_zyx": (32, 76, 40)},
        {"swelling_um": 0.0},
        {"roughness_um": 0.0},
        {"n_pits": 0},
        {"pit_share": 0.0},
        {"porosity_frac": 0.0},
        {"deposit_porosity_frac": 0.0, "redeposit_porosity_frac": 0.0},
        {"deposit_porosity_frac": 0.7, "redeposit_porosity_frac": 0.7},
        {"void_um": 0.0},
        {"void_um": 15.0},
        {"n_pulses": 30, "pulse_min": 4.0, "scans": (0, 1, 7, 29, 30, 31, 45, 59, 60)},
    ],
    ids=lambda values: "-".join(f"{key}={value}" for key, value in values.items()),
)
def test_other_cells_and_protocols_close_too(values):
    assert worst_error(PhantomSettings(**{**SMALL, **values})) <= 1


def test_the_second_cell_of_a_series_closes_too():
    cell = Cell.build(PhantomSettings(**SMALL, n_cells=2), 1)
    for pulse, moved in count_moved(cell).items():
        visible_um = State.after(cell.settings, pulse).visible_um
        assert moved.plated == pytest.approx(visible_um, rel=TOLERANCE, abs=0.01)


def test_the_count_would_notice_a_wrong_porosity():
    assert worst_error(PhantomSettings(**SMALL), deposit_porosity=0.33) > 3


def test_the_charge_is_that_of_the_paper():
    cell = Cell.build(PhantomSettings(preset="tiny", scans=(0, 12)), 0)
    # 12 pulses of 10 min at 1.5 mA/cm², 95 % of it plated, a tenth of that too fine to be seen
    moved = count_moved(cell)[12]
    assert moved.stripped == pytest.approx(12 * 1.2128, rel=0.002)
    assert moved.plated == pytest.approx(0.95 * 0.9 * charge_to_thickness_um(3.0), rel=0.002)
