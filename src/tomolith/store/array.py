"""A Zarr array whose errors a scientist can read.

Chunks are compressed with zstd and closed by a crc32c each, and so is the index of a
shard: every flipped bit is noticed when it is read. A shard file that is missing would
read as fill value, so a finished array refuses to read it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from tomolith.core import Box
from tomolith.errors import IntegrityError, ReadError, TomolithError
from tomolith.store.atomic import disk_errors, remove_tree, sync_files, write_text
from tomolith.store.layout import Layout
from tomolith.store.seal import seal

_ZSTD_LEVEL = 3
_MEND = "run 'tomolith verify' to see all damage, then run the step that made this again"


class StoredArray:
    """An array on disk, axes (z, y, x) or (c, z, y, x), read and written by slices.

    Parameters
    ----------
    path
        Folder of the array.
    array
        The Zarr array in it.
    whole
        True where every shard must exist: a missing one is then an error and not
        fill value.
    """

    def __init__(self, path: Path, array: zarr.Array[Any], *, whole: bool) -> None:
        self.path = path
        self.zarr = array
        self.whole = whole

    @classmethod
    def create(
        cls,
        path: Path,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        *,
        layout: Layout,
        fill_value: int = 0,
    ) -> StoredArray:
        """Make an empty array at ``path``, in place of what may be there.

        Raises
        ------
        DiskError
            The folder cannot be written.
        """
        leading = (1,) * (len(shape) - 3)
        remove_tree(path)
        with disk_errors(path):
            zarr.create_array(
                store=str(path),
                shape=shape,
                dtype=np.dtype(dtype),
                chunks=leading + layout.chunk_zyx,
                shards=leading + layout.shard_zyx,
                serializer=BytesCodec(),
                compressors=[ZstdCodec(level=_ZSTD_LEVEL), Crc32cCodec()],
                fill_value=fill_value,
                dimension_names=["c", "z", "y", "x"][-len(shape) :],
                zarr_format=3,
            )
        metadata = path / "zarr.json"
        write_text(metadata, seal(json.loads(metadata.read_text())))
        return cls.open(path, whole=False)

    @classmethod
    def open(cls, path: Path, *, whole: bool = True) -> StoredArray:
        """Open the array at ``path``; read-only where it is ``whole``.

        Raises
        ------
        ReadError
            There is no array.
        """
        if not (path / "zarr.json").is_file():
            raise ReadError("there is no array here", where=path, mend=_MEND)
        try:
            array = zarr.open_array(store=str(path), mode="r" if whole else "r+")
            # without this, blocks of nothing but fill value would leave no trace on disk
            # (zarr 3.1 ignores `config` in open_array)
            array = array.with_config({"write_empty_chunks": True})
        except OSError as error:
            raise ReadError(f"the array cannot be opened: {error}", where=path) from error
        except Exception as error:
            raise IntegrityError(
                f"the description of the array cannot be read: {error}",
                where=path / "zarr.json",
                mend=_MEND,
            ) from error
        return cls(path, array, whole=whole)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of elements along each axis."""
        return self.zarr.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return np.dtype(self.zarr.dtype.str[1:])  # '<u2' would print as such

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk, the least that is read."""
        return self.zarr.chunks

    @property
    def shards(self) -> tuple[int, ...]:
        """Shape of a shard, the least that is written."""
        return self.zarr.shards or self.zarr.chunks

    @property
    def layout(self) -> Layout:
        """Chunk and shard along (z, y, x)."""
        (a, b, c), (d, e, f) = self.chunks[-3:], self.shards[-3:]
        return Layout((a, b, c), (d, e, f))

    def __getitem__(self, index: Any, /) -> Any:
        """Read a part.

        Raises
        ------
        IntegrityError
            A chunk is damaged, or a shard of a finished array is missing.
        """
        if self.whole:
            for file in self._files(index):
                if not file.is_file():
                    raise IntegrityError("a part of the array is missing", where=file, mend=_MEND)
        try:
            return self.zarr[index]
        except (TomolithError, IndexError, MemoryError):
            raise
        except Exception as error:
            raise IntegrityError(
                f"a part of the array cannot be read back: {error}",
                where=self._damaged(index) or self.path,
                mend=_MEND,
            ) from error

    def __setitem__(self, index: Any, values: Any, /) -> None:
        """Write a part: whole shards wherever more than one writer is at work.

        Raises
        ------
        DiskError
            The disk is full, read-only or not permitted.
        """
        with disk_errors(self.path):
            self.zarr[index] = values

    def shard_files(self, box: Box | None = None) -> list[Path]:
        """Return the files of the shards that meet ``box`` (all if left out)."""
        return list(self._files((Ellipsis, *box.slices) if box else Ellipsis))

    def missing_files(self) -> list[Path]:
        """Return the files of shards that were never written, or are gone."""
        return [file for file in self._files(Ellipsis) if not file.is_file()]

    def sync(self, box: Box | None = None) -> None:
        """Force the shards that meet ``box`` onto the disk (before a done mark).

        Raises
        ------
        DiskError
            The disk is full or broken.
        """
        sync_files(self._files((Ellipsis, *box.slices) if box else Ellipsis))

    def _files(self, index: Any) -> Iterator[Path]:
        ranges = [
            range(start // shard, -(-stop // shard))
            for (start, stop), shard in zip(_extent(index, self.shape), self.shards, strict=True)
        ]
        for position in itertools.product(*ranges):
            yield self.path.joinpath("c", *map(str, position))

    def _damaged(self, index: Any) -> Path | None:
        """Return the first shard file in ``index`` that cannot be read."""
        for file in self._files(index):
            position = [int(part) for part in file.parts[-len(self.shape) :]]
            slices = tuple(
                slice(p * s, (p + 1) * s) for p, s in zip(position, self.shards, strict=True)
            )
            try:
                _ = self.zarr[slices]
            except Exception:
                return file
        return None


def _extent(index: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return (start, stop) along each axis of what ``index`` may touch."""
    parts = list(index) if isinstance(index, tuple) else [index]
    n_missing = len(shape) - sum(part is not Ellipsis for part in parts)
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * n_missing
    else:
        parts += [slice(None)] * n_missing
    extent = []
    for part, length in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            reached = range(length)[part]
            low, high = (min(reached), max(reached) + 1) if reached else (0, 0)
        else:
            low = range(length)[part]
            high = low + 1
        extent.append((low, high))
    return extent
