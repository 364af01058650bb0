"""What every registered cycler reader must do. A new one needs a sample in ``cycler_files``."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cycler_files import BINARY, START, WRITERS
from tomolith.core import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers import CYCLERS, read_cycler, sniff_cycler

NAMES = CYCLERS.names()


@pytest.fixture(params=sorted(WRITERS))
def sample(request, tmp_path) -> Path:
    return WRITERS[request.param](tmp_path)


def test_every_reader_has_a_sample():
    assert set(NAMES) == {*WRITERS, *BINARY}


@pytest.mark.parametrize("name", NAMES)
def test_it_recognises_its_own_text_and_no_others(name, tmp_path):
    reader = CYCLERS.load(name)()
    for other, write in WRITERS.items():
        assert reader.sniff(write(tmp_path)) is (other == name)


@pytest.mark.parametrize("name", NAMES)
def test_sniffing_odd_paths_is_false_and_never_raises(name, tmp_path):
    reader = CYCLERS.load(name)()
    (tmp_path / "empty.mpt").touch()
    (tmp_path / "text.csv").write_text("hello")
    (tmp_path / "zip.xlsx").write_bytes(b"PK\x03\x04 no archive")
    (tmp_path / "folder.csv").mkdir()
    for odd in ("empty.mpt", "text.csv", "zip.xlsx", "folder.csv", "missing"):
        assert reader.sniff(tmp_path / odd) is False


def test_the_same_test_reads_the_same_from_every_vendor(sample):
    record = read_cycler(sample)
    assert isinstance(record, CyclerRecord)
    assert len(record) == 155
    assert record.reader == sniff_cycler(sample)
    np.testing.assert_allclose(record.time_s[[0, -1]], [0, 3000], atol=1e-6)
    np.testing.assert_allclose(record.current_a[[5, 40, 70, 100]], [0, 75e-5, 0, -75e-5])
    np.testing.assert_allclose(record.voltage_v[[5, 40, 70, 100]], [0, 0.1, 0, -0.1])
    assert record.charge_mah is not None
    np.testing.assert_allclose(
        record.charge_mah[[30, 61, 92, 154]], [0, 0.125, 0.125, 0], atol=1e-9
    )
    assert record.provenance.inputs[0].startswith(sample.name)


def test_the_start_is_known_where_the_file_says_it(sample):
    record = read_cycler(sample)
    assert record.started == (None if record.reader == "bdf" else START)


def test_an_incomplete_last_row_is_refused(sample):
    lines = sample.read_text().rstrip("\n").split("\n")
    separator = "\t" if "\t" in lines[-1] and "," not in lines[-1] else ","
    lines[-1] = separator.join(lines[-1].split(separator)[:2])
    sample.write_text("\n".join(lines))
    with pytest.raises(ReadError) as error:
        read_cycler(sample)
    assert f"line {len(lines)}" in str(error.value)
    assert sample.name in str(error.value)


def test_a_heading_without_rows_is_refused(sample):
    lines = sample.read_text().split("\n")
    sample.write_text("\n".join(lines[:-156]))
    with pytest.raises(ReadError) as error:
        read_cycler(sample)
    assert error.value.mend


@pytest.mark.parametrize("name", sorted(BINARY))
@pytest.mark.parametrize("keep_frac", [0.05, 0.5])
def test_a_cut_off_binary_is_refused_or_says_how_much_it_holds(name, keep_frac, data_dir, tmp_path):
    library, path = BINARY[name]
    pytest.importorskip(library)
    whole = data_dir / "cycler-files" / path
    if not whole.is_file():
        pytest.skip(f"{whole} is absent")
    cut = tmp_path / whole.name
    shutil.copyfile(whole, cut)
    cut.chmod(0o600)
    with cut.open("r+b") as file:
        file.truncate(int(whole.stat().st_size * keep_frac))
    with pytest.raises(ReadError, match=r"cannot be read|cannot read|no cycler reader"):
        read_cycler(cut)


@pytest.mark.parametrize("name", NAMES)
def test_the_list_of_cyclers_shows_what_each_is_for(name):
    assert len(CYCLERS.summary(name)) > 10
