"""The protocol: charge by Faraday's current times time, and rests where scans fit."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core.lithium import charge_to_thickness_um
from tomolith.phantom.protocol import Protocol

DURATION = st.floats(0.1, 1e5)
PROTOCOLS = st.builds(Protocol, st.integers(0, 30), DURATION, DURATION, DURATION, DURATION)


def test_the_default_is_that_of_huang_2023():
    protocol = Protocol()
    assert protocol.current_ma == 0.75
    assert protocol.charge_per_pulse_mah == 0.125
    assert protocol.charge_per_pulse_mah_cm2 == 0.25
    assert protocol.n_states == 25
    assert protocol.end_s == 1200 + 24 * 1800
    assert protocol.passed_mah_cm2(12) == (3.0, 0.0)
    assert charge_to_thickness_um(protocol.charge_per_pulse_mah_cm2) == pytest.approx(1.2128, 1e-4)


def test_charge_is_current_times_time():
    protocol = Protocol(3, pulse_s=1800.0, current_density_ma_cm2=2.0, area_cm2=0.25)
    assert protocol.charge_per_pulse_mah == 0.5 * 0.5
    assert protocol.charge_per_pulse_mah_cm2 == 2.0 * 0.5


def test_what_was_passed_rises_on_charge_and_comes_back_on_discharge():
    passed = [Protocol(2).passed_mah_cm2(state) for state in range(5)]
    assert passed == [(0.0, 0.0), (0.25, 0.0), (0.5, 0.0), (0.5, 0.25), (0.5, 0.5)]


@given(PROTOCOLS)
def test_pulses_and_rests_tile_the_time_without_a_gap(protocol):
    edges = [protocol.rest_s_range(0)]
    for i in range(1, protocol.n_states):
        edges += [protocol.pulse_s_range(i), protocol.rest_s_range(i)]
    assert edges[0][0] == 0
    assert edges[-1][1] == protocol.end_s
    assert all(a[1] == b[0] for a, b in pairwise(edges))
    for k, (start_s, stop_s) in enumerate(edges):
        expected_s = protocol.pulse_s if k % 2 else protocol.rest_s
        assert stop_s - start_s == pytest.approx(expected_s, rel=1e-5)


@given(PROTOCOLS)
def test_every_scan_lies_in_the_middle_of_its_rest(protocol):
    for state in range(protocol.n_states):
        time_s = protocol.scan_time_s(state)
        before_s = protocol.pulse_s_range(state)[1] if state else 0.0
        last = state == protocol.n_states - 1
        after_s = protocol.end_s if last else protocol.pulse_s_range(state + 1)[0]
        assert time_s - before_s == pytest.approx(after_s - time_s, rel=1e-5)


def test_a_cell_that_only_rests_has_one_state():
    protocol = Protocol(0)
    assert (protocol.n_states, protocol.end_s) == (1, 1200.0)
    assert protocol.passed_mah_cm2(0) == (0.0, 0.0)
    with pytest.raises(ValueError, match="pulse 1 does not exist; there are none"):
        protocol.pulse_s_range(1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_pulses", -1),
        ("n_pulses", 2.5),
        ("pulse_s", 0.0),
        ("rest_s", -1.0),
        ("current_density_ma_cm2", math.nan),
        ("area_cm2", math.inf),
    ],
)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(ValueError, match=f"'{name}' is {value}"):
        Protocol(**{name: value})


def test_states_and_pulses_outside_are_refused():
    protocol = Protocol(2)
    for state in (-1, 5):
        for ask in (protocol.scan_time_s, protocol.passed_mah_cm2, protocol.rest_s_range):
            with pytest.raises(ValueError, match=f"state {state} does not exist; states are 0 to"):
                ask(state)
    for pulse in (0, 5):
        with pytest.raises(ValueError, match=f"pulse {pulse} does not exist; pulses are 1 to 4"):
            protocol.pulse_s_range(pulse)
