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
    with pytest.raises(RecipeError, match="'pore"):
        loss.prepare(["matrix", "pore"], [1, 1])


def test_balanced_cross_entropy_by_hand():
    expected = (sum(CE[:3]) / 3 + CE[3]) / 2
    assert float(_loss("balanced_cross_entropy")(LOGITS, TARGET)) == pytest.approx(expected)


def test_dice_by_hand():
    p0 = 1 - P1
    class_0 = (2 * float(p0[:3].sum()) + 1) / (float(p0.sum()) + 3 + 1)
    class_1 = (2 * 0.7 + 1) / (float(P1.sum()) + 1 + 1)
    value = _loss("dice")(LOGITS, TARGET)
    assert float(value) == pytest.approx(1 - (class_0 + class_1) / 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [("cross_entropy", {"label_smoothing": 1.5}), ("dice", {"smooth": 0})],
)
def test_an_option_out_of_range_is_refused(name, options):
    with pytest.raises(RecipeError, match="cannot be built"):
        _loss(name, **options)
