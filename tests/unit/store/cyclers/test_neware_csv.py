"""Neware's CSV exports: steps with clocks of their own, flat or in layers."""

import numpy as np
import pytest

from cycler_files import START, write_neware_csv, write_neware_layers
from tomolith.errors import MismatchError, ReadError
from tomolith.store.cyclers import CyclerUnits, read_cycler
from tomolith.store.cyclers.neware_csv import NewareCsvReader


def test_layers_read_as_the_flat_export(tmp_path):
    flat, layers = (read_cycler(w(tmp_path)) for w in (write_neware_csv, write_neware_layers))
    assert layers.reader == "neware-csv" and layers.started == flat.started == START
    for name in ("time_s", "current_a", "voltage_v", "charge_mah"):
        np.testing.assert_allclose(getattr(layers, name), getattr(flat, name), atol=1e-9)


def test_days_and_broken_seconds_of_a_clock_are_understood(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(
        "Record ID,Step ID,Time(h:min:s.ms),Current(mA),Voltage(V)\n"
        "1,1,0:00:00.0,0,1\n2,1,1-01:00:00.5,0,1\n3,2,0:00:01,0,1\n4,2,30:00:01,0,1\n"
    )
    expected = [0, 90000.5, 90001.5, 198001.5]
    assert read_cycler(path).time_s.tolist() == expected
    assert read_cycler(path).charge_mah is None


def test_a_wrong_unit_is_refused_and_can_be_mended(tmp_path):
    path = write_neware_csv(tmp_path)
    path.write_text(path.read_text().replace("Current(A)", "Current(mA)"))
    with pytest.raises(MismatchError, match="A stand where mA is written"):
        read_cycler(path)
    assert read_cycler(path, units=CyclerUnits(current="A")).current_a.max() == 7.5e-4


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0:01:40.0", "0:01", "line 7: the time of the step is '0:01'"),
        ("Current(A)", "Current(kA)", "unit of current"),
        (",Time,", ",Zeit,", "no column of the time"),
    ],
)
def test_what_cannot_be_read_is_named(old, new, words, tmp_path):
    path = write_neware_csv(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ReadError, match=words):
        read_cycler(path)


def test_a_cut_off_record_in_layers_is_named_by_its_line(tmp_path):
    path = write_neware_layers(tmp_path)
    lines = path.read_text().rstrip("\n").split("\n")
    path.write_text("\n".join([*lines[:-1], ",,155,0:10"]))
    assert NewareCsvReader().sniff(path)
    with pytest.raises(ReadError, match=f"line {len(lines)}: a record of 4 fields"):
        read_cycler(path)
