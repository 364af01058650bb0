from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomolith.core import Grid
from tomolith.errors import InputError
from tomolith.store.layout import Layout

LENGTH = st.integers(1, 5000)


@given(st.tuples(LENGTH, LENGTH, LENGTH), st.booleans())
def test_default_shards_are_whole_chunks_and_fit(shape, sections):
    layout = Layout.default(Grid(shape, None, sections=sections))
    for chunk, shard, length in zip(layout.chunk_zyx, layout.shard_zyx, shape, strict=True):
        assert shard % chunk == 0
        assert chunk <= length
        assert shard - chunk < length
    if sections:
        assert layout.shard_zyx[0] == 1


def test_a_big_volume_gets_the_full_layout():
    layout = Layout.default(Grid((64, 2048, 2048), None))
    assert layout == Layout((16, 256, 256), (32, 1024, 1024))


def test_shards_of_parts_of_chunks_are_refused():
    with pytest.raises(InputError, match="whole number of chunks"):
        Layout((16, 16, 16), (24, 32, 32))
    with pytest.raises(InputError):
        Layout((0, 16, 16), (0, 32, 32))
