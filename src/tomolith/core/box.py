"""Boxes of voxels. All interval arithmetic lives here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Triple = tuple[int, int, int]


@dataclass(frozen=True, order=True, slots=True)
class Box:
    """A half-open box of integer voxels, axes (z, y, x).

    Parameters
    ----------
    start_zyx
        First voxel inside.
    stop_zyx
        First voxel outside; never before ``start_zyx`` (``ValueError``).

    Examples
    --------
    >>> box = Box((0, 0, 0), (2, 3, 4))
    >>> box.shape_zyx, box.n_voxels
    ((2, 3, 4), 24)
    >>> box.expand((0, 1, 1)).clip((2, 3, 4)) == box
    True
    """

    start_zyx: Triple
    stop_zyx: Triple

    def __post_init__(self) -> None:
        for start, stop in zip(self.start_zyx, self.stop_zyx, strict=True):
            if stop < start:
                raise ValueError(f"box ends before it starts: {self.start_zyx} {self.stop_zyx}")

    @classmethod
    def whole(cls, shape_zyx: Triple) -> Box:
        """Return the box that covers a whole array of ``shape_zyx``."""
        return cls((0, 0, 0), shape_zyx)

    @property
    def shape_zyx(self) -> Triple:
        """Side lengths in voxels."""
        return _triple(b - a for a, b in zip(self.start_zyx, self.stop_zyx, strict=True))

    @property
    def n_voxels(self) -> int:
        """Number of voxels inside."""
        return math.prod(self.shape_zyx)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index that selects this box from an array of the whole volume."""
        z, y, x = (slice(a, b) for a, b in zip(self.start_zyx, self.stop_zyx, strict=True))
        return z, y, x

    def expand(self, halo_zyx: Triple) -> Box:
        """Grow by ``halo_zyx`` voxels on both sides of each axis."""
        return Box(
            _triple(a - h for a, h in zip(self.start_zyx, halo_zyx, strict=True)),
            _triple(b + h for b, h in zip(self.stop_zyx, halo_zyx, strict=True)),
        )

    def intersect(self, other: Box) -> Box:
        """Return the common part; an empty box where there is none."""
        start = _triple(max(a, b) for a, b in zip(self.start_zyx, other.start_zyx, strict=True))
        stop = _triple(min(a, b) for a, b in zip(self.stop_zyx, other.stop_zyx, strict=True))
        return Box(start, _triple(max(a, b) for a, b in zip(start, stop, strict=True)))

    def clip(self, shape_zyx: Triple) -> Box:
        """Return the part inside an array of ``shape_zyx``."""
        return self.intersect(Box.whole(shape_zyx))

    def shift(self, offset_zyx: Triple) -> Box:
        """Move by ``offset_zyx`` voxels."""
        return Box(
            _triple(a + o for a, o in zip(self.start_zyx, offset_zyx, strict=True)),
            _triple(b + o for b, o in zip(self.stop_zyx, offset_zyx, strict=True)),
        )

    def relative_to(self, outer: Box) -> Box:
        """Return the same voxels in coordinates that start at ``outer``'s start."""
        return self.shift(_triple(-a for a in outer.start_zyx))

    def contains(self, other: Box) -> bool:
        """Tell whether ``other`` lies wholly inside."""
        return all(
            a <= c and d <= b
            for a, b, c, d in zip(
                self.start_zyx, self.stop_zyx, other.start_zyx, other.stop_zyx, strict=True
            )
        )

    def tiles(self, tile_zyx: Triple) -> Iterator[Box]:
        """Yield the tiles of an origin-anchored grid that meet this box, cut to it.

        Examples
        --------
        >>> [t.slices[2] for t in Box((0, 0, 3), (1, 1, 9)).tiles((1, 1, 4))]
        [slice(3, 4, None), slice(4, 8, None), slice(8, 9, None)]
        """
        ranges = [
            range(a // t * t, b, t)
            for a, b, t in zip(self.start_zyx, self.stop_zyx, tile_zyx, strict=True)
        ]
        for z in ranges[0]:
            for y in ranges[1]:
                for x in ranges[2]:
                    stop = (z + tile_zyx[0], y + tile_zyx[1], x + tile_zyx[2])
                    yield Box((z, y, x), stop).intersect(self)


def _triple(values: Iterable[int]) -> Triple:
    z, y, x = values
    return z, y, x
