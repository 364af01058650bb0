"""Real exports of every vendor, each with a number known from the file itself."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from tomolith.errors import MismatchError, ReadError
from tomolith.measure.electrochemistry import find_steps
from tomolith.store.cyclers import CyclerUnits, read_cycler

CASES = [
    # file, library, samples, charge on charge and on discharge in mAh
    ("arbin/sample_data_arbin.csv", None, 13, 0.3806986, 0.0002975),
    (
        "arbin/bs542_004_gr_li_50ua_50mv_1v_191020_Channel_11.xlsx",
        "openpyxl",
        4526,
        5.702701,
        11.054896,
    ),
    ("arbin/arbin_example.res", "access_parser", 2150, 1.9124783, 1.8972151),
    ("basytec/sample_data_basytec.txt", None, 74, 1.248917, 0.0),
    ("bdf/batmo_bdf.csv", None, 21206, 14473.0891, 14583.5117),
    ("maccor/sample_data_maccor.csv", None, 15, 24.0, 0.0),
    ("neware/test.ndax", "NewareNDA", 1464, 0.593039, 0.625451),
    ("novonix/sample_data_novonix.csv", None, 207, 1706.52976, 0.0),
]


@pytest.mark.parametrize(("name", "library", "n", "charged_mah", "back_mah"), CASES)
def test_a_real_file_reads_whole(name, library, n, charged_mah, back_mah, data_dir):
    if library:
        pytest.importorskip(library, reason="the extra echem is not installed")
    path = data_dir / "cycler-files" / name
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    record = read_cycler(path)
    assert len(record) == n
    assert record.charge_mah is not None
    steps = [b - a for a, b in zip(record.charge_mah, record.charge_mah[1:], strict=False)]
    assert sum(s for s in steps if s > 0) == pytest.approx(charged_mah, rel=1e-4)
    assert -sum(s for s in steps if s < 0) == pytest.approx(back_mah, rel=1e-4)


def test_neware_rests_and_pulses(data_dir):
    pytest.importorskip("NewareNDA", reason="the extra echem is not installed")
    path = data_dir / "cycler-files/neware/test.ndax"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    steps = find_steps(read_cycler(path))
    assert [p.direction for p in steps.pulses] == [1, -1]
    assert [r.after_pulse for r in steps.rests] == [0, 2]


@pytest.fixture
def database(data_dir):
    pytest.importorskip("access_parser", reason="the extra echem is not installed")
    path = data_dir / "cycler-files/arbin/arbin_example.res"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def test_the_access_database_has_its_cycles_and_its_start(database):
    record = read_cycler(database)
    assert [p.direction for p in find_steps(record).pulses] == [1, -1] * 4
    assert abs(record.started - datetime(2023, 7, 24, 18, 50)) < timedelta(seconds=1)
    assert record.description[1].startswith("ajm314_LCO")


def test_a_wrong_unit_of_the_access_database_is_refused(database):
    with pytest.raises(MismatchError, match="A stand where mA"):
        read_cycler(database, units=CyclerUnits(current="mA"))


class Database:
    """As access-parser gives one."""

    def __init__(self, tables: dict[str, dict[str, list]], lost_rows: int = 0) -> None:
        self.catalog, self.lost_rows = tables, lost_rows

    def get_table(self, name: str) -> SimpleNamespace:
        columns = self.catalog[name]
        n = len(next(iter(columns.values()))) + self.lost_rows
        return SimpleNamespace(
            table_header=SimpleNamespace(number_of_rows=n), parse=lambda: columns
        )


@pytest.mark.parametrize(
    ("tables", "lost_rows", "found"),
    [
        ({"Customers": {"Name": ["a"]}}, 0, "no table 'Channel_Normal_Table'; found Customers"),
        ({"Channel_Normal_Table": {"Test_ID": [1]}}, 5, "1 of 6 rows"),
        (
            {"Channel_Normal_Table": {"Test_ID": [1, 2]}, "Global_Table": {"Test_ID": [1, 2]}},
            0,
            "holds 2 tests",
        ),
    ],
)
def test_a_database_that_is_no_whole_test_is_refused(
    tables, lost_rows, found, tmp_path, monkeypatch
):
    library = pytest.importorskip("access_parser", reason="the extra echem is not installed")
    monkeypatch.setattr(library, "AccessParser", lambda path: Database(tables, lost_rows))
    path = tmp_path / "cell.res"
    path.write_bytes(b"\x00\x01\x00\x00Standard Jet DB\x00")
    with pytest.raises(ReadError, match=found) as error:
        read_cycler(path)
    assert "export" in str(error.value)
