from __future__ import annotations

import numpy as np
import pytest

from tomolith.core import Box, Grid, Volume
from tomolith.core.plane import AXES, TurnedArray, turn, turn_back, turn_box_back, turn_volume

PLANES = tuple(AXES)


@pytest.mark.parametrize("plane", PLANES)
def test_a_turned_volume_is_the_transposed_array(plane):
    array = np.arange(3 * 5 * 7).reshape(3, 5, 7)
    whole = array.transpose(AXES[plane])
    turned = turn_volume(Volume(array, Grid((3, 5, 7), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))), plane)
    assert turned.grid.shape_zyx == whole.shape
    assert turned.dtype == array.dtype
    assert turned.grid.voxel_size_um == tuple((1.0, 2.0, 3.0)[axis] for axis in AXES[plane])
    assert turned.grid.origin_um == tuple((4.0, 5.0, 6.0)[axis] for axis in AXES[plane])
    box = Box((1, 0, 1), (3, 2, 3))
    np.testing.assert_array_equal(turned.read(box), whole[box.slices])
    part = array[turn_box_back(box, plane).slices]
    np.testing.assert_array_equal(part.transpose(AXES[plane]), whole[box.slices])


@pytest.mark.parametrize("plane", PLANES)
def test_turning_back_undoes_turning(plane):
    assert turn_back(turn((1, 2, 3), plane), plane) == (1, 2, 3)


def test_only_the_part_asked_for_is_read():
    asked = []

    class Source:
        shape, dtype = (4, 6, 8), np.dtype(np.uint8)

        def __getitem__(self, index):
            asked.append(index)
            return np.zeros(self.shape, self.dtype)[index]

    part = TurnedArray(Source(), "yz")[2:3, 0:4, 1:5]
    assert part.shape == (1, 4, 4)
    assert asked == [(slice(0, 4), slice(1, 5), slice(2, 3))]
