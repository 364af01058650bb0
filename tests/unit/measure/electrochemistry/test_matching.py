"""Scans find their rests, by time and by order, and the clock offset is found."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from tomolith.core import CyclerRecord
from tomolith.errors import InputError, MismatchError
from tomolith.measure.electrochemistry import (
    ScanTime,
    Steps,
    find_steps,
    match_by_order,
    match_by_time,
    pulse_doubts,
    scan_times,
)
from tomolith.phantom import cycler
from tomolith.phantom.protocol import Protocol

PROTOCOL = Protocol()
NAMES = [f"t{state:02d}" for state in range(PROTOCOL.n_states)]


def steps_of(protocol: Protocol, ahead_s: float = 0.0) -> Steps:
    log = cycler.simulate_cycler(protocol, key=1, sample_s=60)
    return find_steps(
        CyclerRecord(log.time_s + ahead_s, log.current_ma / 1e3, log.voltage_v, log.charge_mah)
    )


def scans_of(duration_s: float = 600.0) -> list[ScanTime]:
    middles = [PROTOCOL.scan_time_s(state) for state in range(PROTOCOL.n_states)]
    return [
        ScanTime(name, m - duration_s / 2, m + duration_s / 2)
        for name, m in zip(NAMES, middles, strict=True)
    ]


@pytest.mark.parametrize("ahead_s", [0.0, 37.0, -5000.0, 86400.0])
def test_the_clock_offset_of_the_phantom_is_found(ahead_s):
    match = match_by_time(steps_of(PROTOCOL, ahead_s), scans_of())
    assert [scan.after_pulse for scan in match.scans] == list(range(25))
    offset = match.clock_offset
    assert offset.value_s == pytest.approx(ahead_s, abs=1e-3)
    # scans of 600 s in rests of 1200 s leave 300 s on either side
    assert (offset.low_s, offset.high_s) == pytest.approx((ahead_s - 300, ahead_s + 300), abs=1e-3)
    assert offset.n_inside == 25
    assert offset.others_s == ()
    assert "25 of 25 scans" in match.notes[0]


def test_few_scans_leave_the_offset_ambiguous_and_this_is_said():
    match = match_by_time(steps_of(PROTOCOL), scans_of()[5:8])
    assert [scan.after_pulse for scan in match.scans] == [5, 6, 7]
    assert "ambiguous" in match.notes[0]


def test_a_scan_during_a_pulse_is_refused():
    scans = scans_of()
    scans[4] = ScanTime("t04", PROTOCOL.pulse_s_range(5)[0] + 10, PROTOCOL.pulse_s_range(5)[1])
    with pytest.raises(MismatchError, match=r"'t04' lies in no rest.*while pulse 5 runs"):
        match_by_time(steps_of(PROTOCOL), scans)


def test_a_given_offset_is_taken():
    match = match_by_time(steps_of(PROTOCOL, 1800.0), scans_of()[:3], clock_offset_s=1800.0)
    assert [scan.after_pulse for scan in match.scans] == [0, 1, 2]
    with pytest.raises(MismatchError, match="lies in no rest"):
        match_by_time(steps_of(PROTOCOL), scans_of()[:3], clock_offset_s=700.0)


def test_a_given_offset_says_how_many_scans_lie_in_rests():
    found = match_by_time(steps_of(PROTOCOL), scans_of(), clock_offset_s=10.0).clock_offset
    assert (found.value_s, found.n_inside) == (10.0, 25)
    late = steps_of(PROTOCOL)
    late = Steps(late.pulses, late.rests[1:], late.rest_below_a)
    assert match_by_time(late, scans_of(), clock_offset_s=0.0).clock_offset.n_inside == 24


def cut(until_s: float, *, close_up: tuple[float, float] | None = None) -> Steps:
    """Return the steps of a file that ends too soon, or lacks a stretch with its time."""
    log = cycler.simulate_cycler(PROTOCOL, key=1, sample_s=60)
    record = CyclerRecord(log.time_s, log.current_ma / 1e3, log.voltage_v, log.charge_mah)
    time_s, keep = record.time_s, record.time_s <= until_s
    if close_up:
        keep &= (time_s <= close_up[0]) | (time_s >= close_up[1])
        time_s = np.where(time_s >= close_up[1], time_s - close_up[1] + close_up[0], time_s)
    charge = record.charge_mah
    return find_steps(
        CyclerRecord(time_s[keep], record.current_a[keep], record.voltage_v[keep], charge[keep])
    )


def test_a_scan_after_a_pulse_that_was_cut_off_is_refused():
    steps = cut(23_000.0)  # in pulse 13, after 200 of 600 s
    assert "in pulse 13, after 3 of 10 min: it may be cut off" in pulse_doubts(steps)[0]
    every_third = scans_of()[:16:3]
    with pytest.raises(MismatchError, match=r"scan 't15'.*ends while current flows: in pulse 13"):
        match_by_time(steps, every_third)
    with pytest.raises(MismatchError, match=r"14 scans, but 13 rests.*may be cut off"):
        match_by_order(steps, NAMES[:14])
    assert not match_by_time(steps, every_third[:-1]).doubts  # the scans before lie in the file


def test_a_scan_long_after_the_end_of_the_file_is_refused():
    steps = cut(22_000.0)  # in the rest after pulse 12
    assert pulse_doubts(steps) == ()
    with pytest.raises(MismatchError, match=r"scan 't13'.*end of the cycler file.*last pulse, 12"):
        match_by_time(steps, scans_of()[:14], clock_offset_s=0.0)


def test_a_file_that_ends_with_a_whole_pulse_is_taken_to_rest_for_as_long_as_before():
    steps = cut(23_400.0)  # just after pulse 13
    match = match_by_time(steps, scans_of()[:14])
    assert match.scans[-1].after_pulse == 13
    assert match.doubts == ("scan 't13' lies outside the file; the cell is taken to rest",)
    by_order = match_by_order(steps, NAMES[:14])
    assert by_order.scans[-1].after_pulse == 13
    assert "no rest after pulse 13" in by_order.doubts[0]


def test_a_rest_that_is_missing_is_refused_by_time_and_told_always():
    steps = cut(1e9, close_up=(10_800.0, 12_000.0))  # the rest after pulse 6, with its time
    assert pulse_doubts(steps) == (
        "pulse 6 lasts 2 times the median of all (20 of 10 min): a rest between two pulses may be "
        "missing",
    )
    with pytest.raises(MismatchError, match=r"clock offsets put 4 of 5 scans.*none puts all"):
        match_by_time(steps, scans_of(480.0)[::6])
    with pytest.raises(MismatchError, match=r"25 scans, but 24 rests.*2 times the median"):
        match_by_order(steps, NAMES)


def test_scans_out_of_order_are_refused():
    scans = scans_of()
    scans[3], scans[4] = scans[4], scans[3]
    with pytest.raises(InputError, match=r"'t03'.*listed after 't04'"):
        match_by_time(steps_of(PROTOCOL), scans)


def test_the_fresh_cell_before_the_file_begins_is_taken_to_rest():
    whole = steps_of(PROTOCOL)
    steps = Steps(whole.pulses, whole.rests[1:], whole.rest_below_a)
    match = match_by_time(steps, scans_of())
    assert match.scans[0].after_pulse == 0
    assert any("'t00' lies outside the file" in note for note in match.notes)
    by_order = match_by_order(steps, NAMES)
    assert [scan.after_pulse for scan in by_order.scans] == list(range(25))
    assert any("after pulse 0" in note for note in by_order.notes)


def test_order_needs_as_many_scans_as_rests():
    steps = steps_of(PROTOCOL)
    assert [s.after_pulse for s in match_by_order(steps, NAMES).scans] == list(range(25))
    with pytest.raises(MismatchError, match="24 scans, but 25 rests"):
        match_by_order(steps, NAMES[1:])


def test_a_missing_rest_in_the_middle_is_refused():
    whole = steps_of(PROTOCOL)
    rests = (*whole.rests[:7], *whole.rests[8:])
    with pytest.raises(MismatchError, match="25 scans, but 24 rests"):
        match_by_order(Steps(whole.pulses, rests, 0.0), NAMES)


def test_two_scans_in_one_rest_are_reported():
    scans = [ScanTime("a", 100.0, 200.0), ScanTime("b", 300.0, 400.0), *scans_of()[1:]]
    match = match_by_time(steps_of(PROTOCOL), scans)
    assert any("'a' and 'b' lie in the same rest" in note for note in match.notes)


def test_no_rest_at_all_is_refused():
    whole = steps_of(PROTOCOL)
    with pytest.raises(MismatchError, match="no scan fits"):
        match_by_time(Steps(whole.pulses, (), 0.0), scans_of())


def test_time_stamps_count_from_the_start_of_the_test():
    day = datetime(2024, 3, 1, 12)
    stamps = [day + timedelta(seconds=scan.start_s) for scan in scans_of()]
    found = scan_times(NAMES, stamps, started=day, duration_s=600)
    assert [scan.start_s for scan in found] == [scan.start_s for scan in scans_of()]
