"""Known answers: the numbers of the TransforCNN paper, spheres and slabs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, LabelMap, Volume
from tomolith.measure.evaluate import EvaluateSettings, Pair, evaluate
from tomolith.measure.quantify import MeasureSettings, measure

SCHEMA = PRESETS["li-binary"]
PAPER_SHAPE = (3849, 340, 2071)
REPORTED_IOU, REPORTED_DICE = 0.9511, 0.9647


@dataclass
class FirstVoxels:
    """A lazy array whose first ``n`` voxels in memory order are lithium."""

    shape: tuple[int, int, int]
    n: int
    dtype = np.dtype(np.uint8)

    def __getitem__(self, index: tuple[slice, slice, slice]) -> np.ndarray:
        z, y, x = (range(*s.indices(n)) for s, n in zip(index, self.shape, strict=True))
        _, height, width = self.shape
        out = np.empty((len(z), len(y), len(x)), np.uint8)
        for k, iz in enumerate(z):
            if (iz + 1) * height * width <= self.n:
                out[k] = 1
            elif iz * height * width >= self.n:
                out[k] = 0
            else:
                place = iz * height * width + np.array(y)[:, None] * width + np.array(x)
                out[k] = place < self.n
        return out


def lithium(
    values: np.ndarray | FirstVoxels, size: float | None, *quantities: str
) -> dict[str, float]:
    grid = Grid(tuple(values.shape), None if size is None else (size,) * 3)
    chosen = MeasureSettings(quantities=quantities or None)
    found = measure(LabelMap(Volume(values, grid), SCHEMA), chosen, region="s")
    return {m.name: m.value for m in found if m.region == "s/lithium"}


@pytest.mark.parametrize(("n_voxels", "expected"), [(82_892_014, "3.058"), (54_940_997, "2.027")])
def test_shares_of_the_paper_volume(n_voxels: int, expected: str) -> None:
    found = lithium(FirstVoxels(PAPER_SHAPE, n_voxels), None, "share")
    assert f"{found['share']:.3f}" == expected
    assert round(found["share"] / 100 * math.prod(PAPER_SHAPE)) == n_voxels


def test_slab_of_known_thickness() -> None:
    values = np.zeros((40, 30, 20), np.uint8)
    values[:, 10:16] = 1
    found = lithium(values, 1.5)
    assert found["volume"] == pytest.approx(40 * 1.5 * 6 * 1.5 * 20 * 1.5)
    assert found["share"] == pytest.approx(100 * 6 / 30)


def test_sphere_of_known_radius() -> None:
    z, y, x = np.ogrid[-40:41, -40:41, -40:41]
    values = (z * z + y * y + x * x <= 36.2**2).astype(np.uint8)
    found = lithium(values, 0.5)
    assert found["volume"] == pytest.approx(4 / 3 * math.pi * (36.2 * 0.5) ** 3, rel=2e-3)


def test_reported_scores_cannot_be_pooled_over_few_classes() -> None:
    """A mean Dice as low as reported needs many members, so it is a mean over patches.

    Dice = 2 J / (1 + J) is concave: of all ways to reach a mean IoU the lowest mean Dice has some
    members lost and the others perfect. With up to 12 classes that is still above the report.
    """

    def lowest_dice(n: int) -> float:
        n_lost, rest = divmod(n * (1 - REPORTED_IOU), 1.0)
        return (n - n_lost - 1 + 2 * (1 - rest) / (2 - rest)) / n

    assert REPORTED_DICE < 2 * REPORTED_IOU / (1 + REPORTED_IOU)
    assert lowest_dice(2) > REPORTED_DICE + 0.009
    assert all(lowest_dice(n) > REPORTED_DICE for n in range(1, 13))
    assert lowest_dice(50) < REPORTED_DICE


def test_a_mean_over_patches_reaches_the_reported_pair_of_scores() -> None:
    truth = np.zeros((1, 8, 8 * 100), np.uint8)
    truth[:, :4] = 1
    prediction = truth.copy()
    prediction[:, :4, : 8 * 4] = 0  # lithium is lost in 4 of 100 patches
    prediction[0, 3, 8 * 4 : 8 * 66 : 8] = 0  # and one pixel is wrong in 62 others
    grid = Grid(truth.shape, None)
    pair = Pair(
        "s",
        LabelMap(Volume(prediction, grid), SCHEMA),
        LabelMap(Volume(truth, grid), SCHEMA),
        (grid.box,),
        "test",
    )
    scores = evaluate([pair], EvaluateSettings(patch_px=8))
    value = {
        (r.convention, r.metric): r.value
        for r in scores.rows
        if r.scan == "s" and r.class_name == ""
    }
    pooled, patches = "pooled", "mean_over_patches"
    jaccard = value[patches, "iou"]
    assert jaccard == pytest.approx(REPORTED_IOU, abs=0.002)
    assert value[patches, "dice"] == pytest.approx(REPORTED_DICE, abs=0.002)
    assert value[patches, "dice"] < 2 * jaccard / (1 + jaccard) - 0.008
    assert value[pooled, "dice"] > value[patches, "dice"]
