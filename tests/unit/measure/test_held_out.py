"""Counts of held-out slices: what evaluate leaves for error bars."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.errors import ReadError
from tomolith.measure.evaluate import EvaluateSettings, Pair, evaluate
from tomolith.measure.held_out import HeldOut, HeldOutSlice, read_held_out, write_held_out
from tomolith.measure.tables import write_scores

SCHEMA = PRESETS["li-binary"]


def label_map(values: np.ndarray) -> LabelMap:
    return LabelMap(Volume(values, Grid(values.shape, None)), SCHEMA)


def test_evaluate_leaves_the_counts_of_every_slice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth, prediction = (rng.choice([0, 1, 255], (4, 40, 50)).astype(np.uint8) for _ in range(2))
    truth[2] = 255  # not labelled at all
    lithium = rng.integers(0, 256, truth.shape, dtype=np.uint8)
    shares = np.stack([255 - lithium, lithium])
    pair = Pair(
        "s", label_map(prediction), label_map(truth), (Box((1, 0, 0), (4, 40, 50)),), "test", "net",
        probabilities=shares,
    )  # fmt: skip
    scores = evaluate([pair], EvaluateSettings(metrics=["iou"], patch_px=16))
    write_scores(scores, tmp_path)
    (record,) = read_held_out(tmp_path / "held_out.json")
    assert (record.system, record.subset, record.classes) == ("net", "test", SCHEMA.names)
    assert [(s.scan, s.z) for s in record.slices] == [("s", 1), ("s", 3)]
    known = (truth[3] < 2) & (prediction[3] < 2)
    found = record.slices[1]
    assert found.counts[1][0] == np.count_nonzero(known & (truth[3] == 1) & (prediction[3] == 0))
    p = shares[:, 3][:, known].astype(int)
    assert found.expected == tuple(p.sum(axis=1))
    assert found.doubt == tuple((p * (255 - p)).sum(axis=1))
    total = np.sum([s.counts for s in record.slices], axis=0)
    assert total.tolist() == [list(row) for row in scores.confusions[0].counts]


def test_reach_comes_back_and_may_be_lacking(tmp_path: Path) -> None:
    path, reach = tmp_path / "held_out.json", ((1, 5, 2, 6), (-1, -1, -1, -1))
    slices = (HeldOutSlice("a", 3, ((1, 0), (0, 2)), reach=reach),)
    record = HeldOut("net", "test", ("background", "dendrite"), slices)
    write_held_out([record], path)
    assert read_held_out(path) == (record,)
    older = path.read_text().replace(", [[1, 5, 2, 6], [-1, -1, -1, -1]]]", "]")
    path.write_text(older)  # as versions without it wrote it
    (found,) = read_held_out(path)
    assert found.slices == (HeldOutSlice("a", 3, ((1, 0), (0, 2))),)


def test_damaged_counts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "held_out.json"
    with pytest.raises(ReadError, match="held-out"):
        read_held_out(path)
    write_held_out([], path)
    assert read_held_out(path) == ()
    path.write_text('[{"system": "x"}]')
    with pytest.raises(ReadError, match="held-out"):
        read_held_out(path)
