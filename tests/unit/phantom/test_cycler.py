"""The cycler: charge by Faraday to the last bit, a plausible voltage, files that say the same."""

import csv
import math
from itertools import pairwise

import numpy as np
import pytest

from tomolith.phantom.cycler import simulate_cycler, write_bdf_csv, write_mpt
from tomolith.phantom.protocol import Protocol

ODD = Protocol(3, pulse_s=333.3, rest_s=77.7, current_density_ma_cm2=0.7, area_cm2=1.3)


@pytest.fixture(scope="module")
def log():
    return simulate_cycler(Protocol(), key=1)


def read_mpt(path):
    lines = path.read_bytes().decode("latin-1").splitlines()
    n_header = int(lines[1].split(":")[1])
    titles = lines[n_header - 1].rstrip("\t").split("\t")
    rows = [[float(text) for text in line.split("\t")] for line in lines[n_header:] if line]
    return lines[:n_header], dict(zip(titles, np.array(rows).T, strict=True))


def read_bdf(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def numbers(texts):
    return np.array([float(text) for text in texts])


def test_each_pulse_passes_the_charge_of_faraday(log):
    for i in range(1, 25):
        pulse = log.step == 2 * i - 1
        time_s, charge_mah = log.time_s[pulse], log.charge_mah[pulse]
        assert (time_s[0], time_s[-1]) == log.protocol.pulse_s_range(i)
        assert charge_mah[-1] - charge_mah[0] == (0.125 if i <= 12 else -0.125)
        assert set(log.current_ma[pulse]) == {0.75 if i <= 12 else -0.75}


def test_charge_closes_after_charge_and_discharge(log):
    assert log.charge_mah[0] == log.charge_mah[-1] == 0
    assert log.charge_mah.max() == 1.5
    assert log.charge_mah.min() == 0


@pytest.mark.parametrize("protocol", [Protocol(), ODD])
@pytest.mark.parametrize("sample_s", [10.0, 7.3, 5000.0])
def test_charge_is_the_integral_of_current_by_any_rule(protocol, sample_s):
    log = simulate_cycler(protocol, key=1, sample_s=sample_s)
    step_s = np.diff(log.time_s)
    assert (step_s >= 0).all()
    for current_ma in (log.current_ma[:-1], log.current_ma[1:]):
        integral_mah = np.append(0, np.cumsum(current_ma * step_s)) / 3600
        assert log.charge_mah == pytest.approx(integral_mah, abs=1e-12)


@pytest.mark.parametrize("protocol", [Protocol(), ODD])
def test_every_step_starts_where_the_last_one_ends(protocol):
    log = simulate_cycler(protocol, key=1, sample_s=7.3)
    assert sorted(set(log.step)) == list(range(4 * protocol.n_pulses + 1))
    for a, b in pairwise(range(4 * protocol.n_pulses + 1)):
        assert log.time_s[log.step == a][-1] == log.time_s[log.step == b][0]
        assert log.charge_mah[log.step == a][-1] == log.charge_mah[log.step == b][0]
    assert (log.time_s[0], log.time_s[-1]) == (0, protocol.end_s)
    assert (np.diff(log.half_cycle) >= 0).all()
    assert log.half_cycle[log.step == 2 * protocol.n_pulses].max() == 0
    assert log.half_cycle[log.step == 2 * protocol.n_pulses + 1].min() == 1


def test_charge_at_the_scans_is_what_the_protocol_says(log):
    protocol = log.protocol
    for state in range(protocol.n_states):
        charged, returned = protocol.passed_mah_cm2(state)
        read_mah = np.interp(protocol.scan_time_s(state), log.time_s, log.charge_mah)
        assert read_mah / protocol.area_cm2 == pytest.approx(charged - returned, abs=1e-12)


def test_the_voltage_has_the_sign_of_the_current_and_a_plausible_size(log):
    flows = log.current_ma != 0
    assert (np.sign(log.voltage_v[flows]) == np.sign(log.current_ma[flows])).all()
    assert np.abs(log.voltage_v[flows]).min() > 0.05
    assert np.abs(log.voltage_v).max() < 0.3


def test_a_rest_relaxes_slowly_to_zero(log):
    rest_v = log.voltage_v[log.step == 2]
    assert rest_v[0] > 0.02
    assert rest_v[len(rest_v) // 5] == pytest.approx(rest_v[0] / math.e, rel=0.05)  # 240 s
    assert abs(rest_v[-1]) < 1e-3


def test_nucleation_peaks_in_the_first_pulse_of_a_half_cycle(log):
    first, second = (np.abs(log.voltage_v[log.step == step]) for step in (1, 3))
    assert first[0] > first[5] + 0.03
    assert first[0] > second[0] + 0.02
    returned = np.abs(log.voltage_v[log.step == 25])
    assert second[0] < returned[0] < first[0]


def test_the_resistance_grows_slightly(log):
    ends_v = [abs(log.voltage_v[log.step == 2 * i - 1][-5:].mean()) for i in range(2, 25)]
    assert 1.02 < ends_v[-1] / ends_v[0] < 1.2


def test_the_voltage_grows_with_the_current_a_little_less_than_in_proportion():
    low, high = (
        simulate_cycler(Protocol(1, current_density_ma_cm2=density), key=1) for density in (0.5, 2)
    )
    end_v = [log.voltage_v[log.step == 1][-1] for log in (low, high)]
    assert 3.6 < end_v[1] / end_v[0] < 4


def test_noise_is_small_and_belongs_to_the_key(log):
    first_rest_v = log.voltage_v[log.step == 0]
    assert 2e-5 < first_rest_v.std() < 5e-4
    other = simulate_cycler(Protocol(), key=2)
    assert not np.array_equal(log.voltage_v, other.voltage_v)
    assert np.array_equal(log.charge_mah, other.charge_mah)


@pytest.mark.parametrize("write", [write_mpt, write_bdf_csv])
def test_the_same_key_gives_the_same_bytes(tmp_path, write):
    for name, key in (("a", 1), ("b", 1), ("c", 2)):
        write(simulate_cycler(ODD, key=key), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_an_mpt_file_reads_back_as_the_same_numbers(tmp_path, log):
    write_mpt(log, tmp_path / "cell.mpt")
    header, columns = read_mpt(tmp_path / "cell.mpt")
    assert np.array_equal(columns["time/s"], log.time_s)
    assert np.array_equal(columns["Ewe/V"], log.voltage_v)
    assert np.array_equal(columns["control/V/mA"], log.current_ma)
    assert np.array_equal(columns["I/mA"], log.current_ma)
    assert np.array_equal(columns["half cycle"], log.half_cycle)
    assert columns["(Q-Qo)/mA.h"] == pytest.approx(log.charge_mah, rel=1e-14, abs=1e-15)
    assert np.cumsum(columns["dq/mA.h"]) == pytest.approx(log.charge_mah, abs=1e-12)
    assert any("simulated" in line for line in header)


def test_the_header_of_an_mpt_file_is_as_long_as_it_says(tmp_path, log):
    write_mpt(log, tmp_path / "cell.mpt")
    content = (tmp_path / "cell.mpt").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n")
    lines = content.split(b"\r\n")
    assert lines[0] == b"EC-Lab ASCII FILE"
    n_header = int(lines[1].removeprefix(b"Nb header lines : "))
    assert lines[n_header - 1].startswith(b"mode\tox/red\terror\t")
    assert len(lines) == n_header + len(log) + 1
    assert lines[-1] == b""


def test_the_flags_of_an_mpt_file_follow_the_program(tmp_path):
    write_mpt(simulate_cycler(Protocol(2), key=1, sample_s=600.0), tmp_path / "cell.mpt")
    header, columns = read_mpt(tmp_path / "cell.mpt")
    first = np.flatnonzero(np.diff(columns["control changes"], prepend=1))  # row of each step
    assert columns["mode"][first].tolist() == [3, 1, 3, 1, 3, 1, 3, 1, 3]
    assert columns["ox/red"][first].tolist() == [0, 1, 0, 1, 0, 0, 0, 0, 0]
    assert columns["Ns"][first].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert columns["counter inc."][first].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0]
    assert columns["Ns changes"].sum() == 5
    program = {line[:20].strip(): line[20:].split() for line in header if line[19:20] == " "}
    assert [float(text) for text in program["Is"]] == [0, 0.75, -0.75]
    assert program["t1 (h:m:s)"] == ["0:00:0.0000", "0:10:0.0000", "0:10:0.0000"]
    assert program["tR (h:m:s)"] == ["0:20:0.0000"] * 3
    assert program["nc cycles"] == ["0", "1", "1"]


def test_mpt_columns_bear_the_names_of_a_real_file(tmp_path, data_dir, log):
    write_mpt(log, tmp_path / "cell.mpt")
    _, real = read_mpt(data_dir / "cycler-files/biologic/gcpl.issue_211.mpt")
    _, ours = read_mpt(tmp_path / "cell.mpt")
    assert set(ours) - set(real) == {"I/mA"}


def test_a_bdf_file_reads_back_as_the_same_numbers(tmp_path, log):
    write_bdf_csv(log, tmp_path / "cell.bdf.csv")
    columns = read_bdf(tmp_path / "cell.bdf.csv")
    assert np.array_equal(numbers(columns["Test Time / s"]), log.time_s)
    assert np.array_equal(numbers(columns["Voltage / V"]), log.voltage_v)
    assert numbers(columns["Current / A"]) * 1000 == pytest.approx(log.current_ma, rel=1e-15)
    assert numbers(columns["Net Capacity / Ah"]) * 1000 == pytest.approx(log.charge_mah, rel=1e-15)
    charged, returned = (
        numbers(columns[f"{way} Capacity / Ah"]) for way in ("Charging", "Discharging")
    )
    assert (np.diff(charged) >= 0).all()
    assert (np.diff(returned) >= 0).all()
    assert charged[-1] == returned[-1] == 0.0015
    assert [columns["Step Type / 1"][i] for i in (0, 130, -1)] == ["rest", "charge", "rest"]
    assert set(columns["Protocol Name / 1"]) == {"simulated by the tomolith phantom; not measured"}


def test_the_clock_of_the_cycler_can_be_off(tmp_path, log):
    write_mpt(log, tmp_path / "cell.mpt", clock_offset_s=-37.5)
    write_bdf_csv(log, tmp_path / "cell.csv", clock_offset_s=-37.5)
    _, columns = read_mpt(tmp_path / "cell.mpt")
    assert np.array_equal(columns["time/s"], log.time_s - 37.5)
    assert np.array_equal(
        numbers(read_bdf(tmp_path / "cell.csv")["Test Time / s"]), log.time_s - 37.5
    )
    for write in (write_mpt, write_bdf_csv):
        with pytest.raises(ValueError, match="'clock_offset_s' is nan"):
            write(log, tmp_path / "never", clock_offset_s=math.nan)
    assert not (tmp_path / "never").exists()


def test_a_cell_that_only_rests_can_be_recorded(tmp_path):
    log = simulate_cycler(Protocol(0), key=1)
    assert len(log) == 121
    assert not log.charge_mah.any()
    write_mpt(log, tmp_path / "cell.mpt")
    header, columns = read_mpt(tmp_path / "cell.mpt")
    assert set(columns["mode"]) == {3}
    assert next(line for line in header if line.startswith("Ns ")).split() == ["Ns", "0"]
    write_bdf_csv(log, tmp_path / "cell.bdf.csv")
    assert set(read_bdf(tmp_path / "cell.bdf.csv")["Step Type / 1"]) == {"rest"}


@pytest.mark.parametrize("sample_s", [0.0, -1.0, math.inf, math.nan])
def test_a_sampling_that_is_none_is_refused(sample_s):
    with pytest.raises(ValueError, match=f"'sample_s' is {sample_s}"):
        simulate_cycler(Protocol(), key=1, sample_s=sample_s)
