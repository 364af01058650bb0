"""What the compiled loops find in a block, against counting voxel by voxel with NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomolith.core import PRESETS, Box, Grid
from tomolith.measure.quantities import compiled
from tomolith.measure.quantities.base import Region
from tomolith.measure.quantities.columns import class_columns, column_counts, side_counts
from tomolith.measure.quantities.electrodes import Position
from tomolith.measure.quantities.frame import Frame
from tomolith.measure.quantities.runs import any_look, look_through
from tomolith.measure.quantities.voids import look_at

VALUES = [0, 1, 3, 5, 255]
SHAPES = st.tuples(*[st.integers(1, 19)] * 3)
PLANES = st.tuples(st.floats(-3, 30), st.floats(-1, 1), st.floats(-1, 1))
START = (3, 5, 7)


def region(seed: int, shape: tuple[int, int, int], noise: float) -> Region:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    labels[:, shape[1] // 2 :] = 1
    wrong = rng.random(shape) < noise
    labels[wrong] = rng.choice(VALUES, wrong.sum())
    z, y, x = (start + n for start, n in zip(START, shape, strict=True))
    core = Box(START, (z, y, x))
    return Region(labels, core, core)


def high(block: Region, frame: Frame) -> np.ndarray:
    """Tell, with axes (u, across, v), which voxels lie on the high side."""
    index = np.arange(block.core.shape_zyx[frame.axis]) + block.core.start_zyx[frame.axis]
    return index[None, :, None] >= frame.first_high(block.core)[:, None, :]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=SHAPES,
    noise=st.sampled_from([0.0, 0.05, 1.0]),
    axis=st.integers(0, 2),
    plane=PLANES,
)
def test_a_look_tells_all_that_voxels_tell(
    seed: int,
    shape: tuple[int, int, int],
    noise: float,
    axis: int,
    plane: tuple[float, float, float],
) -> None:
    block, frame = region(seed, shape, noise), Frame(axis, True, plane)
    look = look_through(block, frame)
    runs, across = look.runs, frame.across(block.labels)
    begun = runs.begin[np.repeat(np.arange(len(runs.begin) - 1), np.diff(runs.begin))]
    starts = np.where(np.arange(len(runs.stop)) == begun, 0, np.roll(runs.stop, 1))
    columns = np.repeat(runs.label, runs.stop - starts).reshape(*runs.plan_shape, runs.length)
    assert np.array_equal(columns.transpose(0, 2, 1), across)
    same = runs.label[1:] == runs.label[:-1]
    assert not np.any(same & (starts[1:] > 0)), "a run goes on in the next one"
    assert np.array_equal(runs.first, across[:, 0])
    assert np.array_equal(runs.last, across[:, -1])
    assert np.array_equal(look.n_by_label, np.bincount(block.labels.ravel(), minlength=256))
    expected = np.zeros((2, 256, 256), np.int64)
    is_high = np.moveaxis(high(block, frame), 1, axis).astype(int)
    for along in range(3):
        n = shape[along] - 1
        a, side = (m.take(range(n), axis=along).ravel() for m in (block.labels, is_high))
        b = block.labels.take(range(1, n + 1), axis=along).ravel()
        np.add.at(expected, (side[a != b], a[a != b], b[a != b]), 1)
    assert np.array_equal(look.pairs, expected)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), shape=SHAPES, axis=st.integers(0, 2), plane=PLANES)
def test_columns_are_counted_on_either_side_of_any_plane(
    seed: int, shape: tuple[int, int, int], axis: int, plane: tuple[float, float, float]
) -> None:
    block, frame = region(seed, shape, 0.3), Frame(axis, True, plane)
    across, is_high = frame.across(block.labels), high(block, frame)
    for value in (*VALUES, 9):
        here = across == value
        expected = [(here & ~is_high).sum(axis=1), (here & is_high).sum(axis=1)]
        assert np.array_equal(column_counts(block, frame, value), expected)
        assert side_counts(block, frame)[value].tolist() == [e.sum() for e in expected]
    schema = PRESETS["li-operando"]
    expected = [(across == value).sum(axis=1) for value in schema.values]
    assert np.array_equal(class_columns(block, frame, schema), expected)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), shape=SHAPES, axis=st.integers(0, 2), plane=PLANES)
def test_electrodes_end_where_their_outermost_voxels_lie(
    seed: int, shape: tuple[int, int, int], axis: int, plane: tuple[float, float, float]
) -> None:
    block, frame = region(seed, shape, 0.3), Frame(axis, True, plane)
    quantity = Position(PRESETS["li-operando"], frame)
    quantity.update(block)
    ((_, found),) = quantity._ends.items()
    here, is_high = frame.across(block.labels) == 1, high(block, frame)
    for rows, side in ((found[:2], here & ~is_high), (found[2:], here & is_high)):
        for u, v in np.ndindex(*rows[0].shape):
            at = np.flatnonzero(side[u, :, v]) + START[axis]
            expected = [-at[0], at[-1] + 1] if len(at) else [-(2**31)] * 2
            assert rows[:, u, v].tolist() == expected


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), shape=SHAPES, axis=st.integers(0, 2), upwards=st.booleans())
def test_voids_are_pits_below_redeposited_lithium(
    seed: int, shape: tuple[int, int, int], axis: int, upwards: bool
) -> None:
    block, frame = region(seed, shape, 0.5), Frame(axis, upwards)
    found = look_at(look_through(block, frame).runs, (3, 5, 1), upwards)
    across = frame.across(block.labels)[:, :: 1 if upwards else -1]
    for u, v in np.ndindex(*found.n_pit.shape):
        column = across[u, :, v]
        pairs = set(zip(column[:-1].tolist(), column[1:].tolist(), strict=True))
        filled = np.flatnonzero(column == 5)
        below = column[: filled[-1]] if len(filled) else column[:0]
        assert found.n_pit[u, v] == np.count_nonzero(column == 3)
        assert found.n_below[u, v] == np.count_nonzero(below == 3)
        assert found.has_filled[u, v] == bool(len(filled))
        assert found.over_void[u, v] == ((3, 5) in pairs)
        assert found.contact[u, v] == ((1, 5) in pairs)
    assert np.array_equal(found.first, across[:, 0])
    assert np.array_equal(found.last, across[:, -1])


@pytest.mark.parametrize("n_x", [1, 63, 64, 65, 700])
def test_labels_that_change_at_every_voxel_find_room(n_x: int) -> None:
    labels = (np.indices((3, 5, n_x)).sum(axis=0) % 2).astype(np.uint8)
    box = Grid(labels.shape, None).box
    for axis in range(3):
        look = look_through(Region(labels, box, box), Frame(axis))
        assert len(look.runs.label) == labels.size
        n_faces = sum(labels.size // n * (n - 1) for n in labels.shape)
        assert look.pairs.sum() == look.pairs[0, [0, 1], [1, 0]].sum() == n_faces


def test_the_halo_is_not_looked_at() -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 1:3, 1:4] = 1
    core = Box((1, 1, 1), (2, 3, 4))
    look = look_through(Region(labels, Grid(labels.shape, None).box, core), Frame())
    assert look.runs.label.tolist() == [1, 1, 1]
    assert look.n_by_label[1] == 6
    assert not look.pairs.any()


def test_labels_need_not_be_writable_nor_contiguous() -> None:
    block = region(0, (4, 5, 6), 0.3)
    other = np.asfortranarray(block.labels)
    other.flags.writeable = False
    one, two = (look_through(r, Frame()) for r in (block, Region(other, block.read, block.core)))
    assert np.array_equal(one.pairs, two.pairs)
    assert np.array_equal(one.runs.stop, two.runs.stop)


def test_a_block_is_looked_through_once() -> None:
    block = region(0, (4, 5, 6), 0.3)
    look = look_through(block, Frame(2))
    assert any_look(block) is look_through(block, Frame(2)) is look


def test_loops_are_compiled_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    real = compiled.njit

    def njit(*, nogil: bool, cache: bool = False) -> Callable[..., Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(nogil=nogil)

    monkeypatch.setattr(compiled, "njit", njit)

    def twice(n: int) -> int:
        return 2 * n

    assert compiled._compiled(twice)(3) == 6
