"""Places where labels change, and what follows from them, against counting voxel by voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolith.core import Box, Grid
from tomolith.measure.quantities import changes as module
from tomolith.measure.quantities.base import Region
from tomolith.measure.quantities.changes import Pairs, changes, differing
from tomolith.measure.quantities.columns import column_counts
from tomolith.measure.quantities.frame import Frame

VALUES = [0, 1, 2, 255]


def region(seed: int, shape: tuple[int, int, int], noise: float) -> Region:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    labels[:, shape[1] // 2 :] = 1
    wrong = rng.random(shape) < noise
    labels[wrong] = rng.choice(VALUES, wrong.sum())
    core = Box((3, 5, 7), (3 + shape[0], 5 + shape[1], 7 + shape[2]))
    return Region(labels, core, core)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=st.tuples(*[st.integers(1, 19)] * 3),
    noise=st.sampled_from([0.0, 0.05, 1.0]),
    axis=st.integers(0, 2),
)
def test_changes_tell_all_that_voxels_tell(
    seed: int, shape: tuple[int, int, int], noise: float, axis: int
) -> None:
    block = region(seed, shape, noise)
    labels, found = np.moveaxis(block.labels, axis, 1), changes(block, axis)
    length = shape[axis]
    assert np.array_equal(found.count(), np.bincount(block.labels.ravel(), minlength=256))
    a, b = labels[:, :-1].ravel(), labels[:, 1:].ravel()
    assert np.array_equal(found.pairs(), Pairs.of(a[a != b], b[a != b]))
    assert found.present().tolist() == np.unique(labels).tolist()
    for value in VALUES:
        padded = np.pad(labels == value, ((0, 0), (1, 1), (0, 0))).astype(int)
        for ends, sign in zip(found.ends_of(value), (1, -1), strict=True):
            u, at, v = np.nonzero(np.diff(padded, axis=1) == sign)
            expected = sorted(zip((u * labels.shape[2] + v).tolist(), at.tolist(), strict=True))
            assert sorted(zip(*(e.tolist() for e in ends), strict=True)) == expected
    back = found.reversed()
    assert np.array_equal(back.first, labels[:, -1])
    assert np.array_equal(np.sort(back.position), np.sort(length - found.position))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=st.tuples(*[st.integers(1, 19)] * 3),
    axis=st.integers(0, 2),
    plane=st.tuples(st.floats(-3, 30), st.floats(-1, 1), st.floats(-1, 1)),
)
def test_columns_are_counted_on_either_side_of_any_plane(
    seed: int, shape: tuple[int, int, int], axis: int, plane: tuple[float, float, float]
) -> None:
    block, frame = region(seed, shape, 0.3), Frame(axis, True, plane)
    across = frame.across(block.labels)
    index = np.arange(across.shape[1]) + block.core.start_zyx[axis]
    high = index[None, :, None] >= frame.first_high(block.core)[:, None, :]
    for value in (*VALUES, 9):
        here = across == value
        expected = [(here & ~high).sum(axis=1), (here & high).sum(axis=1)]
        assert np.array_equal(column_counts(block, frame, value), expected)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 64, 67])
def test_rows_are_compared_to_their_last_label(n: int) -> None:
    rng = np.random.default_rng(n)
    a = rng.integers(0, 2, n + 1, dtype=np.uint8)
    b = rng.integers(0, 2, n + 1, dtype=np.uint8)
    for x, y in ((a[1:], b[1:]), (a[:-1], a[1:])):  # not aligned; overlapping
        found = differing(x, y, np.empty(n + 1, np.bool_))
        assert found.tolist() == np.flatnonzero(x != y).tolist()


def test_many_changes_are_worked_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame.half_depth((9, 40, 11))
    whole, cut = region(0, (9, 40, 11), 1.0), region(0, (9, 40, 11), 1.0)
    expected = column_counts(whole, frame, 2), changes(whole, 1).count(), changes(whole, 1).pairs()
    monkeypatch.setattr(module, "_AT_ONCE", 100)
    assert len(list(changes(cut, 1).parts())) > 5
    found = column_counts(cut, frame, 2), changes(cut, 1).count(), changes(cut, 1).pairs()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_halo_is_not_looked_at() -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 1:3, 1:4] = 1
    core = Box((1, 1, 1), (2, 3, 4))
    found = changes(Region(labels, Grid(labels.shape, None).box, core), 1)
    assert len(found.column) == 0
    assert found.count()[1] == 6
