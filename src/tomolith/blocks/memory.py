"""Memory projected before anything runs, as pure functions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from tomolith.core import Box
from tomolith.core.box import Triple
from tomolith.errors import MemoryBudgetError, RecipeError

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}

MAX_BLOCK_VOXELS = 2**27
"""No block is larger, however large the budget: a killed run loses little."""


def parse_bytes(text: str) -> int:
    """Return the number of bytes that ``text`` means.

    Raises
    ------
    RecipeError
        Not a positive number with a unit of bytes.

    Examples
    --------
    >>> parse_bytes("4GiB"), parse_bytes("1.5 kB")
    (4294967296, 1500)
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in _UNITS or float(match[1]) <= 0:
        raise RecipeError(
            f"the memory is given as {text!r}",
            expected="a positive number and a unit, such as '4GiB' or '800MB'",
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def format_bytes(n_bytes: float) -> str:
    """Return a size for people.

    Examples
    --------
    >>> format_bytes(3 * 2**30), format_bytes(1000)
    ('3.00 GiB', '1000 B')
    """
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.2f} {unit}"
    return f"{n_bytes:.0f} B"


@dataclass(frozen=True, slots=True)
class MemoryModel:
    """What one block of work holds in memory at its peak.

    Parameters
    ----------
    fixed_bytes
        Held whatever the blocks are: the interpreter, libraries, the network.
    read_voxel_bytes, write_voxel_bytes
        Held for each voxel of the read box and of the write box, by each block in
        flight.
    slice_pixel_bytes
        Held for each pixel of one slice of the read box, by each block in flight.
    n_in_flight
        Blocks that are worked on at the same time.
    halo_zyx
        How far the read box reaches beyond the write box.

    Examples
    --------
    >>> model = MemoryModel(fixed_bytes=100, read_voxel_bytes=1, write_voxel_bytes=2)
    >>> model.project_bytes((1, 10, 10), shape_zyx=(4, 20, 20))
    400
    """

    fixed_bytes: int
    read_voxel_bytes: float
    write_voxel_bytes: float
    slice_pixel_bytes: float = 0.0
    n_in_flight: int = 1
    halo_zyx: Triple = (0, 0, 0)

    def project_bytes(self, block_zyx: Triple, *, shape_zyx: Triple) -> int:
        """Return the peak memory of a run with blocks of ``block_zyx`` voxels."""
        write = Box.whole(block_zyx).clip(shape_zyx)
        read = [
            min(s, w + 2 * h)
            for s, w, h in zip(shape_zyx, write.shape_zyx, self.halo_zyx, strict=True)
        ]
        block_bytes = (
            self.read_voxel_bytes * math.prod(read)
            + self.write_voxel_bytes * write.n_voxels
            + self.slice_pixel_bytes * read[1] * read[2]
        )
        n_blocks = math.prod(
            math.ceil(s / b) for s, b in zip(shape_zyx, write.shape_zyx, strict=True)
        )
        return math.ceil(self.fixed_bytes + min(self.n_in_flight, n_blocks) * block_bytes)


def choose_block(
    shape_zyx: Triple, shard_zyx: Triple, *, model: MemoryModel, budget_bytes: int
) -> Triple:
    """Return the block of whole shards that the budget allows.

    The block grows along x, then y, then z: with full slices no voxel of a slice
    is computed twice. It never exceeds :data:`MAX_BLOCK_VOXELS` unless one shard
    does.

    Raises
    ------
    MemoryBudgetError
        Not even one shard fits; the message says what is needed.

    Examples
    --------
    >>> model = MemoryModel(fixed_bytes=0, read_voxel_bytes=1, write_voxel_bytes=1)
    >>> choose_block((8, 64, 64), (4, 32, 32), model=model, budget_bytes=40_000)
    (4, 64, 64)
    """
    block = shard_zyx
    needed = model.project_bytes(block, shape_zyx=shape_zyx)
    if needed > budget_bytes:
        raise MemoryBudgetError(
            f"the memory budget is {format_bytes(budget_bytes)}",
            expected=f"at least {format_bytes(needed)}, for blocks of {block} voxels (z, y, x)",
            mend="give more memory, fewer workers, a smaller batch, or smaller shards",
        )
    for axis in (2, 1, 0):
        n_shards = math.ceil(shape_zyx[axis] / shard_zyx[axis])
        for n in range(2, n_shards + 1):
            grown = list(block)
            grown[axis] = n * shard_zyx[axis]
            z, y, x = grown
            too_large = Box.whole((z, y, x)).clip(shape_zyx).n_voxels > MAX_BLOCK_VOXELS
            too_much = model.project_bytes((z, y, x), shape_zyx=shape_zyx) > budget_bytes
            if too_large or too_much:
                break
            block = (z, y, x)
    return block
