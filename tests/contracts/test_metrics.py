"""What every registered metric must do."""

from __future__ import annotations

import numpy as np
import pytest

from tomolith.measure.confusion import ConfusionMatrix
from tomolith.measure.metrics import METRICS, ClassCounts, Metric

NAMES = ("a", "b", "c")


@pytest.fixture(params=METRICS.names())
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS.load(request.param)()


def joint(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 50, (*shape, 4, 4)).astype(np.int64)


def test_has_a_summary() -> None:
    for name in METRICS.names():
        assert len(METRICS.summary(name)) > 20


def test_perfect_is_one_and_values_lie_between_0_and_1(metric: Metric) -> None:
    perfect = np.diag([5, 6, 7, 0]).astype(np.int64)
    assert float(metric.overall(ClassCounts.of(perfect))) == pytest.approx(1.0)
    values = metric.overall(ClassCounts.of(joint(0, 200)))
    assert ((values >= 0) & (values <= 1)).all()
    assert values.std() > 0


def test_all_wrong_is_zero(metric: Metric) -> None:
    wrong = np.array([[0, 5, 0, 0], [0, 0, 5, 0], [5, 0, 0, 0], [0, 0, 0, 0]])
    assert float(metric.overall(ClassCounts.of(wrong))) == 0.0


def test_absent_class_is_null_and_changes_no_mean(metric: Metric) -> None:
    counts = joint(1)
    counts[2] = counts[:, 2] = 0
    found = ClassCounts.of(counts)
    smaller = ClassCounts.of(counts[np.ix_([0, 1, 3], [0, 1, 3])])
    assert np.isnan(metric.of_classes(found)[2])
    assert float(metric.overall(found)) == pytest.approx(float(metric.overall(smaller)))
    nothing = ClassCounts.of(np.zeros((4, 4), np.int64))
    assert np.isnan(metric.overall(nothing))
    assert np.isnan(metric.of_classes(nothing)).all()


def test_many_regions_at_once_equal_one_by_one(metric: Metric) -> None:
    many = joint(2, 5)
    together = metric.of_classes(ClassCounts.of(many)), metric.overall(ClassCounts.of(many))
    for i, one in enumerate(many):
        np.testing.assert_array_equal(together[0][i], metric.of_classes(ClassCounts.of(one)))
        np.testing.assert_array_equal(together[1][i], metric.overall(ClassCounts.of(one)))
    assert np.isfinite(together[0]).any() == metric.has_classes


def test_unlabelled_truth_is_ignored_and_an_abstention_never_helps(metric: Metric) -> None:
    counts = joint(3)
    without = counts.copy()
    without[3] = 0
    assert metric.overall(ClassCounts.of(counts)) == metric.overall(ClassCounts.of(without))
    abstains = counts.copy()
    abstains[0, 3] += counts[0, 0]  # what was right is now left without a class
    abstains[0, 0] = 0
    assert metric.overall(ClassCounts.of(abstains)) < metric.overall(ClassCounts.of(counts))


def test_update_merge_finish_in_any_order(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    truth, prediction = rng.integers(0, 4, (2, 6, 8, 8), dtype=np.uint8)
    whole = ConfusionMatrix(NAMES)
    whole.update(truth, prediction)
    parts = []
    for z in (3, 0, 5, 1, 4, 2):
        parts.append(ConfusionMatrix(NAMES))
        parts[-1].update(truth[z : z + 1], prediction[z : z + 1])
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].finish(metric) == whole.finish(metric)
