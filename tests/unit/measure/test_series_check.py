"""What is no series is refused, with what differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tomolith.core import PRESETS, Grid
from tomolith.errors import InputError, MismatchError
from tomolith.measure.series_check import SeriesScan, check_series

A = SeriesScan("a", Grid((4, 5, 6), (1.0, 1.0, 1.0)), PRESETS["li-operando"], 60.0)
B = replace(A, name="b", time_s=120.0)


def test_scans_of_one_cell_pass() -> None:
    check_series([])
    check_series([A, B, replace(B, name="c", time_s=None)])


@pytest.mark.parametrize(
    ("second", "kind", "why"),
    [
        (A, InputError, "'a' stands twice"),
        (replace(B, grid=Grid((4, 5, 7), (1.0,) * 3)), MismatchError, "4 × 5 × 7 voxels"),
        (replace(B, grid=Grid((4, 5, 6), (1.0, 1.0, 2.0))), MismatchError, "voxels of 1 × 1 × 2"),
        (replace(B, grid=Grid((4, 5, 6), None)), MismatchError, "no known voxel size"),
        (replace(B, schema=PRESETS["li-binary"]), MismatchError, "classes background, lithium"),
        (
            replace(B, grid=Grid((4, 5, 6), (1.0,) * 3, sections=True)),
            MismatchError,
            "independent 2-D images",
        ),
        (replace(B, time_s=30.0), InputError, r"\(0.5 min\) follows 'a' .* taken before it"),
        (replace(B, time_s=60.0), InputError, "at the same time as"),
    ],
)
def test_others_are_refused(second: SeriesScan, kind: type, why: str) -> None:
    with pytest.raises(kind, match=why) as error:
        check_series([A, second])
    assert "measure.series" in str(error.value)
