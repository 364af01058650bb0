"""Smallest pieces and holes are those of the whole array, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from refine_helpers import OPERANDO
from tomolith.core import Grid, LabelMap, Volume
from tomolith.measure.refine.fill_holes import fill_holes_rules
from tomolith.measure.refine.min_size import min_size_rules
from tomolith.measure.refine.pieces import PieceWork
from tomolith.measure.refine.settings import FillHolesSettings, MinSizeSettings

SHAPE = (21, 26, 23)
BLOCKS = [(7, 7, 7), (21, 5, 23), (4, 26, 9), SHAPE]
UNLABELLED = OPERANDO.unlabelled


def blobs(seed: int = 3) -> np.ndarray:
    """Patches of all classes and of what has none, of all sizes."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.1)
    values = np.digitize(smooth, np.quantile(smooth, [0.45, 0.6, 0.75, 0.9])).astype(np.uint8)
    values[rng.random(SHAPE) < 0.03] = 5
    values[rng.random(SHAPE) < 0.01] = UNLABELLED
    return values


def apply(values: np.ndarray, operation: str, rules, block) -> np.ndarray:
    labels = LabelMap(Volume(values, Grid(values.shape, None)), OPERANDO)
    boxes = list(labels.grid.box.tiles(block))
    work = PieceWork(operation, labels, rules, boxes)
    out = np.empty_like(values)
    n_changed = 0
    for box in reversed(boxes):
        (found,), changes = work(box)
        out[box.slices] = found
        n_changed += sum(n for *_, n in changes.of_scan(0))
    assert n_changed == (out != values).sum()
    return out


def smallest_by_scipy(values: np.ndarray, least: int) -> np.ndarray:
    out = values.copy()
    padded = np.pad(values, 1, constant_values=UNLABELLED)
    for value in range(1, 6):
        pieces, n = ndimage.label(values == value, np.ones((3, 3, 3)))
        for piece in range(1, n + 1):
            at = np.argwhere(pieces == piece)
            if len(at) >= least:
                continue
            votes = np.zeros(6, int)
            for place in at + 1:
                for axis in range(3):
                    for step in (-1, 1):
                        beside = place.copy()
                        beside[axis] += step
                        found = padded[tuple(beside)]
                        if found not in (value, UNLABELLED):
                            votes[found] += 1
            if votes.any():
                out[tuple(at.T)] = votes.argmax()
    return out


@pytest.mark.parametrize("block", BLOCKS)
def test_small_pieces_become_what_mostly_surrounds_them(block):
    values, rules = blobs(), min_size_rules(MinSizeSettings(voxels=12), OPERANDO)
    expected = smallest_by_scipy(values, 12)
    assert (values != expected).sum() > 200
    assert (apply(values, "min_size", rules, block) == expected).all()


def test_only_named_classes_lose_their_small_pieces():
    values = blobs()
    rules = min_size_rules(MinSizeSettings(classes={"dendrite": 30}), OPERANDO)
    out = apply(values, "min_size", rules, (7, 7, 7))
    assert (values[out != values] == 2).all() and (out != values).any()


def test_a_piece_of_the_smallest_size_stays():
    values = np.zeros(SHAPE, np.uint8)
    values[3, 3, 3:6] = 2
    values[10, 10, 10:12] = 2
    out = apply(values, "min_size", min_size_rules(MinSizeSettings(voxels=3), OPERANDO), (7, 9, 4))
    assert (out[3, 3, 3:6] == 2).all() and out.sum() == 6


def holes_by_scipy(values: np.ndarray, value: int, most: int) -> np.ndarray:
    pieces, n = ndimage.label(values != value)
    out = np.zeros(values.shape, bool)
    ends = np.ones(values.shape, bool)
    ends[1:-1, 1:-1, 1:-1] = False
    for piece in range(1, n + 1):
        here = pieces == piece
        if here.sum() <= most and not (here & (ends | (values == UNLABELLED))).any():
            out |= here
    return out


@pytest.mark.parametrize("block", BLOCKS)
def test_holes_are_filled_as_on_the_whole_array(block):
    rng = np.random.default_rng(1)
    values = np.where(rng.random(SHAPE) < 0.2, blobs(), 1).astype(np.uint8)
    values[:, :, 12:] = np.where(rng.random((21, 26, 11)) < 0.2, blobs()[:, :, 12:], 2)
    rules = fill_holes_rules(FillHolesSettings(voxels=9), OPERANDO)
    electrode, dendrite = holes_by_scipy(values, 1, 9), holes_by_scipy(values, 2, 9)
    assert electrode.sum() > 50 and dendrite.sum() > 50
    expected = np.where(electrode, 1, np.where(dendrite, 2, values))
    assert (apply(values, "fill_holes", rules, block) == expected).all()


def test_a_hole_of_the_largest_size_is_filled_and_an_open_one_is_not():
    values = np.full(SHAPE, 1, np.uint8)
    values[5, 5, 5:8] = 0  # three voxels, of two classes, across a cut between blocks
    values[5, 5, 7] = 3
    values[9, 9, 5:9] = 0  # four
    values[0, 3, 3] = 0  # at the end of the scan
    values[12, 12, 12:14] = 0, UNLABELLED
    rules = fill_holes_rules(FillHolesSettings(voxels=3), OPERANDO)
    out = apply(values, "fill_holes", rules, (7, 7, 6))
    assert (out[5, 5, 5:8] == 1).all()
    assert (out[9, 9, 5:9] == 0).all() and out[0, 3, 3] == 0 and out[12, 12, 12] == 0


def test_what_touches_over_an_edge_between_blocks_is_one_piece():
    values = np.zeros((8, 8, 8), np.uint8)
    values[3, 3, 3] = values[4, 4, 4] = 2
    rules = min_size_rules(MinSizeSettings(voxels=2), OPERANDO)
    assert (apply(values, "min_size", rules, (4, 4, 4)) == values).all()
    hole = np.full((8, 8, 8), 1, np.uint8)
    hole[3, 3, 3] = hole[4, 4, 4] = 0  # two holes of one voxel each
    rules = fill_holes_rules(FillHolesSettings(voxels=1), OPERANDO)
    assert (apply(hole, "fill_holes", rules, (4, 4, 4)) == 1).all()
