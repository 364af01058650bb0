"""What each operation changed, counted voxel by voxel."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Key = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """So many voxels of a scan were changed from one class to another by an operation."""

    scan: str
    operation: str
    before: str
    after: str
    n_voxels: int


class Changes:
    """Counts of changed voxels of one or several scans; additive, in integers.

    Examples
    --------
    >>> changes = Changes()
    >>> changes.count("split", 0, np.array([4, 4, 5], np.uint8), np.array([4, 5, 5], np.uint8))
    >>> changes.pack()
    '[["split", 0, 4, 5, 1]]'
    >>> Changes.unpack([changes.pack(), changes.pack()]).of_scan(0)
    [('split', 4, 5, 2)]
    """

    def __init__(self) -> None:
        self._n: Counter[Key] = Counter()

    def count(self, operation: str, scan: int, before: Bytes, after: Bytes) -> None:
        """Add what differs between two arrays of label values."""
        differs = before != after
        joint = before[differs].astype(np.int64) * 256 + after[differs]
        values, counts = np.unique(joint, return_counts=True)
        for value, n in zip(values.tolist(), counts.tolist(), strict=True):
            self._n[operation, scan, value // 256, value % 256] += n

    def pack(self) -> str:
        """Return all counts as a line of text, to be kept with a done mark."""
        return json.dumps([[*key, n] for key, n in sorted(self._n.items())])

    @classmethod
    def unpack(cls, texts: Iterable[str]) -> Changes:
        """Return the sum of what :meth:`pack` gave."""
        out = cls()
        for text in texts:
            for operation, scan, before, after, n in json.loads(text):
                out._n[operation, scan, before, after] += n
        return out

    def of_scan(self, scan: int) -> list[tuple[str, int, int, int]]:
        """Return operation, value before, value after and number of voxels of one scan."""
        return [(o, a, b, n) for (o, i, a, b), n in sorted(self._n.items()) if i == scan]
