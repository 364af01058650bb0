"""Bits really flipped and files really cut: all damage must be noticed."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Provenance
from tomolith.errors import IntegrityError
from tomolith.store.integrity import verify_scan
from tomolith.store.intensity import sample_stats
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Scan:
    """Return a scan of two shards with labels, probabilities and two levels."""
    path = tmp_path_factory.mktemp("corrupt") / "a.zarr"
    grid = Grid((4, 12, 300), (1.5, 1.25, 1.25))
    layout = Layout((2, 12, 64), (4, 12, 256))
    made = Provenance("test")
    new = Scan.create(path, grid, "u2", provenance=made, layout=layout)
    grey = np.random.default_rng(0).integers(0, 9999, grid.shape_zyx).astype("u2")
    grey[:, :, 100:] //= 1000  # some that compresses well, some that does not
    new.image.array[:] = grey
    new.set_stats(sample_stats(new.image)[0])
    labels = new.create_labels("truth", PRESETS["li-binary"], provenance=made)
    labels.array[:] = grey % 2
    labels.finish()
    extra = new.create_extra("probabilities/truth", ("a", "b"), "u1", provenance=made)
    extra.array[:] = 3
    extra.finish()
    new.finish()
    return Scan.open(path)


def files(scan: Scan) -> list[Path]:
    return sorted(f for f in scan.path.rglob("*") if f.is_file())


def test_every_flipped_bit_in_a_shard_is_noticed(scan):
    assert verify_scan(scan.path) == []
    dice = random.Random(0)
    shards = [f for f in files(scan) if f.name != "zarr.json"]
    unnoticed = []
    for _ in range(100):
        file = dice.choice(shards)
        content = file.read_bytes()
        bit = dice.randrange(8 * len(content))
        file.write_bytes(flipped(content, bit))
        problems = verify_scan(scan.path)
        if [p.path for p in problems] != [file]:
            unnoticed.append((file, bit, problems))
        file.write_bytes(content)
    assert unnoticed == []


def test_every_flipped_bit_in_the_metadata_is_noticed(scan):
    """Or it changes nothing: white space, and the sealing's own key."""
    dice = random.Random(1)
    metadata = [f for f in files(scan) if f.name == "zarr.json"]
    unnoticed = []
    for _ in range(100):
        file = dice.choice(metadata)
        content = file.read_bytes()
        bit = dice.randrange(8 * len(content))
        while content[bit // 8 : bit // 8 + 1].isspace():
            bit = dice.randrange(8 * len(content))
        file.write_bytes(flipped(content, bit))
        if not verify_scan(scan.path):
            unnoticed.append((file, bit, content[bit // 8 - 9 : bit // 8 + 9]))
        file.write_bytes(content)
    assert unnoticed == []


def test_every_truncation_is_noticed(scan):
    dice = random.Random(2)
    for file in files(scan):
        content = file.read_bytes()
        for n in {0, 1, len(content) - 2, dice.randrange(len(content))}:
            file.write_bytes(content[:n])
            assert any(p.path == file for p in verify_scan(scan.path)), (file, n)
        file.write_bytes(content)
    assert verify_scan(scan.path) == []


def test_damage_is_never_read_as_data(scan):
    file = scan.image.array.shard_files()[0]
    content = file.read_bytes()
    right = scan.image.array[:]
    dice = random.Random(3)
    for _ in range(40):
        file.write_bytes(flipped(content, dice.randrange(8 * len(content))))
        with pytest.raises(IntegrityError) as caught:
            scan.image.array[:]
        assert caught.value.where == str(file)
        assert caught.value.exit_code == 4
    file.write_bytes(content)
    assert np.array_equal(scan.image.array[:], right)


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
