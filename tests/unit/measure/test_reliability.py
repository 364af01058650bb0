"""Calibration: known answers, blocks, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.errors import MismatchError
from tomolith.measure import evaluate as module
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.measure.reliability import Reliability
from tomolith.measure.tables import read_scores, write_scores

SCHEMA = PRESETS["li-binary"]


def toy(shape=(4, 60, 70), *, sharpen=1.0, seed=0):
    """Return truths drawn from known probabilities, and those probabilities, sharpened."""
    rng = np.random.default_rng(seed)
    lithium = rng.uniform(0, 1, shape)
    truth = (rng.uniform(size=shape) < lithium).astype(np.uint8)
    odds = (lithium / (1 - lithium)) ** sharpen
    said = odds / (1 + odds)
    shares = np.rint(255 * np.stack([1 - said, said])).astype(np.uint8)
    return truth, shares, (lithium > 0.5).astype(np.uint8)


def score(truth, shares, labels, *boxes):
    def label_map(values):
        return LabelMap(Volume(values, Grid(values.shape, None)), SCHEMA)

    pair = Pair(
        "a",
        label_map(labels),
        label_map(truth),
        boxes or (Box.whole(truth.shape),),
        "test",
        "unet",
        shares,
    )
    return evaluate([pair], EvaluateSettings(metrics=["iou"], patch_px=16))


def ece(scores: Scores) -> float:
    value = scores.value("ece", system="unet", subset="test")
    assert value is not None
    return value


def brute_force(truth, shares, labels, n_bins=15):
    confidence, right = shares.max(axis=0) / 255, truth == labels
    total = 0.0
    for k in range(n_bins):
        inside = (confidence >= k / n_bins) & (confidence < (k + 1) / n_bins)
        if k == n_bins - 1:
            inside |= confidence == 1
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_calibrated_probabilities_have_no_error_and_sharpened_ones_have():
    assert ece(score(*toy())) < 0.012
    assert ece(score(*toy(sharpen=4))) > 0.1


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
def test_the_error_is_that_of_the_definition(sharpen):
    made = toy(sharpen=sharpen)
    assert ece(score(*made)) == pytest.approx(brute_force(*made), abs=1e-9)


def test_always_sure_and_mostly_right_is_off_by_the_rest():
    truth = np.zeros((1, 10, 10), np.uint8)
    truth[0, 0] = 1
    shares = np.stack([np.full(truth.shape, 255, np.uint8), np.zeros(truth.shape, np.uint8)])
    assert ece(score(truth, shares, np.zeros_like(truth))) == pytest.approx(0.1)


def test_blocks_and_boxes_do_not_show(monkeypatch):
    made = toy(sharpen=2)
    whole = score(*made)
    monkeypatch.setattr(module, "_BLOCK_VOX", 1)
    halves = [Box((z, 0, 0), (z + 2, 60, 70)) for z in (0, 2)]
    assert score(*made, *halves) == whole


def test_unlabelled_pixels_of_either_are_left_out():
    truth, shares, labels = toy(sharpen=3)
    cut = score(truth[:2], shares[:, :2], labels[:2])
    truth[2], labels[3] = SCHEMA.unlabelled, SCHEMA.unlabelled
    assert ece(score(truth, shares, labels)) == pytest.approx(ece(cut), abs=1e-12)


def test_nothing_known_has_no_error():
    truth, shares, labels = toy((1, 20, 20))
    scores = score(np.full_like(truth, SCHEMA.unlabelled), shares, labels)
    assert scores.value("ece", system="unet", subset="test") is None
    assert Reliability().record("a", "test").error is None


def test_without_probabilities_there_is_no_row():
    truth, _, labels = toy((1, 20, 20))
    scores = score(truth, None, labels)
    assert "ece" not in {row.metric for row in scores.rows}
    assert scores.reliability == ()


def test_probabilities_of_another_shape_are_refused():
    truth, shares, labels = toy((2, 20, 20))
    with pytest.raises(MismatchError, match="probabilities"):
        Reliability().update_block(shares[:, :, :10], truth, labels)


def test_what_was_written_comes_back_and_older_counts_go(tmp_path: Path):
    truth, shares, labels = toy((1, 20, 20))
    scores = score(truth, shares, labels)
    write_scores(scores, tmp_path)
    assert read_scores(tmp_path) == scores
    assert scores.reliability[0].error == pytest.approx(ece(scores))
    write_scores(score(truth, None, labels), tmp_path)
    assert not (tmp_path / "reliability.json").exists()
    assert read_scores(tmp_path).reliability == ()
