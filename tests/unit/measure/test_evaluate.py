"""Scores: independent implementations, both conventions, block sizes, bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolith.config import Component, parse_settings
from tomolith.core import PRESETS, Box, ClassSchema, Grid, LabelMap, Volume
from tomolith.errors import InputError, MismatchError, RecipeError
from tomolith.learn.torchvision import mend_torchvision
from tomolith.measure import evaluate as module
from tomolith.measure.confusion import ConfusionMatrix, LabelCoder, PatchMean
from tomolith.measure.evaluate import EvaluateSettings, Pair, evaluate
from tomolith.measure.metrics import METRICS

SCHEMA = PRESETS["cathode-3phase"]
NAMES = SCHEMA.names


def labels(values: np.ndarray, schema: ClassSchema = SCHEMA, **grid: object) -> LabelMap:
    array = np.asarray(values, np.uint8)
    return LabelMap(Volume(array, Grid(array.shape, grid.pop("size", None), **grid)), schema)


def pair(truth: np.ndarray, prediction: np.ndarray, *boxes: Box, **more: str) -> Pair:
    t, p = labels(truth), labels(prediction)
    return Pair("scan-0", p, t, boxes or (t.grid.box,), more.pop("subset", "test"), **more)


def random_pair(seed: int, shape: tuple[int, int, int] = (3, 50, 70)) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    values = np.array([0, 1, 2, 255], np.uint8)
    truth = rng.choice(values, shape, p=[0.5, 0.3, 0.1, 0.1])
    prediction = np.where(rng.random(shape) < 0.7, truth, rng.choice(values, shape))
    return truth, prediction.astype(np.uint8)


def brute_force(truth: np.ndarray, prediction: np.ndarray) -> dict[str, list[float | None]]:
    """Plain definitions on sets of pixels, class by class."""
    known = truth != 255
    truth, prediction = truth[known], prediction[known]
    found: dict[str, list[float | None]] = {m: [] for m in ("iou", "dice", "precision", "recall")}
    for value in SCHEMA.values:
        t, p = set(np.flatnonzero(truth == value)), set(np.flatnonzero(prediction == value))
        absent = not t and not p
        found["iou"].append(None if absent else len(t & p) / len(t | p))
        found["dice"].append(None if absent else 2 * len(t & p) / (len(t) + len(p)))
        found["precision"].append(None if absent else (len(t & p) / len(p) if p else 0.0))
        found["recall"].append(None if absent else (len(t & p) / len(t) if t else 0.0))
    found["f1"] = found["dice"]
    return found


def mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def rows(scores: module.Scores, convention: str, scan: str = "all") -> dict[tuple[str, str], float]:
    return {
        (r.metric, r.class_name): r.value
        for r in scores.rows
        if r.convention == convention and r.scan == scan
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_pooled_scores_equal_the_definitions_on_sets_of_pixels(seed: int, n_classes: int) -> None:
    truth, prediction = random_pair(seed, (2, 6, 5))
    if n_classes < 3:  # some classes absent
        truth[truth == n_classes] = 255
        prediction[prediction == n_classes] = 255
    if (truth == 255).all():
        return
    found = rows(evaluate([pair(truth, prediction)], EvaluateSettings()), "pooled")
    for metric, expected in brute_force(truth, prediction).items():
        for name, value in zip(NAMES, expected, strict=True):
            assert found[metric, name] == (None if value is None else pytest.approx(value))
        assert found[metric, ""] == pytest.approx(mean(expected))


def test_pooled_scores_equal_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    mend_torchvision()  # torchmetrics imports it
    functional = pytest.importorskip("torchmetrics.functional.classification")
    truth, prediction = random_pair(3)
    prediction[prediction == 255] = 0
    t, p = torch.tensor(truth.astype(np.int64)), torch.tensor(prediction.astype(np.int64))
    found = rows(evaluate([pair(truth, prediction)], EvaluateSettings()), "pooled")
    options = {"num_classes": 3, "ignore_index": 255, "average": "none"}
    for metric, function in (
        ("iou", functional.multiclass_jaccard_index),
        ("f1", functional.multiclass_f1_score),
        ("precision", functional.multiclass_precision),
        ("recall", functional.multiclass_recall),
    ):
        expected = function(p.ravel(), t.ravel(), **options).tolist()
        assert [found[metric, name] for name in NAMES] == pytest.approx(expected, abs=1e-6)
    micro = {**options, "average": "micro"}
    accuracy = functional.multiclass_accuracy(p.ravel(), t.ravel(), **micro)
    assert found["pixel_accuracy", ""] == pytest.approx(float(accuracy), abs=1e-6)
    weighted = functional.multiclass_jaccard_index(
        p.ravel(), t.ravel(), **{**options, "average": "weighted"}
    )
    assert found["fw_iou", ""] == pytest.approx(float(weighted), abs=1e-6)


def test_mean_over_patches_equals_a_loop_over_patches() -> None:
    truth, prediction = random_pair(5)
    truth[0, :16, :16] = 255  # a patch without truth does not count
    truth[1, :16, :16] = prediction[1, :16, :16] = 0  # a patch with one class
    found = rows(
        evaluate([pair(truth, prediction)], EvaluateSettings(patch_px=16)), "mean_over_patches"
    )
    patches = []
    for z in range(3):
        for y in range(0, 50, 16):
            for x in range(0, 70, 16):
                t, p = (a[z, y : y + 16, x : x + 16] for a in (truth, prediction))
                if (t != 255).any():
                    patches.append(brute_force(t, p))
    for metric in ("iou", "dice", "precision", "recall", "f1"):
        overall = mean([mean(patch[metric]) for patch in patches])
        assert found[metric, ""] == pytest.approx(overall, abs=1e-9)
        for i, name in enumerate(NAMES):
            expected = mean([patch[metric][i] for patch in patches])
            assert found[metric, name] == pytest.approx(expected, abs=1e-9)


def test_block_size_and_boxes_change_no_digit(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, prediction = random_pair(7, (6, 50, 70))
    chosen = EvaluateSettings(patch_px=16)
    slabs = [Box((z, 0, 0), (z + 2, 50, 70)) for z in (4, 0, 2)]
    whole = evaluate([pair(truth, prediction)], chosen)
    monkeypatch.setattr(module, "_BLOCK_VOX", 1000)
    assert evaluate([pair(truth, prediction, *slabs)], chosen) == whole


def test_two_scans_pool_pixels_and_not_scores() -> None:
    truth, prediction = random_pair(1)
    other = np.zeros((1, 4, 4), np.uint8)
    pairs = [pair(truth, prediction), dataclasses.replace(pair(other, other), scan_id="scan-1")]
    scores = evaluate(pairs, EvaluateSettings(metrics=["iou"]))
    joined = brute_force(
        np.concatenate([truth.ravel(), other.ravel()]),
        np.concatenate([prediction.ravel(), other.ravel()]),
    )
    assert scores.value("iou", system="prediction", subset="test") == pytest.approx(
        mean(joined["iou"])
    )
    assert scores.value("iou", system="prediction", subset="test", scan="scan-1") == 1.0
    absent = [
        r.value for r in scores.rows if r.scan == "scan-1" and r.class_name in ("pore", NAMES[1])
    ]
    assert absent == [None] * 4  # never 0 or 1, in either convention


def test_systems_and_subsets_are_kept_apart() -> None:
    truth, prediction = random_pair(2)
    pairs = [
        pair(truth, prediction, subset="validation"),
        pair(truth, truth, subset="test", system="otsu"),
    ]
    scores = evaluate(pairs, EvaluateSettings(metrics=["iou"]))
    assert scores.value("iou", system="otsu", subset="test") == 1.0
    assert scores.value("iou", system="prediction", subset="validation") < 1.0
    assert [(c.system, c.subset) for c in scores.confusions] == [
        ("prediction", "validation"),
        ("otsu", "test"),
    ]
    with pytest.raises(InputError, match="no score"):
        scores.value("iou", system="otsu", subset="validation")


def test_unlabelled_pixels_are_counted_and_an_abstention_is_a_miss() -> None:
    truth = np.array([[[0, 0, 1, 255]]])
    prediction = np.array([[[0, 255, 1, 1]]])
    scores = evaluate([pair(truth, prediction)], EvaluateSettings(metrics=["recall"]))
    assert scores.value("recall", system="prediction", subset="test", class_name="nmc") == 0.5
    record = scores.confusions[0]
    assert (record.n_truth_unlabelled, record.n_prediction_unlabelled) == (1, (1, 0, 0))
    assert record.counts == ((1, 0, 0), (0, 1, 0), (0, 0, 0))


def test_truth_without_a_label_gives_null_everywhere() -> None:
    truth = np.full((1, 2, 2), 255)
    scores = evaluate([pair(truth, np.zeros((1, 2, 2)))], EvaluateSettings())
    assert {r.value for r in scores.rows} == {None}


def test_classes_are_matched_by_name_and_not_by_number() -> None:
    other = ClassSchema(tuple(dataclasses.replace(c, value=c.value + 7) for c in SCHEMA.classes))
    truth = np.array([[[0, 1, 2, 2]]])
    p = Pair("a", labels(truth + 7, other), labels(truth), (Box((0, 0, 0), (1, 1, 4)),), "test")
    assert evaluate([p], EvaluateSettings()).value("iou", system="prediction", subset="test") == 1


def test_mismatches_are_refused() -> None:
    zeros = np.zeros((2, 4, 4))
    good = pair(zeros, zeros)
    cases = (
        ({"prediction": labels(np.zeros((2, 4, 5)))}, "shape"),
        ({"prediction": labels(zeros, size=(1.0, 1.0, 1.0))}, "voxel size"),
        ({"prediction": labels(zeros, sections=True)}, "voxel size"),
        ({"prediction": labels(zeros, PRESETS["li-binary"])}, "classes background, lithium"),
        ({"prediction": labels(zeros + 9)}, r"outside the class schema: 9 \(32 voxels\)"),
    )
    for change, message in cases:
        with pytest.raises(MismatchError, match=message):
            evaluate([dataclasses.replace(good, **change)], EvaluateSettings())
    both = labels(zeros, size=(1.0, 1.0, 1.0)), labels(zeros, size=(1.0, 1.0, 1.0000001))
    evaluate([Pair("a", *both, good.boxes, "test")], EvaluateSettings())


def test_bad_regions_are_refused() -> None:
    zeros = np.zeros((4, 4, 4))
    slab = Box((0, 0, 0), (2, 4, 4))
    cases = (
        ((slab, slab.shift((1, 0, 0))), "overlap"),
        ((slab.shift((3, 0, 0)),), "outside the volume"),
        ((Box((1, 0, 0), (1, 4, 4)),), "hold no voxel"),
    )
    for boxes, message in cases:
        with pytest.raises(InputError, match=message):
            evaluate([pair(zeros, zeros, *boxes)], EvaluateSettings())
    with pytest.raises(InputError, match="nothing to score"):
        evaluate([], EvaluateSettings())
    touching = [slab, slab.shift((2, 0, 0))]
    evaluate([pair(zeros, zeros, *touching)], EvaluateSettings())


def test_unknown_metric_is_refused_with_a_hint() -> None:
    with pytest.raises(RecipeError, match="did you mean 'iou'"):
        parse_settings(EvaluateSettings, {"metrics": ["iuo"]}, where="recipe.yaml: evaluate")


def test_tallies_of_other_classes_do_not_merge() -> None:
    iou = [METRICS.load("iou")()]
    with pytest.raises(MismatchError):
        ConfusionMatrix(("a", "b")).merge(ConfusionMatrix(("a", "c")))
    with pytest.raises(MismatchError):
        PatchMean(("a", "b"), iou, patch_px=8).merge(PatchMean(("a", "c"), iou, patch_px=8))
    with pytest.raises(InputError, match="shape"):
        ConfusionMatrix(("a", "b")).update(np.zeros((1, 2, 2), "u1"), np.zeros((1, 2, 3), "u1"))


def test_counts_beyond_32_bits_stay_exact() -> None:
    matrix = ConfusionMatrix(("a", "b"))
    matrix.update(np.zeros((1, 3, 3), np.uint8), np.zeros((1, 3, 3), np.uint8))
    for _ in range(30):
        other = ConfusionMatrix(("a", "b"))
        other.merge(matrix)
        matrix.merge(other)
    assert int(matrix.counts[0, 0]) == 9 * 2**30
    assert matrix.counts.dtype == np.int64


def test_label_coder_keeps_unlabelled_apart() -> None:
    code = LabelCoder(SCHEMA, NAMES, what="truth")
    assert code(np.array([[2, 255, 0]], np.uint8)).tolist() == [[2, 3, 0]]


def test_sums_over_very_many_patches_do_not_overflow() -> None:
    patches = PatchMean(NAMES[:1], [METRICS.build(Component(name="iou"))], patch_px=1)
    ones = np.zeros((1, 1, 1), np.uint8)
    patches.update(ones, ones, Box((0, 0, 0), (1, 1, 1)))
    for _ in range(24):  # 2**24 patches of score 1; 2**23 times 2**40 is the end of int64
        patches.merge(patches)
    assert patches.n_patches == 2**24
    assert patches.finish(0).overall == 1.0
