"""Charge, lithium and what scans show of it: numbers worked out by hand, and the phantom's."""

import math
from dataclasses import replace

import pytest

from tomolith.core import Grid, Interval
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
    assert [r.interval for r in ratios] == [None] * 4
    assert ratios[2].cycler_mah == pytest.approx(-0.0125)


def test_the_missing_share_and_its_interval():
    full = expected_lithium(0.125, electrode_area_cm2=0.5).volume_um3
    bounds = [Interval((v - w) * full, (v + w) * full, "x") for v, w in ((0, 0.03), (0.5, 0.04))]
    seen = [SeenVolume(0, 0.0, bounds[0]), SeenVolume(2, 0.5 * full, bounds[1])]
    (ratio,) = capacity_ratios(PULSES, seen, analysed_frac=1.0)
    assert (ratio.from_pulse, ratio.to_pulse) == (0, 2)
    assert ratio.missing_frac == pytest.approx(0.75)
    assert ratio.interval is not None
    arm = math.hypot(0.025, 0.01 * 0.25)  # of the volumes, of the charge
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((0.25 - arm, 0.25 + arm))
    assert ratio.interval.method == "x; 1 % of the charge that flowed, either way"


def test_charge_that_nearly_cancels_gives_a_ratio_without_an_interval():
    there, back = PULSES[0], replace(PULSES[2], number=2, charge_mah=-0.9 * PULSES[0].charge_mah)
    full = expected_lithium(PULSES[0].charge_mah, electrode_area_cm2=0.5).volume_um3
    seen = [SeenVolume(0, 0.0, Interval(0.0, 0.0, "x"))]
    seen.append(SeenVolume(2, 0.1 * full, Interval(0.1 * full, 0.1 * full, "x")))
    (wide,) = capacity_ratios([there, back], seen, analysed_frac=1.0)
    assert wide.interval is not None  # 1 % of 1.9 pulses, of a tenth of one
    assert wide.interval.half_width == pytest.approx(0.19)
    nearly = replace(back, charge_mah=-0.985 * PULSES[0].charge_mah)
    (open_ratio,) = capacity_ratios([there, nearly], seen, analysed_frac=1.0)
    assert open_ratio.ratio == pytest.approx(0.1 / 0.015) and open_ratio.interval is None


def test_on_discharge_the_ends_of_the_interval_stay_in_order():
    full = expected_lithium(0.125, electrode_area_cm2=0.5).volume_um3
    bounds = [Interval((v - 0.03) * full, (v + 0.1) * full, "x") for v in (1.0, 0.5)]
    seen = [SeenVolume(2, full, bounds[0]), SeenVolume(3, 0.5 * full, bounds[1])]
    (ratio,) = capacity_ratios(PULSES, seen, analysed_frac=1.0)
    assert ratio.ratio == pytest.approx(0.5)
    assert ratio.interval is not None
    # half widths of volumes, which lie alike around the value, and of the charge
    arm = math.hypot(0.065, 0.065, 0.01 * 0.5)
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((0.5 - arm, 0.5 + arm))


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
