"""Tables: written whole, read back equal, damaged ones refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tomolith.core import PRESETS, Box, Grid, Interval, LabelMap, Measurement, Volume
from tomolith.errors import InputError, ReadError
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.rows import QuantityRow, ScoreRow
from tomolith.measure.tables import (
    measurement_rows,
    read_scores,
    read_table,
    write_scores,
    write_table,
)


@pytest.fixture
def labels() -> LabelMap:
    array = np.array([[[0, 1, 1, 255]]], np.uint8)
    return LabelMap(Volume(array, Grid(array.shape, None)), PRESETS["li-binary"])


@pytest.fixture
def scores(labels: LabelMap) -> Scores:
    pair = Pair("scan-0", labels, labels, (Box((0, 0, 0), (1, 1, 4)),), "test", "unet")
    return evaluate([pair], EvaluateSettings(patch_px=64))


def test_scores_come_back_equal(scores: Scores, tmp_path: Path) -> None:
    write_scores(scores, tmp_path)
    assert read_scores(tmp_path) == scores
    columns = ["system", "subset", "scan", "convention", "metric", "class", "value"]
    for frame in (
        pd.read_csv(tmp_path / "scores.csv", keep_default_na=False),
        pd.read_parquet(tmp_path / "scores.parquet"),
    ):
        assert list(frame.columns) == columns
        assert len(frame) == len(scores.rows)


def test_quantities_come_back_equal_with_nulls(labels: LabelMap, tmp_path: Path) -> None:
    rows = measurement_rows(measure(labels, MeasureSettings(), region="a/b"), labels="truth")
    write_table(rows, tmp_path / "quantities")
    assert read_table(tmp_path / "quantities", QuantityRow) == tuple(rows)
    volume = next(r for r in rows if r.quantity == "volume")
    assert (volume.scan, volume.value) == ("a/b", None)
    assert "voxel size unknown" in volume.method
    frame = pd.read_parquet(tmp_path / "quantities.parquet")
    assert frame.loc[frame.quantity == "volume", "value"].isna().all()
    assert ",lithium,voxel_count,2,voxels," in (tmp_path / "quantities.csv").read_text()


def test_an_interval_is_written_with_its_meaning() -> None:
    interval = Interval(8, 13, "half-voxel boundary shift")
    found = Measurement("volume", 10.0, "um3", "s/pore", interval)
    (row,) = measurement_rows([found], labels="truth")
    assert (row.low, row.high) == (8.0, 13.0)
    assert row.method == "counted voxels; 95 %: half-voxel boundary shift"
    (row,) = measurement_rows([Measurement("share", None, "percent", "s/pore")], labels="x")
    assert row.method == "not given: no voxel has a class"


def test_a_number_that_was_not_counted_says_how_it_was_found() -> None:
    fit = Measurement("rate", 1.0, "um/pulse", "series/x", method="linear fit")
    lacking = Measurement("ratio", None, "1", "series/x", method="no charge passed")
    methods = [row.method for row in measurement_rows([fit, lacking], labels="truth")]
    assert methods == ["linear fit", "not given: no charge passed"]


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row"):
        write_table([], tmp_path / "scores")
    assert not list(tmp_path.iterdir())


def test_missing_foreign_and_damaged_tables_are_refused(scores: Scores, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        read_table(tmp_path / "scores", ScoreRow)
    write_scores(scores, tmp_path)
    with pytest.raises(ReadError, match="cannot be read") as error:
        read_table(tmp_path / "scores", QuantityRow)
    assert "labels" in str(error.value)
    (tmp_path / "confusion.json").write_text("[{}]")
    with pytest.raises(ReadError, match="confusion"):
        read_scores(tmp_path)
    whole = (tmp_path / "scores.parquet").read_bytes()
    (tmp_path / "scores.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ReadError, match="cannot be read"):
        read_table(tmp_path / "scores", ScoreRow)
