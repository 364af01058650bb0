"""Patches that are several slices deep are blended as flat ones are: by a ring of slices."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tomolith.blocks import PatchGrid
from tomolith.core import Box, Grid
from tomolith.errors import InputError
from tomolith.learn.planes import check_cubes
from tomolith.learn.sliding import blend_slices

SHAPE, SIDE = (45, 41, 53), 16
BOXES = (
    Box((2, 5, 7), (6, 33, 50)),  # flatter than a patch
    Box((20, 0, 0), (45, 10, 53)),
    Box((17, 8, 8), (39, 20, 20)),
    Box((44, 0, 0), (45, 41, 53)),
)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


def infer(batch):
    """Give two classes that depend on the place in the patch and on the whole of it."""
    place = np.random.default_rng(1).normal(size=(2, *[SIDE] * 3)).astype(np.float32)
    return batch * place + batch.mean(axis=(2, 3, 4), keepdims=True)


def blend(image, box, overlap_frac, batch_size=3):
    slices = [
        (z, logits.copy())
        for z, logits in blend_slices(
            lambda patch: image[patch.slices][None],
            infer,
            patches=PatchGrid(SHAPE, (SIDE,) * 3, overlap_frac),
            write=box,
            batch_size=batch_size,
        )
    ]
    assert [z for z, _ in slices] == list(range(box.start_zyx[0], box.stop_zyx[0]))
    return np.stack([logits for _, logits in slices], axis=1)


@pytest.mark.parametrize("overlap_frac", [0.0, 0.25, 0.6])
def test_logits_are_those_of_plain_sums_whatever_the_blocks(image, overlap_frac):
    sums, n = np.zeros((2, *SHAPE)), np.zeros(SHAPE)
    for patch in PatchGrid(SHAPE, (SIDE,) * 3, overlap_frac).patches_meeting(Box.whole(SHAPE)):
        sums[(slice(None), *patch.slices)] += infer(image[patch.slices][None, None])[0]
        n[patch.slices] += 1
    whole = blend(image, Box.whole(SHAPE), overlap_frac)
    np.testing.assert_allclose(whole, sums / n, atol=1e-5)
    for i, box in enumerate(BOXES):
        part = blend(image, box, overlap_frac, batch_size=1 + 3 * i)
        assert np.array_equal(part, whole[(slice(None), *box.slices)]), box


def test_what_is_done_to_a_slice_does_not_reach_the_next_ones(image):
    """The reader may compute in the array it is given."""
    whole = blend(image, Box.whole(SHAPE), 0.25)
    patches = PatchGrid(SHAPE, (SIDE,) * 3, 0.25)
    for z, logits in blend_slices(
        lambda patch: image[patch.slices][None],
        infer,
        patches=patches,
        write=Box.whole(SHAPE),
        batch_size=4,
    ):
        assert np.array_equal(logits, whole[:, z])
        logits[...] = np.nan


@pytest.mark.parametrize(
    ("grid", "found"),
    [
        (Grid((9, 9, 9), (1.0, 1.0, 1.0), sections=True), "not sections"),
        (Grid((9, 9, 9), None), "not an unknown one"),
        (Grid((9, 9, 9), (2.0, 1.0, 1.0)), "not 2 × 1 × 1 µm"),
    ],
)
def test_what_is_no_space_of_cubes_is_refused(grid, found):
    with pytest.raises(InputError, match=found):
        check_cubes(grid, where="predict")


def test_cubes_are_predicted_in_no_other_plane():
    grid = Grid((9, 9, 9), (1.0, 1.0, 1.005))
    check_cubes(grid, ("xy",), where="predict")
    with pytest.raises(InputError, match="all planes at once, and is asked for xy, xz"):
        check_cubes(grid, ("xy", "xz"), where="predict")


def test_no_more_slices_of_sums_are_held_than_a_patch_is_deep():
    shape, side = (96, 128, 128), 16
    ring_bytes = 2 * 4 * side * shape[1] * shape[2]
    batch = np.zeros((1, 2, side, side, side), np.float32)
    slices = blend_slices(
        lambda patch: batch[0, :1],
        lambda given: batch,
        patches=PatchGrid(shape, (side,) * 3, 0.25),
        write=Box.whole(shape),
        batch_size=1,
    )
    tracemalloc.start()
    try:
        assert sum(1 for _ in slices) == shape[0]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ring_bytes < peak < 1.2 * ring_bytes
