from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tomolith.core import (
    PRESETS,
    ClassSchema,
    Grid,
    IntensityStats,
    LabelMap,
    Normalisation,
    Volume,
)
from tomolith.errors import InputError, MismatchError
from tomolith.learn.examples import TILE_PX, Example, SliceCache, index_labels, labelled_scans
from tomolith.learn.sampling import Patch, PatchSampler, read_batches

SCHEMA = PRESETS["li-binary"]


class Recording:
    """An array that remembers how much of it was read at once."""

    def __init__(self, array):
        self.array, self.reads = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index):
        part = self.array[index]
        self.reads.append(part.shape)
        return part


def _example(labels, image=None, name="a", schema=SCHEMA):
    grid = Grid(labels.shape, None)
    if image is None:
        image = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    stats = IntensityStats.of_sample(np.asarray(getattr(image, "array", image)))
    return Example(name, Volume(image, grid), LabelMap(Volume(labels, grid), schema), (stats,))


def _sparse(depth=40, side=200):
    labels = np.full((depth, side, side), 255, np.uint8)
    labels[7, 20:60, 20:60] = 0
    labels[31, 100:180, 20:60] = 1
    labels[31, 10:20, 10:20] = 0
    return labels


def test_only_labelled_slices_are_found_and_counted():
    example = _example(_sparse())
    slices = index_labels([example], SCHEMA)
    assert [(s.z, s.n_pixels.sum((0, 1)).tolist()) for s in slices] == [
        (7, [1600, 0]),
        (31, [100, 3200]),
    ]
    assert slices[1].n_pixels[1:3, 0, 1].tolist() == [28 * 40, 52 * 40]  # rows 100-127, 128-179
    assert labelled_scans([example], slices)[0].labelled_z == (7, 31)


def test_no_label_at_all_is_refused():
    with pytest.raises(InputError, match="no voxel of the training scans is labelled"):
        index_labels([_example(np.full((2, 8, 8), 255, np.uint8))], SCHEMA)


def test_patches_lie_on_labels_only():
    slices = index_labels([_example(_sparse())], SCHEMA)
    sampler = PatchSampler(slices, n_patches=500)
    for patch in sampler.epoch(0):
        y, x = (c // TILE_PX for c in patch.centre_yx)
        counts = next(s for s in slices if s.z == patch.z).n_pixels
        assert counts[y, x].sum() > 0


def test_balance_draws_the_rare_class_as_often():
    labels = np.zeros((1, 640, 640), np.uint8)
    labels[0, :64, :64] = 1  # one tile of a hundred
    slices = index_labels([_example(labels)], SCHEMA)

    def share(balance):
        patches = PatchSampler(slices, n_patches=2000, balance=balance).epoch(0)
        return np.mean([max(p.centre_yx) < 64 for p in patches])

    assert share(0.0) == pytest.approx(0.01, abs=0.01)
    assert share(1.0) == pytest.approx(0.5, abs=0.05)


def test_a_slice_no_larger_than_a_patch_is_taken_whole():
    labels = np.ones((2, 128, 300), np.uint8)
    patches = PatchSampler(
        index_labels([_example(labels)], SCHEMA), n_patches=50, patch_px=128
    ).epoch(0)
    assert {p.centre_yx[0] for p in patches} == {64}
    assert len({p.centre_yx[1] for p in patches}) > 10


def test_epochs_differ_and_come_back():
    slices = index_labels([_example(_sparse())], SCHEMA)
    first, again = (PatchSampler(slices, n_patches=20, seed=4) for _ in range(2))
    assert first.epoch(3) == again.epoch(3)
    assert first.epoch(3) != first.epoch(4)


def test_an_epoch_reads_no_more_slices_than_it_may():
    labels = np.zeros((50, 16, 16), np.uint8)
    slices = index_labels([_example(labels)], SCHEMA)
    sampler = PatchSampler(slices, n_patches=200, n_slices=5)
    assert len({p.z for p in sampler.epoch(0)}) == 5
    assert {p.z for p in sampler.epoch(0)} != {p.z for p in sampler.epoch(1)}


def test_never_more_than_a_slab_is_read_at_once():
    labels, image = Recording(_sparse()), Recording(np.zeros((40, 200, 200), np.uint8))
    image.array[:] = np.arange(200)
    example = _example(labels, image)
    slices = index_labels([example], SCHEMA)
    assert max(shape[0] for shape in labels.reads) <= 16
    assert image.reads == []
    cache = SliceCache([example], SCHEMA, 10**6)
    for patch in PatchSampler(slices, n_patches=50).epoch(0):
        cache.region(0, patch.z, corner_yx=patch.centre_yx, side_px=32)
    assert Counter(image.reads) == {(1, 200, 200): 2}  # each labelled slice once


def test_the_cache_keeps_to_its_budget():
    image = Recording(np.random.default_rng(0).integers(0, 9, (10, 50, 50), dtype=np.uint8))
    cache = SliceCache([_example(np.zeros((10, 50, 50), np.uint8), image)], SCHEMA, 3 * 5000)
    for z in range(10):
        cache.read(0, z)
    cache.read(0, 9), cache.read(0, 8), cache.read(0, 7)
    assert len(image.reads) == 10  # the last three were kept
    cache.read(0, 0)
    assert len(image.reads) == 11


def test_regions_mirror_the_image_and_leave_the_outside_unlabelled():
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    cache = SliceCache([_example(np.ones((1, 4, 4), np.uint8), image)], SCHEMA, 10**6)
    (grey,), channels = cache.region(0, 0, corner_yx=(-2, 1), side_px=8)
    np.testing.assert_array_equal(grey[2:6, :3], image[0, :, 1:])
    np.testing.assert_array_equal(grey[1], grey[2])
    assert (channels[2:6, :3] == 1).all()
    assert (channels == -1).sum() == 64 - 12


def test_batches_are_normalised_per_scan():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 200, (1, 64, 64))
    labels = np.zeros((1, 64, 64), np.uint8)
    dim = _example(labels, grey.astype(np.uint8))
    bright = _example(labels, (grey * 300 + 5000).astype(np.uint16), name="b")
    cache = SliceCache([dim, bright], SCHEMA, 10**6)
    patches = [Patch(0, 0, (30, 30)), Patch(1, 0, (30, 30))]
    [(image, target)] = read_batches(
        patches, [dim, bright], cache, normalisation=Normalisation(), batch=4, side_px=32
    )
    assert image.shape == (2, 1, 32, 32)
    assert target.shape == (2, 32, 32)
    np.testing.assert_allclose(image[0], image[1], atol=1e-5)


def test_values_become_channels_by_the_schema():
    schema = ClassSchema.from_recipe([{"name": "pore", "value": 7}, {"name": "matrix", "value": 3}])
    labels = np.array([[[7, 3], [255, 9]]], np.uint8)
    cache = SliceCache([_example(labels, schema=schema)], schema, 10**6)
    _, channels = cache.region(0, 0, corner_yx=(0, 0), side_px=2)
    assert channels.tolist() == [[0, 1], [-1, -1]]


def test_labels_of_another_shape_are_refused():
    image = Volume(np.zeros((1, 4, 4), np.uint8), Grid((1, 4, 4), None))
    labels = LabelMap(Volume(np.zeros((1, 4, 5), np.uint8), Grid((1, 4, 5), None)), SCHEMA)
    stats = (IntensityStats.of_sample(np.arange(4)),)
    with pytest.raises(MismatchError, match=r"labels have shape \(1, 4, 5\)"):
        Example("a", image, labels, stats)
