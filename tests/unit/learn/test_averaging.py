from __future__ import annotations

import pytest
import torch
from torch import nn

from tomolith.learn.averaging import RunningAverage


def _set(layer, value):
    with torch.no_grad():
        for p in layer.parameters():
            p.fill_(value)


def test_no_steps_follows_exactly():
    layer = nn.BatchNorm2d(2)
    average = RunningAverage(layer, steps=0)
    _set(layer, 7.0)
    layer.train()(torch.randn(4, 2, 3, 3))
    average.update(layer, step=0)
    for name, value in layer.state_dict().items():
        assert torch.equal(average.network.state_dict()[name], value), name


def test_the_random_start_is_forgotten_and_recent_steps_are_averaged():
    layer = nn.Linear(1, 1)
    _set(layer, 1000.0)
    average = RunningAverage(layer, steps=10)
    for step in range(200):
        _set(layer, 1.0 if step % 2 else 3.0)
        average.update(layer, step)
    assert average.network.weight.item() == pytest.approx(2.0, abs=0.1)


def test_it_comes_back_and_does_not_train():
    layer = nn.Linear(2, 2)
    first = RunningAverage(layer, steps=10)
    _set(layer, 5.0)
    first.update(layer, 3)
    again = RunningAverage(nn.Linear(2, 2), steps=10)
    again.restore(first.weights())
    assert torch.equal(again.network.weight, first.network.weight)
    assert not any(p.requires_grad for p in again.network.parameters())
    assert not again.network.training
