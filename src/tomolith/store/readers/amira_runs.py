"""HxByteRLE of Amira: runs of bytes, decoded slice by slice."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from tomolith.core import Box
from tomolith.core.box import Triple
from tomolith.errors import ReadError
from tomolith.store.readers.lazy import Array, LazyArray


class RunLengthArray(LazyArray):
    """A run-length encoded lattice of bytes.

    A length byte below 128 is followed by one byte to repeat so often; one above,
    by that many (less 128) bytes to copy. The first read walks over all runs once
    and notes where each slice begins; later reads decode only their slices.

    Parameters
    ----------
    path, offset_bytes, n_bytes
        Where the encoded bytes lie (``ReadError`` if the file ends before).
    shape
        Voxels along (z, y, x).
    """

    def __init__(self, path: Path, offset_bytes: int, n_bytes: int, shape: Triple) -> None:
        super().__init__(shape, np.uint8)
        size = path.stat().st_size
        if n_bytes < 1 or offset_bytes + n_bytes > size:
            raise ReadError(
                f"the Amira file is cut off: {size} bytes of {offset_bytes + n_bytes}",
                where=path,
                mend="copy it again",
            )
        self._path = path
        self._data = np.memmap(path, np.uint8, "r", offset_bytes, (n_bytes,))
        self._starts: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def _read(self, box: Box) -> Array:
        with self._lock:
            if not self._starts:
                self._starts = self._find_slices()
        zs, ys, xs = box.slices
        out = np.empty(box.shape_zyx, np.uint8)
        if out.size:
            for k, z in enumerate(range(zs.start, zs.stop)):
                out[k] = self._slice(z)[ys, xs]
        return out

    def _find_slices(self) -> list[tuple[int, int]]:
        """Return for each slice the position of its first run and the voxels to skip there."""
        n_slice = self.shape[1] * self.shape[2]
        data = self._data.data
        starts: list[tuple[int, int]] = []
        at, decoded, next_start = 0, 0, 0
        while at < len(data) and len(starts) < self.shape[0]:
            length = data[at]
            n = length & 127 if length >= 128 else length
            while next_start < decoded + n and len(starts) < self.shape[0]:
                starts.append((at, next_start - decoded))
                next_start += n_slice
            decoded += n
            at += 1 + (n if length >= 128 else 1)
        if len(starts) < self.shape[0]:
            raise self._damaged(len(starts))
        return starts

    def _slice(self, z: int) -> Array:
        n_slice = self.shape[1] * self.shape[2]
        at, skip = self._starts[z]
        end = self._starts[z + 1][0] + 130 if z + 1 < len(self._starts) else len(self._data)
        data = self._data[at:end].tobytes()
        parts, n_left, at = [], n_slice + skip, 0
        while n_left > 0 and at < len(data):
            length = data[at]
            if length >= 128:
                part = data[at + 1 : at + 1 + (length & 127)]
                at += 1 + (length & 127)
            else:
                part = data[at + 1 : at + 2] * length
                at += 2
            parts.append(part)
            n_left -= len(part)
        values = np.frombuffer(b"".join(parts), np.uint8)[skip : skip + n_slice]
        if values.size < n_slice:
            raise self._damaged(z)
        return values.reshape(self.shape[1:])

    def _damaged(self, z: int) -> ReadError:
        return ReadError(
            f"the encoded data ends in slice {z} of {self.shape[0]}",
            where=self._path,
            mend="the file is damaged: copy it again",
        )
