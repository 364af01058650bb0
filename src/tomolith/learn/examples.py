"""What a network learns from: scans with labels, read slice by slice."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.config import progress
from tomolith.core import (
    ArrayLike,
    Box,
    ClassSchema,
    IntensityStats,
    LabelMap,
    Normalisation,
    Volume,
)
from tomolith.core.plane import TurnedArray, turn_volume
from tomolith.errors import InputError, MismatchError
from tomolith.label.splits import LabelledScan
from tomolith.learn.losses.base import IGNORE

TILE_PX = 64
SLAB, SLAB_BYTES = 16, 64 * 2**20


@dataclass(frozen=True, slots=True)
class Example:
    """A scan with labels, some of its voxels or all of them.

    Parameters
    ----------
    scan_id
        Name of the scan.
    image, labels
        Of the same shape; neither is ever loaded whole.
    stats
        Intensity statistics of the scan: one entry, or one per section.
    invalid
        Not zero where the source of the image was NaN or Inf, of the same shape; what is labelled
        there counts as unlabelled.  ``None``: nowhere.

    Raises
    ------
    MismatchError
        The shapes differ, or the number of statistics fits neither the scan nor its sections.
    """

    scan_id: str
    image: Volume
    labels: LabelMap
    stats: tuple[IntensityStats, ...]
    invalid: ArrayLike | None = None

    def __post_init__(self) -> None:
        if self.image.grid.shape_zyx != self.labels.grid.shape_zyx:
            raise MismatchError(
                f"the labels have shape {self.labels.grid.shape_zyx} (z, y, x)",
                expected=f"the image's shape {self.image.grid.shape_zyx}",
                where=self.scan_id,
            )
        if len(self.stats) not in (1, self.image.grid.shape_zyx[0]):
            raise MismatchError(
                f"there are {len(self.stats)} intensity statistics",
                expected=f"1, or one for each of {self.image.grid.shape_zyx[0]} sections",
                where=self.scan_id,
            )

    @classmethod
    def without_labels(
        cls,
        scan_id: str,
        image: Volume,
        schema: ClassSchema,
        *,
        stats: tuple[IntensityStats, ...],
        invalid: ArrayLike | None = None,
    ) -> Example:
        """Return a scan of which nothing is labelled; its labels take no memory."""
        array = np.broadcast_to(np.uint8(schema.unlabelled), image.grid.shape_zyx)
        return cls(scan_id, image, LabelMap(Volume(array, image.grid), schema), stats, invalid)

    def in_plane(self, plane: str) -> Example:
        """Return the example seen in the slices of ``plane``; nothing is read."""
        if plane == "xy":
            return self
        labels = LabelMap(turn_volume(self.labels.volume, plane), self.labels.schema)
        invalid = None if self.invalid is None else TurnedArray(self.invalid, plane)
        return Example(self.scan_id, turn_volume(self.image, plane), labels, self.stats, invalid)

    def read_labels(self, box: Box) -> npt.NDArray[Any]:
        """Return the label values of ``box``, unlabelled where the image is invalid."""
        values = self.labels.read(box)
        if self.invalid is None:
            return values
        bad = np.asarray(self.invalid[box.slices]) != 0
        return np.where(bad, np.asarray(self.labels.schema.unlabelled, values.dtype), values)


@dataclass(frozen=True, slots=True)
class LabelledSlice:
    """A slice that has labels, and how many pixels of each class each of its tiles holds.

    Parameters
    ----------
    example, z
        Index of the example, and of the slice in it.
    n_pixels
        (tiles in y, tiles in x, classes); tiles are ``TILE_PX`` wide and start at the corner.
    shape_yx
        Height and width of the slice in pixels.
    checksum
        CRC-32 of the label values, by which corrected labels are told from the old ones.
    """

    example: int
    z: int
    n_pixels: npt.NDArray[np.int64]
    shape_yx: tuple[int, int]
    checksum: int = 0


def channel_table(schema: ClassSchema) -> npt.NDArray[np.int64]:
    """Return the output channel of each stored value 0..255; ``IGNORE`` where it is no class.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> channel_table(PRESETS["li-binary"])[[0, 1, 255]]
    array([ 0,  1, -1])
    """
    table = np.full(256, IGNORE, np.int64)
    table[list(schema.values)] = np.arange(len(schema))
    return table


def index_labels(examples: Sequence[Example], schema: ClassSchema) -> list[LabelledSlice]:
    """Find the labelled slices of all examples, reading a few slices at a time.

    Raises
    ------
    InputError
        No voxel is labelled with a class of the schema.
    """
    table = channel_table(schema)
    found = []
    total = sum(example.image.grid.shape_zyx[0] for example in examples)
    with progress("finding labels", total=total) as bar:
        for i, example in enumerate(examples):
            for z, values in _slices(example):
                channels = table[values]
                if (channels != IGNORE).any():
                    counts = _tile_counts(channels, len(schema))
                    checksum = zlib.crc32(np.ascontiguousarray(values))
                    found.append(LabelledSlice(i, z, counts, values.shape, checksum))
                bar.advance()
    if not found:
        raise InputError(
            "no voxel of the training scans is labelled",
            expected=f"labels of the classes {', '.join(schema.names)}",
            where=", ".join(example.scan_id for example in examples) or "train",
            mend="name label files for these scans in the recipe, or check their values",
        )
    return found


def labelled_scans(
    examples: Sequence[Example], slices: Sequence[LabelledSlice]
) -> list[LabelledScan]:
    """Return what :func:`tomolith.label.splits.split` wants to know."""
    return [
        LabelledScan(
            example.scan_id,
            tuple(s.z for s in slices if s.example == i),
            example.image.grid.sections,
        )
        for i, example in enumerate(examples)
    ]


def _tile_counts(channels: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.int64]:
    n_y, n_x = (-(-side // TILE_PX) for side in channels.shape)
    y, x = np.nonzero(channels != IGNORE)
    flat = ((y // TILE_PX) * n_x + x // TILE_PX) * n_classes + channels[y, x]
    return np.bincount(flat, minlength=n_y * n_x * n_classes).reshape(n_y, n_x, n_classes)


def _slices(example: Example) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield z and the slice's values; slabs, since a stored chunk holds several slices."""
    depth, height, width = example.labels.grid.shape_zyx
    step = max(1, min(SLAB, SLAB_BYTES // (height * width)))
    for start in range(0, depth, step):
        stop = min(start + step, depth)
        slab = example.read_labels(Box((start, 0, 0), (stop, height, width)))
        yield from zip(range(start, stop), slab, strict=True)


class SliceCache:
    """Slices of image and channels, the most recently used ones kept within a budget.

    Parameters
    ----------
    examples, schema
        What to read, and how label values map to channels.
    budget_bytes
        Memory for kept slices; a single slice may exceed it.

    Examples
    --------
    >>> from tomolith.core import PRESETS, Grid
    >>> grid, stats = Grid((1, 4, 4), None), IntensityStats.of_sample(np.arange(9))
    >>> image = Volume(np.ones((1, 4, 4), np.float32), grid)
    >>> labels = LabelMap(Volume(np.ones((1, 4, 4), np.uint8), grid), PRESETS["li-binary"])
    >>> cache = SliceCache([Example("a", image, labels, (stats,))], labels.schema, 10**6)
    >>> cache.region(0, 0, corner_yx=(-2, 0), side_px=4)[1]
    array([[-1, -1, -1, -1],
           [-1, -1, -1, -1],
           [ 1,  1,  1,  1],
           [ 1,  1,  1,  1]])
    """

    def __init__(self, examples: Sequence[Example], schema: ClassSchema, budget_bytes: int) -> None:
        self._examples = examples
        self._table = channel_table(schema)
        self._free = np.where(np.arange(256) == schema.unlabelled, 0, IGNORE)
        self._budget_bytes = budget_bytes
        self._kept: OrderedDict[tuple[str, int, int], npt.NDArray[Any]] = OrderedDict()
        self._n_bytes = 0

    def slice_bytes(self, example: int) -> int:
        """Return the memory that a kept slice of ``example`` takes."""
        volume = self._examples[example].image
        _, height, width = volume.grid.shape_zyx
        return height * width * (volume.dtype.itemsize + 1)

    def read(self, example: int, z: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return a slice's grey values and label values (height, width)."""
        return self._read("grey", example, z), self._read("labels", example, z)

    def _read(self, kind: str, example: int, z: int) -> npt.NDArray[Any]:
        key = (kind, example, z)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        source = self._examples[example]
        _, height, width = source.image.grid.shape_zyx
        box = Box((z, 0, 0), (z + 1, height, width))
        values = (source.image.read(box) if kind == "grey" else source.read_labels(box))[0]
        self._kept[key] = values
        self._n_bytes += values.nbytes
        while self._n_bytes > self._budget_bytes and len(self._kept) > 2:  # a slice, its labels
            _, old = self._kept.popitem(last=False)
            self._n_bytes -= old.nbytes
        return values

    def read_stack(
        self, example: int, z: int, n_slices: int
    ) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any]]:
        """Return the grey values of a slice and its neighbours, and its own label values."""
        depth = self._examples[example].image.grid.shape_zyx[0]
        greys = [self._read("grey", example, k) for k in neighbours(z, n_slices, depth)]
        return greys, self._read("labels", example, z)

    def region(
        self,
        example: int,
        z: int,
        *,
        corner_yx: tuple[int, int],
        side_px: int,
        n_slices: int = 1,
        unlabelled: bool = False,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Return grey values (n_slices, side, side) and channels (side, side) of a square.

        Outside: mirrored, and unlabelled. With ``unlabelled``, 0 in place of the channels where
        the image is valid and nothing is labelled, and ``IGNORE`` elsewhere.
        """
        images, labels = self.read_stack(example, z, n_slices)
        pads, cut = [], []
        for start, size in zip(corner_yx, labels.shape, strict=True):
            low, high = max(start, 0), min(start + side_px, size)
            pads.append((low - start, start + side_px - high))
            cut.append(slice(low, high))
        grey = np.stack([np.pad(image[tuple(cut)], pads, mode="symmetric") for image in images])
        channels = (self._free if unlabelled else self._table)[labels[tuple(cut)]]
        invalid = self._examples[example].invalid
        if unlabelled and invalid is not None:
            channels[np.asarray(invalid[slice(z, z + 1), cut[0], cut[1]])[0] != 0] = IGNORE
        return grey, np.pad(channels, pads, constant_values=IGNORE)


def neighbours(z: int, n_slices: int, depth: int) -> list[int]:
    """Return the ``n_slices`` slices with ``z`` in their middle, mirrored at the volume's ends.

    Examples
    --------
    >>> neighbours(3, 3, 9), neighbours(0, 5, 9)
    ([2, 3, 4], [1, 0, 0, 1, 2])
    """
    mirrored = np.pad(np.arange(depth), n_slices // 2, mode="symmetric")
    return [int(k) for k in mirrored[z : z + n_slices]]


def normalise_stack(
    grey: npt.NDArray[Any], example: Example, z: int, normalisation: Normalisation
) -> npt.NDArray[np.float32]:
    """Return network input (slices, height, width), by the statistics of scan or section ``z``."""
    return normalisation.apply(grey, example.stats, z_start=z)
