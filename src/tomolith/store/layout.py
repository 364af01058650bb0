"""How a volume is cut into chunks (read together) and shards (written together)."""

from __future__ import annotations

from dataclasses import dataclass

from tomolith.core import Grid
from tomolith.core.box import Triple
from tomolith.errors import InputError


@dataclass(frozen=True, slots=True)
class Layout:
    """Chunk and shard of an array, axes (z, y, x), in voxels.

    A shard is one file and has one writer; a chunk is the least that is read.

    Raises
    ------
    InputError
        A size below 1, or a shard that is not whole chunks.

    Examples
    --------
    >>> Layout((16, 256, 256), (32, 1024, 1024)).cut((64, 300, 100))
    Layout(chunk_zyx=(16, 256, 100), shard_zyx=(32, 512, 100))
    """

    chunk_zyx: Triple
    shard_zyx: Triple

    def __post_init__(self) -> None:
        sizes = zip(self.chunk_zyx, self.shard_zyx, strict=True)
        if not all(chunk >= 1 and shard >= 1 and shard % chunk == 0 for chunk, shard in sizes):
            raise InputError(
                f"shards of {self.shard_zyx} voxels with chunks of {self.chunk_zyx}",
                expected="a shard that is a whole number of chunks along each axis",
            )

    @classmethod
    def default(cls, grid: Grid) -> Layout:
        """Return the usual layout, cut to the shape of ``grid``.

        Sections are read one by one, so none shares a chunk or a file with another.

        Examples
        --------
        >>> Layout.default(Grid((64, 2048, 2048), None)).shard_zyx
        (32, 1024, 1024)
        """
        if grid.sections:
            return cls((1, 512, 512), (1, 2048, 2048)).cut(grid.shape_zyx)
        return cls((16, 256, 256), (32, 1024, 1024)).cut(grid.shape_zyx)

    def cut(self, shape_zyx: Triple) -> Layout:
        """Return the layout for an array of ``shape_zyx`` that may be smaller."""
        chunks, shards = [], []
        for chunk, shard, length in zip(self.chunk_zyx, self.shard_zyx, shape_zyx, strict=True):
            cut = min(chunk, length)
            chunks.append(cut)
            shards.append(min(shard // chunk, -(-length // cut)) * cut)
        return Layout((chunks[0], chunks[1], chunks[2]), (shards[0], shards[1], shards[2]))
