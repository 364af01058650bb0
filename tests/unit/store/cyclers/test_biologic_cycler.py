"""BioLogic: the phantom's file, every source of the current, and the real pair."""

from pathlib import Path

import numpy as np
import pytest

from cycler_files import START, write_mpt
from tomolith.measure.electrochemistry import find_steps
from tomolith.phantom import cycler
from tomolith.phantom.protocol import Protocol
from tomolith.store.cyclers import read_cycler


def test_the_phantom_comes_back_as_it_was_written(tmp_path):
    log = cycler.simulate_cycler(Protocol(n_pulses=3), key=5)
    cycler.write_mpt(log, tmp_path / "cell.mpt", clock_offset_s=37.0)
    record = read_cycler(tmp_path / "cell.mpt")
    np.testing.assert_allclose(record.time_s, log.time_s + 37.0, rtol=1e-14)
    np.testing.assert_allclose(record.current_a * 1e3, log.current_ma, rtol=1e-6)
    np.testing.assert_allclose(record.voltage_v, log.voltage_v, atol=1e-7)
    np.testing.assert_allclose(record.charge_mah, log.charge_mah, atol=1e-12)
    assert "Comments : simulated by the tomolith phantom; not measured" in record.description


def test_both_files_of_the_phantom_say_the_same(tmp_path):
    log = cycler.simulate_cycler(Protocol(n_pulses=2), key=5)
    cycler.write_mpt(log, tmp_path / "a.mpt")
    cycler.write_bdf_csv(log, tmp_path / "a.bdf.csv")
    one, other = read_cycler(tmp_path / "a.mpt"), read_cycler(tmp_path / "a.bdf.csv")
    np.testing.assert_allclose(one.charge_mah, other.charge_mah, atol=1e-9)
    np.testing.assert_allclose(one.current_a, other.current_a, rtol=1e-6)


@pytest.mark.parametrize("current", ["I/mA", "control/mA", "control/V/mA"])
def test_the_current_comes_from_whichever_column_there_is(current, tmp_path):
    record = read_cycler(write_mpt(tmp_path, current=current))
    assert record.current_a[40] == pytest.approx(7.5e-4)
    assert any(current in note for note in record.notes)


def test_without_any_current_the_slope_of_the_charge_serves(tmp_path):
    record = read_cycler(write_mpt(tmp_path, current="P/W"))
    assert record.current_a[40] == pytest.approx(7.5e-4)
    assert any("slope of the charge" in note for note in record.notes)


def test_a_decimal_comma_is_understood(tmp_path):
    record = read_cycler(write_mpt(tmp_path, comma=True))
    assert record.current_a[40] == pytest.approx(7.5e-4)


def test_time_as_dates_counts_from_the_start(tmp_path):
    path = write_mpt(tmp_path)
    lines = path.read_text().split("\n")
    for i in range(6, len(lines) - 1):
        parts = lines[i].split("\t")
        second = int(float(parts[1]))
        parts[1] = f"{START:%m/%d/%Y} {8 + (30 + second // 60) // 60:02d}"
        parts[1] += f":{(30 + second // 60) % 60:02d}:{second % 60:02d}.000"
        lines[i] = "\t".join(parts)
    path.write_text("\n".join(lines))
    assert read_cycler(path).time_s[-1] == 3000.0


@pytest.fixture(scope="module")
def folder(data_dir) -> Path:
    found = data_dir / "cycler-files" / "biologic"
    if not found.is_dir():
        pytest.skip(f"{found} is absent")
    return found


def test_the_real_text_gives_the_charge_of_every_half_cycle(folder):
    steps = find_steps(read_cycler(folder / "gcpl.issue_211.mpt"))
    found = [pulse.charge_mah for pulse in steps.pulses]
    assert len(found) == 10
    # sums of the column dq/mA.h of each half cycle
    assert found[:6] == pytest.approx(
        [0.05750598, -0.05338902, 0.05382711, -0.05386190, 0.05397034, -0.05396011], rel=1e-6
    )
    for pulse in steps.pulses:
        hours = (pulse.stop_s - pulse.start_s) / 3600
        assert pulse.current_ma * hours == pytest.approx(pulse.charge_mah, rel=1e-3)


def test_binary_and_text_of_one_real_test_are_the_same(folder):
    pytest.importorskip("galvani", reason="the extra echem-gpl is not installed")
    binary = read_cycler(folder / "gcpl.issue_211.mpr")
    text = read_cycler(folder / "gcpl.issue_211.mpt")
    assert len(binary) == len(text) == 2767
    assert binary.started == text.started
    np.testing.assert_allclose(binary.time_s, text.time_s, rtol=1e-12)
    np.testing.assert_allclose(binary.charge_mah, text.charge_mah, atol=1e-12)
    np.testing.assert_allclose(binary.current_a, text.current_a, rtol=1e-6)
    np.testing.assert_allclose(binary.voltage_v, text.voltage_v, atol=1e-6)


def test_a_real_text_without_header_is_read(folder):
    record = read_cycler(folder / "Sample_data_biologic_no_header.mpt")
    assert record.started is None
    assert record.voltage_v[0] == pytest.approx(2.9344745)
