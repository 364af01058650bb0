"""Faraday's law for Li against hand-calculated values and against its own constants."""

import numpy as np
import pytest

from tomolith.core import lithium


def test_the_charge_of_one_pulse_by_hand():
    """0.125 mAh is 0.45 C; the numbers are worked out from F, 3860 mAh/g and 0.534 g/cm³."""
    assert lithium.charge_to_amount_umol(0.125) == pytest.approx(0.45 / 96485.33212 * 1e6)
    assert lithium.charge_to_amount_umol(0.125) == pytest.approx(4.664, abs=5e-4)
    assert lithium.charge_to_mass_ug(0.125) == pytest.approx(32.383, abs=5e-4)
    assert lithium.charge_to_volume_um3(0.125) == pytest.approx(6.0643e7, rel=1e-5)
    assert lithium.charge_to_thickness_um(0.125 / 0.5) == pytest.approx(1.2129, abs=5e-5)


def test_thickness_times_area_is_volume():
    area_um2 = 0.5 * 1e8
    thickness_um = lithium.charge_to_thickness_um(0.125 / 0.5)
    assert thickness_um * area_um2 == pytest.approx(lithium.charge_to_volume_um3(0.125), rel=1e-12)


def test_mass_over_density_is_volume():
    mass_ug, volume_um3 = lithium.charge_to_mass_ug(2.0), lithium.charge_to_volume_um3(2.0)
    assert mass_ug * 1e-6 / lithium.DENSITY_G_CM3 == pytest.approx(volume_um3 * 1e-12, rel=1e-12)


def test_the_rounded_capacity_agrees_with_faraday_within_a_tenth_of_a_percent():
    by_amount_ug = lithium.charge_to_amount_umol(1.0) * lithium.MOLAR_MASS_G_MOL
    assert by_amount_ug == pytest.approx(lithium.charge_to_mass_ug(1.0), rel=1e-3)
    assert by_amount_ug != lithium.charge_to_mass_ug(1.0)


@pytest.mark.parametrize("charge", [0.0, 1e-9, 0.125, -3.0])
def test_there_and_back(charge):
    volume_um3 = lithium.charge_to_volume_um3(charge)
    assert lithium.volume_to_charge_mah(volume_um3) == pytest.approx(charge, rel=1e-14)
    thickness_um = lithium.charge_to_thickness_um(charge)
    assert lithium.thickness_to_charge_mah_cm2(thickness_um) == pytest.approx(charge, rel=1e-14)


def test_arrays_go_through_element_by_element():
    charge_mah = np.array([[0.0, 0.125], [-0.125, 3.0]])
    expected = [[lithium.charge_to_volume_um3(float(q)) for q in row] for row in charge_mah]
    assert np.array_equal(lithium.charge_to_volume_um3(charge_mah), expected)
