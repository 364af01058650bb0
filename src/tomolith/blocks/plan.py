"""How a volume is cut into blocks: who reads and who writes which voxels.

::

    y                          the shards of the labels (=) cut the volume from its origin
    |  ====|====|====|==       a block writes whole shards, so one shard has one writer
    |  [ write ]               its write box
    |  [ write +++             its read box: the write box and a halo (+), cut at the volume's edge
    v
"""

from __future__ import annotations

from dataclasses import dataclass

from tomolith.core import Box, Grid
from tomolith.core.box import Triple
from tomolith.errors import InputError


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of out-of-core work.

    Parameters
    ----------
    index
        Place in the plan, from 0.
    name
        Name that tells the voxels it writes, good as a file name. It stays the same
        in every plan that holds this block.
    write
        Voxels that this block writes, and no other does.
    read
        Voxels that it may read.
    """

    index: int
    name: str
    write: Box
    read: Box

    def __str__(self) -> str:
        (z0, y0, x0), (z1, y1, x1) = self.write.start_zyx, self.write.stop_zyx
        return f"block {self.index} (z {z0}-{z1}, y {y0}-{y1}, x {x0}-{x1})"


def plan_blocks(
    grid: Grid, *, shard_zyx: Triple, halo_zyx: Triple = (0, 0, 0), block_zyx: Triple | None = None
) -> tuple[Block, ...]:
    """Cut a volume into blocks of whole shards, in volume order.

    Parameters
    ----------
    grid
        The volume. Between sections (``grid.sections``) there is no halo along z.
    shard_zyx
        Shard of the array that is written.
    halo_zyx
        How far beyond its write box a block may read.
    block_zyx
        Voxels per block; ``None``: one shard.

    Raises
    ------
    InputError
        ``block_zyx`` does not hold whole shards.

    Examples
    --------
    >>> blocks = plan_blocks(Grid((4, 8, 8), None), shard_zyx=(4, 4, 8), halo_zyx=(0, 1, 0))
    >>> [b.write.slices[1] for b in blocks], [b.read.slices[1] for b in blocks]
    ([slice(0, 4, None), slice(4, 8, None)], [slice(0, 5, None), slice(3, 8, None)])
    """
    size = block_zyx or shard_zyx
    for block, shard, whole in zip(size, shard_zyx, grid.shape_zyx, strict=True):
        if block < 1 or (block % shard and block < whole):
            raise InputError(
                f"blocks of {size} voxels (z, y, x)",
                expected=f"whole shards, multiples of {shard_zyx}",
                mend="correct 'block_zyx', or leave it out",
            )
    halo = (0, *halo_zyx[1:]) if grid.sections else halo_zyx
    return tuple(
        Block(i, _name(write), write, write.expand(halo).clip(grid.shape_zyx))
        for i, write in enumerate(grid.box.tiles(size))
    )


def _name(box: Box) -> str:
    pairs = zip("zyx", box.start_zyx, box.stop_zyx, strict=True)
    return "_".join(f"{axis}{a}-{b}" for axis, a, b in pairs)
