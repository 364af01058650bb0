"""Pulses and rests of a protocol that is known exactly."""

import numpy as np
import pytest

from cycler_files import write_mpt
from tomolith.core import CyclerRecord
from tomolith.errors import MismatchError
from tomolith.measure.electrochemistry import current_on_s, envelope, find_steps, on_curve
from tomolith.phantom import cycler
from tomolith.phantom.protocol import Protocol
from tomolith.store.cyclers import read_cycler

PROTOCOL = Protocol()


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> CyclerRecord:
    path = tmp_path_factory.mktemp("cycler") / "cell.mpt"
    cycler.write_mpt(cycler.simulate_cycler(PROTOCOL, key=3), path)
    return read_cycler(path)


@pytest.fixture(scope="module")
def steps(record):
    return find_steps(record)


def test_every_pulse_and_rest_of_the_protocol_is_found(steps):
    assert len(steps.pulses) == 24
    assert [rest.after_pulse for rest in steps.rests] == list(range(25))
    for pulse in steps.pulses:
        found = (pulse.start_s, pulse.stop_s)
        assert found == pytest.approx(PROTOCOL.pulse_s_range(pulse.number))
        assert pulse.charge_mah == pytest.approx(pulse.direction * 0.125, rel=1e-9)
        assert pulse.current_ma == pytest.approx(pulse.direction * 0.75)
        assert pulse.half_cycle == (pulse.number > 12)
    for rest in steps.rests:
        assert (rest.start_s, rest.stop_s) == pytest.approx(PROTOCOL.rest_s_range(rest.after_pulse))


def test_current_on_time_stands_still_in_rests(steps):
    at = np.array([0.0, 1200.0, 1500.0, 1800.0, 2900.0, 3000.0, PROTOCOL.end_s])
    assert current_on_s(steps, at).tolist() == [0, 0, 300, 600, 600, 600, 14400]


def test_the_curve_without_rests_is_whole(record, steps):
    curve = on_curve(record, steps)
    assert set(curve.pulse.tolist()) == set(range(1, 25))
    assert curve.on_s[0] == 0
    assert curve.on_s[-1] == 14400
    assert (np.diff(curve.on_s) >= 0).all()


def test_the_envelope_shows_the_spike_of_nucleation_and_the_relaxed_cell(record, steps):
    found = envelope(record, steps)
    first = found[0]
    assert first.first_v > first.last_v
    assert abs(first.rested_v) < 0.005
    assert all(v.lowest_v <= v.last_v <= v.highest_v for v in found)
    assert all(v.highest_v < 0 for v in found[12:])


def test_pulses_without_rest_between_them(tmp_path):
    time_s = np.array([0.0, 10.0, 10.0, 20.0, 20.0, 30.0])
    record = CyclerRecord(time_s, np.array([1.0, 1, -1, -1, 1, 1]), np.zeros(6), None)
    steps = find_steps(record)
    assert [(p.direction, p.half_cycle) for p in steps.pulses] == [(1, 0), (-1, 1), (1, 2)]
    assert steps.rests == ()
    assert sum(p.charge_mah for p in steps.pulses) == pytest.approx(10 / 3.6)


def test_a_single_row_without_current_is_no_rest():
    time_s = np.array([0.0, 10.0, 10.1, 10.2, 20.0])
    record = CyclerRecord(time_s, np.array([1.0, 1, 0, 1, 1]), np.zeros(5), None)
    steps = find_steps(record)
    assert len(steps.pulses) == 1
    assert steps.rests == ()
    assert steps.notes


def test_a_cell_that_only_rests():
    steps = find_steps(CyclerRecord(np.arange(3.0), np.zeros(3), np.zeros(3), np.zeros(3)))
    assert steps.pulses == ()
    assert [(r.start_s, r.stop_s) for r in steps.rests] == [(0.0, 2.0)]
    assert current_on_s(steps, np.array([0.0, 2.0])).tolist() == [0.0, 0.0]


def test_one_false_pulse_among_right_ones_is_refused(tmp_path):
    record = read_cycler(write_mpt(tmp_path))
    charge = record.charge_mah.copy()
    charge[50:] += 0.01  # 8 % more in the first pulse
    with pytest.raises(MismatchError, match="pulse from 600 s"):
        find_steps(
            CyclerRecord(record.time_s, record.current_a.copy(), record.voltage_v.copy(), charge)
        )
