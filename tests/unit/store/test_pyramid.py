from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import block_reduce

from tomolith.core import Grid
from tomolith.store.array import StoredArray
from tomolith.store.layout import Layout
from tomolith.store.pyramid import build_level, plan_levels, reduce_mean, reduce_mode

SHAPE = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
STEP = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2))


@given(SHAPE, STEP, st.sampled_from(["u1", "i2", "u2", "f4"]))
def test_mean_agrees_with_scikit_image(shape, step, dtype):
    rng = np.random.default_rng(1)
    block = rng.integers(0, 250, shape).astype(dtype)
    even = [n // s * s for n, s in zip(shape, step, strict=True)]
    inner = block[: even[0], : even[1], : even[2]]
    small = reduce_mean(block, step)
    assert small.shape == tuple(-(-n // s) for n, s in zip(shape, step, strict=True))
    assert small.dtype == block.dtype
    if inner.size:
        expected = block_reduce(inner.astype(float), step, np.mean)
        z, y, x = expected.shape
        assert np.abs(small[:z, :y, :x] - expected).max() <= (0.5 if dtype != "f4" else 1e-4)


@pytest.mark.parametrize(("dtype", "value"), [("u1", 255), ("u2", 65535), ("i2", -32768)])
def test_mean_of_extremes_does_not_overflow(dtype, value):
    block = np.full((4, 4, 4), value, dtype)
    assert (reduce_mean(block, (2, 2, 2)) == value).all()


@given(SHAPE, STEP)
def test_mode_is_a_most_frequent_value(shape, step):
    rng = np.random.default_rng(2)
    block = rng.choice(np.array([0, 1, 2, 255], np.uint8), shape)
    small = reduce_mode(block, step, (0, 1, 2, 255))
    for index in np.ndindex(small.shape):
        cell = block[tuple(slice(i * s, i * s + s) for i, s in zip(index, step, strict=True))]
        n = {v: int((cell == v).sum()) for v in (0, 1, 2, 255)}
        if cell.size == np.prod(step):
            assert n[int(small[index])] == max(n.values())
        else:
            assert small[index] in cell


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000)),
    st.sampled_from([None, (1.0, 1.0, 1.0), (8.0, 1.0, 1.0), (1.0, 3.0, 1.0)]),
    st.booleans(),
)
def test_levels_shrink_to_a_small_one(shape, size, sections):
    levels = plan_levels(Grid(shape, size, sections=sections))
    assert levels[0].shape_zyx == shape
    last = levels[-1].shape_zyx
    assert max(last[1:] if sections else last) <= 256
    for before, after in itertools.pairwise(levels):
        assert after.shape_zyx != before.shape_zyx
        if sections:
            assert after.factor_zyx[0] == 1


def test_a_level_on_disk_equals_the_level_in_memory(tmp_path):
    grid = Grid((9, 300, 70), None)
    level = plan_levels(grid)[1]
    layout = Layout((2, 16, 16), (4, 64, 32))
    grey = np.random.default_rng(0).integers(0, 255, grid.shape_zyx).astype(np.uint8)
    source = StoredArray.create(tmp_path / "0", grid.shape_zyx, "u1", layout=layout)
    source[:] = grey
    target = StoredArray.create(
        tmp_path / "1", level.shape_zyx, "u1", layout=layout.cut(level.shape_zyx)
    )
    build_level(source, target, level, reduce_mean)
    assert level.step_zyx == (2, 2, 2)
    assert np.array_equal(target[:], reduce_mean(grey, (2, 2, 2)))


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([(1, 1, 1), (1, 2, 2), (2, 2, 2)]))
def test_steps_with_layouts_of_odd_chunks(tmp_path_factory, step):
    from tomolith.store.pyramid import Level

    folder = tmp_path_factory.mktemp("odd")
    shape = (7, 23, 31)
    grey = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    source = StoredArray.create(folder / "0", shape, "u1", layout=Layout((3, 5, 7), (3, 10, 7)))
    source[:] = grey
    z, y, x = (-(-n // s) for n, s in zip(shape, step, strict=True))
    layout = Layout((3, 5, 7), (3, 5, 14)).cut((z, y, x))
    target = StoredArray.create(folder / "1", (z, y, x), "u1", layout=layout)
    build_level(source, target, Level(1, (z, y, x), step, step), reduce_mean)
    assert np.array_equal(target[:], reduce_mean(grey, step))


def test_levels_keep_positions_in_space(make_scan):
    grid = Grid((40, 600, 300), (4.0, 1.0, 1.0), origin_um=(10.0, 0.0, 5.0))
    scan = make_scan(grid=grid, dtype="u1", labels=False)
    ome = json.loads((scan.path / "zarr.json").read_text())["attributes"]["ome"]
    datasets = ome["multiscales"][0]["datasets"]
    scales = [d["coordinateTransformations"][0]["scale"] for d in datasets]
    shifts = [d["coordinateTransformations"][1]["translation"] for d in datasets]
    assert scales == [[4, 1, 1], [4, 2, 2], [4, 4, 4]]
    assert shifts == [[10, 0, 5], [10, 0.5, 5.5], [10, 1.5, 6.5]]
