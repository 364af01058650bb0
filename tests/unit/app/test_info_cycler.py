"""``tomolith info`` describes a cycler file."""

import pytest

from cycler_files import write_bdf, write_mpt
from tomolith.app.info import describe
from tomolith.errors import MismatchError


def test_info_shows_charge_steps_and_start(tmp_path):
    text = "\n".join(describe(write_mpt(tmp_path)))
    assert "started     2024-03-01 08:30:00" in text
    assert "charge      0.125 mAh on charge, -0.125 mAh on discharge" in text
    assert "agrees with current × time" in text
    assert "steps       2 pulses, 3 rests" in text


def test_info_refuses_a_file_in_the_wrong_unit(tmp_path):
    with pytest.raises(MismatchError, match="A stand where mA is written"):
        list(describe(write_bdf(tmp_path, current="Current / mA")))
