"""Every registered loss keeps the contract, and gives the value worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tomolith.config import Component
from tomolith.errors import RecipeError
from tomolith.learn.losses import LOSSES

NAMES = LOSSES.names()
# four labelled pixels, three of class 0 and one of class 1, with these probabilities of class 1
P1 = torch.tensor([0.2, 0.4, 0.1, 0.7])
TARGET = torch.tensor([[[0, 0], [0, 1]]])
LOGITS = torch.stack([torch.zeros(4), torch.logit(P1)]).view(1, 2, 2, 2)
CE = [-math.log(0.8), -math.log(0.6), -math.log(0.9), -math.log(0.7)]


def _loss(name, **options):
    return LOSSES.build(Component(name=name, options=options))


@pytest.mark.parametrize("name", NAMES)
def test_unlabelled_pixels_do_not_count(name):
    loss = _loss(name)
    logits, target = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    target[:, 4:] = -1
    other = logits.clone()
    other[:, :, 4:] = 100 * torch.randn(2, 3, 4, 8)
    assert float(loss(logits, target)) == pytest.approx(float(loss(other, target)))
    top = loss(logits[:, :, :4], target[:, :4])
    assert float(loss(logits, target)) == pytest.approx(float(top), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_labels_gives_zero_with_a_gradient(name):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    value = _loss(name)(logits, torch.full((2, 4, 4), -1))
    value.backward()
    assert float(value.detach()) == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", NAMES)
def test_right_is_better_than_unsure_is_better_than_wrong(name):
    target = torch.randint(0, 3, (2, 8, 8))
    right = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float() * 9
    loss = _loss(name)
    values = [float(loss(logits, target)) for logits in (right, 0 * right, -right)]
    assert values == sorted(values)
    assert values[0] < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_bf16_logits_are_summed_in_fp32(name):
    logits, target = torch.randn(4, 3, 64, 64), torch.randint(0, 3, (4, 64, 64))
    exact, rounded = _loss(name)(logits, target), _loss(name)(logits.bfloat16(), target)
    assert rounded.dtype == torch.float32
    assert float(rounded) == pytest.approx(float(exact), rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_class_absent_from_a_batch(name):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = _loss(name)(logits, torch.zeros(1, 4, 4, dtype=torch.int64))
    value.backward()
    assert math.isfinite(float(value.detach()))
    assert torch.isfinite(logits.grad).all()


def test_cross_entropy_by_hand():
    assert float(_loss("cross_entropy")(LOGITS, TARGET)) == pytest.approx(sum(CE) / 4)


def test_cross_entropy_with_label_smoothing_by_hand():
    p = [(0.8, 0.2), (0.6, 0.4), (0.9, 0.1), (0.7, 0.3)]
    expected = sum(-0.9 * math.log(right) - 0.1 * math.log(wrong) for right, wrong in p) / 4
    value = _loss("cross_entropy", label_smoothing=0.2)(LOGITS, TARGET)
    assert float(value) == pytest.approx(expected)


def test_weighted_cross_entropy_by_hand():
    loss = _loss("weighted_cross_entropy", weights={"matrix": 1.0, "pore": 5.0})
    loss.prepare(["matrix", "pore"], [300, 100])
    expected = (sum(CE[:3]) + 5 * CE[3]) / (3 + 5)
    assert float(loss(LOGITS, TARGET)) == pytest.approx(expected)


def test_weights_from_inverse_frequency_by_hand():
    loss = _loss("weighted_cross_entropy")
    loss.prepare(["matrix", "pore", "never"], [300, 100, 0])
    assert loss.class_weights.tolist() == pytest.approx([400 / 600, 400 / 200, 0])


def test_weights_must_name_the_classes():
    loss = _loss("weighted_cross_entropy", weights={"matrix": 1.0, "pores": 5.0})
    with pytest.raises(RecipeError, match=r"'pores' is no class(.|\n)*did you mean 'pore'"):
        loss.prepare(["matrix", "pore"], [1, 1])
    with pytest.raises(RecipeError, match=r"'pore' is without a weight(.|\n)*give it one"):
        _loss("weighted_cross_entropy", weights={"matrix": 1.0}).prepare(["matrix", "pore"], [1, 1])


def test_binary_cross_entropy_by_hand():
    # -[t log p + (1 - t) log(1 - p)] of p = 0.2, 0.4, 0.1 (t = 0) and 0.7 (t = 1)
    expected = -(math.log(0.8) + math.log(0.6) + math.log(0.9) + math.log(0.7)) / 4
    assert float(_loss("binary_cross_entropy")(LOGITS, TARGET)) == pytest.approx(expected)


def test_binary_cross_entropy_of_three_classes_by_hand():
    logits = torch.tensor([0.2, 0.3, 0.5]).log().view(1, 3, 1, 1)
    expected = -(math.log(0.8) + math.log(0.7) + math.log(0.5)) / 3
    value = _loss("binary_cross_entropy")(logits, torch.tensor([[[2]]]))
    assert float(value) == pytest.approx(expected)


def test_binary_cross_entropy_stays_finite_where_a_wrong_class_is_certain():
    logits = torch.tensor([[[[200.0]], [[0.0]], [[0.0]]]], requires_grad=True)
    value = _loss("binary_cross_entropy")(logits, torch.tensor([[[1]]]))
    value.backward()
    assert float(value.detach()) == pytest.approx(2 * 200 / 3, rel=0.01)
    assert torch.isfinite(logits.grad).all()


def test_balanced_cross_entropy_by_hand():
    # the paper's: beta = 1 - 1/4, weight of the pixel with t = 1; 1 - beta of the others
    expected = (0.25 * sum(CE[:3]) + 0.75 * CE[3]) / 4
    assert float(_loss("balanced_cross_entropy")(LOGITS, TARGET)) == pytest.approx(expected)


def test_balanced_cross_entropy_with_a_given_beta_by_hand():
    expected = (0.1 * sum(CE[:3]) + 0.9 * CE[3]) / 4
    value = _loss("balanced_cross_entropy", beta=0.9)(LOGITS, TARGET)
    assert float(value) == pytest.approx(expected)


def test_balanced_cross_entropy_with_the_beta_of_each_image_by_hand():
    logits, target = torch.cat([LOGITS, LOGITS]), torch.cat([TARGET, 1 - TARGET])
    other = [-math.log(0.2), -math.log(0.4), -math.log(0.1), -math.log(0.3)]
    first = 0.25 * sum(CE[:3]) + 0.75 * CE[3]
    second = 0.25 * sum(other[:3]) + 0.75 * other[3]
    value = _loss("balanced_cross_entropy", beta="image")(logits, target)
    assert float(value) == pytest.approx((first + second) / 8)
    together = _loss("balanced_cross_entropy")(logits, target)  # beta is 1/2
    assert float(together) == pytest.approx(sum(CE + other) / 16)


def test_normalised_balanced_cross_entropy_is_the_mean_of_the_classes_means():
    expected = (sum(CE[:3]) / 3 + CE[3]) / 2
    value = _loss("balanced_cross_entropy", normalised=True)(LOGITS, TARGET)
    assert float(value) == pytest.approx(expected)
    alone = _loss("balanced_cross_entropy", normalised=True)(LOGITS, torch.zeros_like(TARGET))
    p0 = [0.8, 0.6, 0.9, 0.3]
    assert float(alone) == pytest.approx(-sum(math.log(p) for p in p0) / 4)


def test_balanced_cross_entropy_of_three_classes_by_hand():
    logits = torch.tensor([0.2, 0.3, 0.5]).log().view(1, 3, 1, 1).expand(1, 3, 1, 4)
    target = torch.tensor([[[0, 0, 1, 2]]])
    means = -math.log(0.2), -math.log(0.3), -math.log(0.5)
    expected = (1 - 0.5**2 - 0.25**2 - 0.25**2) * sum(means) / 3
    assert float(_loss("balanced_cross_entropy")(logits, target)) == pytest.approx(expected)


# soft counts of class 1: TP 0.7, FP 0.2 + 0.4 + 0.1, FN 0.3
def test_tversky_by_hand():
    expected = 1 - (0.7 + 1) / (0.7 + 0.3 * 0.7 + 0.7 * 0.3 + 1)
    assert float(_loss("tversky")(LOGITS, TARGET)) == pytest.approx(expected)
    expected = 1 - (0.7 + 0.1) / (0.7 + 0.6 * 0.7 + 0.4 * 0.3 + 0.1)
    value = _loss("tversky", alpha=0.6, smooth=0.1)(LOGITS, TARGET)
    assert float(value) == pytest.approx(expected)


def test_tversky_of_both_classes_by_hand():
    class_0 = (2.3 + 1) / (2.3 + 0.3 * 0.3 + 0.7 * 0.7 + 1)
    class_1 = (0.7 + 1) / (0.7 + 0.3 * 0.7 + 0.7 * 0.3 + 1)
    value = _loss("tversky", first_class=True)(LOGITS, TARGET)
    assert float(value) == pytest.approx(1 - (class_0 + class_1) / 2)


def test_tversky_without_the_class_counts_false_alarms():
    value = _loss("tversky")(LOGITS, torch.zeros_like(TARGET))
    assert float(value) == pytest.approx(1 - 1 / (0.3 * float(P1.sum()) + 1))


def test_focal_tversky_by_hand():
    plain = 1 - (0.7 + 1) / (0.7 + 0.3 * 0.7 + 0.7 * 0.3 + 1)
    assert float(_loss("focal_tversky")(LOGITS, TARGET)) == pytest.approx(plain ** (3 / 4))
    value = _loss("focal_tversky", gamma=0.75)(LOGITS, TARGET)
    assert float(value) == pytest.approx(plain ** (4 / 3))


def test_focal_tversky_has_a_slope_where_all_is_right():
    logits = (torch.nn.functional.one_hot(TARGET, 2).movedim(-1, 1) * 500.0).requires_grad_()
    _loss("focal_tversky")(logits, TARGET).backward()
    assert torch.isfinite(logits.grad).all()


def test_dice_by_hand():
    p0 = 1 - P1
    class_0 = (2 * float(p0[:3].sum()) + 1) / (float(p0.sum()) + 3 + 1)
    class_1 = (2 * 0.7 + 1) / (float(P1.sum()) + 1 + 1)
    value = _loss("dice")(LOGITS, TARGET)
    assert float(value) == pytest.approx(1 - (class_0 + class_1) / 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cross_entropy", {"label_smoothing": 1.5}),
        ("weighted_cross_entropy", {"weights": {}}),
        ("weighted_cross_entropy", {"weights": {"pore": -1}}),
        ("dice", {"smooth": 0}),
        ("balanced_cross_entropy", {"beta": 1.0}),
        ("balanced_cross_entropy", {"beta": "volume"}),
        ("tversky", {"alpha": 1.1}),
        ("focal_tversky", {"gamma": 0}),
    ],
)
def test_an_option_out_of_range_is_refused(name, options):
    with pytest.raises(RecipeError, match="cannot be built"):
        _loss(name, **options)


@pytest.mark.parametrize("name", NAMES)
def test_an_option_of_another_type_is_refused(name):
    for option in LOSSES.options(name):
        with pytest.raises(RecipeError, match=f"option '{option}' of loss '{name}' is"):
            _loss(name, **{option: [1, 5]})
