"""One pass over a label map: blocks are counted side by side, and added up in volume order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from tomolith.core import Box, Grid, LabelMap
from tomolith.core.box import Triple
from tomolith.measure.plan_maps import PlanCounter
from tomolith.measure.quantities.base import Quantity, Region
from tomolith.measure.quantities.counting import class_counts
from tomolith.measure.quantities.runs import look_through

MAX_BLOCK_VOXELS = 2**25
_BLOCK_ZYX = (32, 1024, 1024)
_CHUNK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is counted of a scan, or of one block of it.

    Parameters
    ----------
    quantities
        The quantities.
    counter
        Counts the columns; ``None`` where no plan maps are made.
    """

    quantities: tuple[Quantity, ...]
    counter: PlanCounter | None = None

    def update(self, region: Region) -> None:
        """Add the core of ``region``; ``MismatchError`` for a value of no class."""
        for quantity in self.quantities:
            quantity.update(region)
        if self.counter is not None:
            self.counter.update(region)

    def merge(self, other: Self) -> None:
        """Add what ``other`` counted."""
        for mine, others in zip(self.quantities, other.quantities, strict=True):
            mine.merge(others)
        if self.counter is not None and other.counter is not None:
            self.counter.merge(other.counter)

    def share(self) -> None:
        """Let the quantities share what they work out in the end; nothing may come after."""
        shared: dict[Any, Any] = {}
        for quantity in self.quantities:
            quantity.share(shared)


def tally(
    labelmap: LabelMap, fresh: Callable[[], Tally], cores: Iterable[Box], *, workers: int = 1
) -> Tally:
    """Count all blocks of a label map, each read once.

    A worker counts a block by itself; what it found is added to the whole in volume order. Only
    integers are added, so no digit depends on blocks or workers.

    Parameters
    ----------
    labelmap
        The labels.
    fresh
        Returns a tally that has counted nothing yet.
    cores
        The blocks; they tile the volume.
    workers
        Blocks that are in work at the same time: one is read, by as many threads as Zarr likes,
        while the others are counted. The loops that count let other threads run.

    Raises
    ------
    MismatchError
        A label value stands in no class of the schema.

    Examples
    --------
    >>> import numpy as np
    >>> from tomolith.core import PRESETS, Volume
    >>> from tomolith.measure.quantities.voxel_count import VoxelCount
    >>> labels = LabelMap(Volume(np.ones((4, 4, 4), np.uint8), Grid((4, 4, 4), None)),
    ...     PRESETS["li-binary"])
    >>> fresh = lambda: Tally((VoxelCount(labels.schema),))
    >>> found = tally(labels, fresh, labels.grid.box.tiles((1, 4, 4)), workers=2)
    >>> found.quantities[0].count("lithium")
    64
    """
    total = fresh()
    regions = _regions(labelmap, cores, total, ahead=workers > 1)
    if workers <= 2:
        for region in regions:
            total.update(_checked(region, labelmap, total))
        return total

    def count(region: Region) -> Tally:
        found = fresh()
        found.update(_checked(region, labelmap, found))
        return found

    waiting: deque[Future[Tally]] = deque()
    # leaving this 'with', by an error or Ctrl-C too, waits for the blocks in flight
    with ThreadPoolExecutor(workers - 1, thread_name_prefix="measure") as pool:
        for region in regions:
            waiting.append(pool.submit(count, region))
            if len(waiting) >= workers:
                total.merge(waiting.popleft().result())
        for future in waiting:
            total.merge(future.result())
    return total


def _regions(
    labelmap: LabelMap, cores: Iterable[Box], wanted: Tally, *, ahead: bool
) -> Iterator[Region]:
    """Read block after block; ``ahead``: the next one while the last one is in use.

    Never two at a time: Zarr joins chunks in one thread, for all who ask.
    """
    if not ahead:
        yield from (_read(labelmap, core, wanted) for core in cores)
        return
    waiting: deque[Future[Region]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="measure-read") as pool:
        for core in cores:
            waiting.append(pool.submit(_read, labelmap, core, wanted))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def _read(labelmap: LabelMap, core: Box, wanted: Tally) -> Region:
    """Read the core once, with the largest halo that any quantity asks for."""
    halos = [q.halo_zyx for q in wanted.quantities]
    z, y, x = (max((halo[axis] for halo in halos), default=0) for axis in range(3))
    if labelmap.grid.sections:
        z = 0  # the next section is no neighbour in space
    read = core.expand((z, y, x)).clip(labelmap.grid.shape_zyx)
    return Region(labelmap.read(read), read, core)


def _checked(region: Region, labelmap: LabelMap, wanted: Tally) -> Region:
    """Look through the block, and refuse values of no class, whatever is asked for."""
    for quantity in wanted.quantities:
        look_through(region, quantity.frame)
    class_counts(region, labelmap.schema)
    return region


def choose_block(grid: Grid, axis: int) -> Triple:
    """Return the voxels to be counted at a time: whole columns across the cell where they fit.

    Maps of blocks that share no column need no merging. Blocks hold whole chunks, as usually laid
    out.

    Examples
    --------
    >>> choose_block(Grid((2280, 1707, 698), None), axis=1)
    (32, 1707, 512)
    """
    block = list(_BLOCK_ZYX)
    if not grid.sections:
        block[axis] = grid.shape_zyx[axis]
    while math.prod(map(min, block, grid.shape_zyx)) > MAX_BLOCK_VOXELS:
        wide = [a for a in range(3) if a != axis and block[a] > _CHUNK] or [axis]
        longest = max(wide, key=lambda a: block[a])
        block[longest] = -(-block[longest] // (2 * _CHUNK)) * _CHUNK
    return block[0], block[1], block[2]
