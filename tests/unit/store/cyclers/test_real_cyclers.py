"""Real exports of every vendor, each with a number known from the file itself."""

import pytest

from tomolith.errors import ReadError
from tomolith.measure.electrochemistry import find_steps
from tomolith.store.cyclers import read_cycler

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


def test_the_access_database_is_refused_with_a_way_out(data_dir):
    path = data_dir / "cycler-files/arbin/arbin_example.res"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    with pytest.raises(ReadError, match=r"\.res.*\n.*\n.*\n.*export it"):
        read_cycler(path)
