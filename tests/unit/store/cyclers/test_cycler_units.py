"""Units are checked by current × time, and a wrong one is named."""

import re

import numpy as np
import pytest

from cycler_files import write_bdf, write_mpt
from tomolith.core import CyclerRecord
from tomolith.errors import MismatchError, ReadError
from tomolith.store.cyclers import CyclerUnits, read_cycler
from tomolith.store.cyclers.check import balance


@pytest.mark.parametrize(
    ("headings", "cause"),
    [
        ({"current": "Current / mA"}, "A stand where mA is written"),
        ({"time": "Test Time / h"}, "s stand where h is written"),
        ({"time": "Test Time / min"}, "s stand where min is written"),
        ({"current": "Current / mA", "time": "Test Time / h"}, None),
    ],
)
def test_a_wrong_unit_is_refused_and_the_advice_mends_it(headings, cause, tmp_path):
    path = write_bdf(tmp_path, **headings)
    with pytest.raises(MismatchError, match=cause) as error:
        read_cycler(path)
    assert "0.125 mAh" in str(error.value)
    if cause:
        advised = dict(re.findall(r"(\w+)='(\w+)'", error.value.mend))
        assert read_cycler(path, units=CyclerUnits(**advised)).current_a.max() == 7.5e-4


def test_mpt_in_amperes_is_refused_and_can_be_mended(tmp_path):
    path = write_mpt(tmp_path)
    text = path.read_text().replace("7.500000E-01", "7.500000E-04")
    path.write_text(text)
    with pytest.raises(MismatchError, match=r"A stand where mA is written.*\{current: A\}"):
        read_cycler(path)
    mended = read_cycler(path, units=CyclerUnits(current="A"))
    assert mended.current_a.max() == pytest.approx(7.5e-4)


@pytest.mark.parametrize(("factor", "agrees"), [(1.0, True), (1.004, True), (1.03, False)])
def test_one_percent_is_the_limit(factor, agrees):
    time_s = np.arange(0.0, 3601.0, 10.0)
    charge = factor * 0.123456789 * time_s / 3600.0
    record = CyclerRecord(time_s, np.full(361, 0.123456789e-3), np.zeros(361), charge)
    assert balance(record, 1).agrees is agrees


@pytest.mark.parametrize("factor", [1000.0, 1e-3, 3600.0, 1 / 3600.0, 60.0])
def test_coarse_samples_do_not_excuse_a_wrong_unit(factor):
    time_s = np.array([0.0, 600.0, 900.0, 1200.0])
    current_a = np.array([0.0, 1e-3, 1e-3, 0.0])
    charge = np.array([0.0, 0.0, 1 / 12, 1 / 6])
    assert balance(CyclerRecord(time_s, current_a, np.zeros(4), charge), 1).agrees
    assert not balance(CyclerRecord(time_s, current_a, np.zeros(4), factor * charge), 1).agrees


def test_discharge_counted_as_positive_is_turned_round_and_reported(tmp_path):
    path = write_bdf(tmp_path)
    lines = path.read_text().split("\n")
    swapped = lines[0].replace("Charging", "X").replace("Discharging", "Charging")
    path.write_text("\n".join([swapped.replace("X", "Discharging"), *lines[1:]]))
    record = read_cycler(path)
    assert record.current_a[40] == pytest.approx(-7.5e-4)
    assert any("turned round" in note for note in record.notes)


def test_a_file_without_charge_is_read_and_says_that_nothing_was_checked(tmp_path):
    path = write_bdf(tmp_path)
    lines = [",".join(line.split(",")[:3]) for line in path.read_text().split("\n")]
    path.write_text("\n".join(lines))
    record = read_cycler(path)
    assert record.charge_mah is None
    assert any("could not be checked" in note for note in record.notes)
    assert record.passed_mah()[61] == pytest.approx(0.125)


def test_time_that_falls_is_refused_with_its_sample(tmp_path):
    path = write_bdf(tmp_path)
    lines = path.read_text().split("\n")
    lines[50], lines[51] = lines[51], lines[50]
    path.write_text("\n".join(lines))
    with pytest.raises(ReadError, match="samples 50 and 51"):
        read_cycler(path)


def test_an_unknown_unit_in_a_heading_is_refused(tmp_path):
    with pytest.raises(ReadError, match="unit 'furlong'"):
        read_cycler(write_bdf(tmp_path, time="Test Time / furlong"))


def test_a_missing_column_names_what_there_is(tmp_path):
    path = write_bdf(tmp_path)
    path.write_text(path.read_text().replace("Voltage / V", "Test Time / V", 1))
    with pytest.raises(ReadError, match="no cycler reader"):
        read_cycler(path)


def test_a_file_cut_off_within_a_row_is_refused_in_plain_words(tmp_path):
    path = write_mpt(tmp_path)
    rows = path.read_text().rstrip("\n").split("\n")
    path.write_text("\n".join([*rows[:20], rows[20].split("\t")[0] + "\t" + "1"]))
    with pytest.raises(ReadError, match=r"line 21: the column '.*' holds nothing\n") as caught:
        read_cycler(path)
    assert "cut off" in caught.value.mend


def test_what_is_not_a_number_is_shown_as_it_stands(tmp_path):
    path = write_mpt(tmp_path)
    path.write_text(path.read_text().replace("7.5", "7.5x"))
    with pytest.raises(ReadError, match=r"holds '[-0-9.]*7\.5x"):
        read_cycler(path)


def test_a_folder_is_called_a_folder(tmp_path):
    with pytest.raises(ReadError, match="it is a folder"):
        read_cycler(tmp_path)
    with pytest.raises(ReadError, match="there is no such file"):
        read_cycler(tmp_path / "none.mpt")
