"""Charge, lithium and what scans show of it: numbers worked out by hand, and the phantom's."""

import pytest

from tomolith.core import Grid
from tomolith.errors import InputError
from tomolith.measure.electrochemistry import (
    Pulse,
    SeenVolume,
    capacity_ratios,
    expected_lithium,
    local_current_density_ma_cm2,
    plan_area_cm2,
)

PULSES = [
    Pulse(n, 1 if n <= 2 else -1, n > 2, 100.0 * n, 100.0 * n + 50, (0, 1), 0.75, q)
    for n, q in ((1, 0.125), (2, 0.125), (3, -0.125), (4, -0.125))
]


def test_the_papers_pulse():
    li = expected_lithium(0.125, electrode_area_cm2=0.5, analysed_area_cm2=0.05)
    assert li.amount_umol == pytest.approx(4.664, abs=5e-4)
    assert li.mass_ug == pytest.approx(32.38, abs=5e-3)
    assert li.volume_um3 == pytest.approx(6.06e7, rel=1e-3)
    assert li.thickness_um == pytest.approx(1.213, abs=5e-4)
    assert li.analysed_frac == pytest.approx(0.1)
    assert li.analysed_volume_um3 == pytest.approx(li.thickness_um * 0.05e8)
    assert li.analysed_charge_mah == pytest.approx(0.0125)


@pytest.mark.parametrize(("axis", "expected"), [("z", 12e-8), ("y", 8e-8), ("x", 6e-8)])
def test_the_plan_area_of_any_axis(axis, expected):
    assert plan_area_cm2(Grid((2, 3, 4), (1.0, 1.0, 1.0)), axis=axis) == pytest.approx(expected)
    thick = Grid((2, 3, 4), (5.0, 1.0, 1.0))
    assert plan_area_cm2(thick, axis=axis) == pytest.approx(
        expected if axis == "z" else 5 * expected
    )


def test_an_area_needs_a_voxel_size():
    with pytest.raises(InputError, match="voxel size is not known"):
        plan_area_cm2(Grid((4, 4, 4), None))


@pytest.mark.parametrize("analysed", [0.6, 0.0, -1.0])
def test_an_analysed_area_beyond_the_electrode_is_refused(analysed):
    with pytest.raises(InputError, match="analysed area"):
        expected_lithium(1.0, electrode_area_cm2=0.5, analysed_area_cm2=analysed)


def test_the_ratio_is_one_where_all_lithium_is_seen():
    full = expected_lithium(0.125, electrode_area_cm2=0.5, analysed_area_cm2=0.05)
    volumes = [k * full.analysed_volume_um3 for k in (0, 1, 2, 1, 0)]
    seen = [SeenVolume(state, volume) for state, volume in enumerate(volumes)]
    ratios = capacity_ratios(PULSES, seen, analysed_frac=0.1)
    assert [r.ratio for r in ratios] == pytest.approx([1.0] * 4)
    assert [r.low for r in ratios] == [None] * 4
    assert ratios[2].cycler_mah == pytest.approx(-0.0125)


def test_the_missing_share_and_its_interval():
    full = expected_lithium(0.125, electrode_area_cm2=0.5).volume_um3
    seen = [SeenVolume(0, 0.0, 0.03 * full), SeenVolume(2, 0.5 * full, 0.04 * full)]
    (ratio,) = capacity_ratios(PULSES, seen, analysed_frac=1.0)
    assert (ratio.from_pulse, ratio.to_pulse) == (0, 2)
    assert ratio.missing_frac == pytest.approx(0.75)
    assert (ratio.low, ratio.high) == pytest.approx((0.225, 0.275))


def test_no_ratio_without_charge():
    seen = [SeenVolume(1, 0.0), SeenVolume(1, 1.0)]
    with pytest.raises(InputError, match="no net charge"):
        capacity_ratios(PULSES, seen, analysed_frac=1.0)
    with pytest.raises(InputError, match="no net charge"):
        capacity_ratios(PULSES, [SeenVolume(0, 0.0), SeenVolume(4, 1.0)], analysed_frac=1.0)


def test_plating_on_a_tenth_of_the_area_is_ten_times_as_dense():
    found = local_current_density_ma_cm2(0.75, electrode_area_cm2=0.5, covered_frac=0.1)
    assert found == pytest.approx(15.0)
    with pytest.raises(InputError, match="is covered"):
        local_current_density_ma_cm2(0.75, electrode_area_cm2=0.5, covered_frac=0.0)
