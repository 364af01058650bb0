"""Which slices are validated, and what it costs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tomolith.core import Grid
from tomolith.learn.settings import TrainSettings
from tomolith.learn.validation import (
    LEAST_SLICES,
    affordable_px,
    choose_slices,
    slice_logits,
    stack_logits,
)


def scan(n: int, side: int) -> SimpleNamespace:
    return SimpleNamespace(image=SimpleNamespace(grid=Grid((n, side, side), None)))


@pytest.mark.parametrize(("most_px", "n"), [(10, LEAST_SLICES), (100 * 128**2, 100), (10**9, 443)])
def test_small_slices_are_many_and_never_fewer_than_16(most_px, n):
    places = [(0, z) for z in range(443)]
    chosen = choose_slices(places, [scan(443, 128)], most_px=most_px)
    assert len(chosen) == n
    assert chosen[0] == places[0]
    assert chosen[-1] == places[-1]


def test_the_cap_counts_pixels_of_scans_of_any_size():
    places = [(example, z) for example in (0, 1) for z in range(50)]
    examples = [scan(50, 100), scan(50, 300)]  # 50 000 pixels each on average
    assert len(choose_slices(places, examples, most_px=20 * 50_000)) == 20


def test_a_short_epoch_is_not_mostly_validation():
    settings = TrainSettings(patch_px=128)
    assert affordable_px(settings, 64) == 8 * 128**2
    assert affordable_px(settings, 10**6) == settings.validation_pixels


@pytest.mark.parametrize(("is_fixed", "expected"), [(True, [16]), (False, [1])])
def test_a_slice_of_one_patch_is_computed_alone_where_batches_may_differ(is_fixed, expected):
    seen = []

    def forward(image):
        seen.append(len(image))
        return torch.cat([image, -image], dim=1)

    image = np.ones((1, 32, 32), np.float32)
    found = slice_logits(forward, image, patch_px=32, batch=16, is_fixed=is_fixed)
    assert seen == expected
    assert found.shape == (2, 32, 32)


@pytest.mark.parametrize("side", [24, 32, 50])
def test_slices_that_share_a_batch_are_what_they_are_alone(side):
    images = np.random.default_rng(0).normal(size=(5, 1, side, side)).astype(np.float32)
    options = {"patch_px": 32, "batch": 4, "is_fixed": False}

    def forward(image):
        return torch.cat([image, image.cumsum(dim=3)], dim=1)

    together = list(stack_logits(forward, images, **options))
    assert len(together) == 5
    for image, logits in zip(images, together, strict=True):
        np.testing.assert_array_equal(logits, slice_logits(forward, image, **options))
