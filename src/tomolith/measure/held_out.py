"""What is known of single held-out slices: their confusion, and what probabilities promised."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.errors import ReadError
from tomolith.measure.quantities.dendrite_pieces import DENDRITE
from tomolith.store.atomic import write_text

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
FULL = 255  # a stored probability of 1
FEWEST = 9
"""Pixels of the smallest thing that counts: a side of a cube of three voxels."""


@dataclass(frozen=True, slots=True)
class HeldOutSlice:
    """One held-out slice: truth against prediction, of pixels that have a class in both.

    Parameters
    ----------
    scan, z
        Which slice.
    counts
        Rows truth, columns prediction.
    expected
        Per class the sum of its stored probabilities, 255 for a pixel that is wholly sure; empty
        where there are none.
    doubt
        Per class the sum of p (255 - p) of its stored probabilities p; empty where there are none.
    reach
        How far dendrites reach, along y and along x: where they begin and end in the truth, and
        where in the prediction, see :func:`reach_of`. -1 where there are none; empty without such
        a class.
    """

    scan: str
    z: int
    counts: tuple[tuple[int, ...], ...]
    expected: tuple[int, ...] = ()
    doubt: tuple[int, ...] = ()
    reach: tuple[tuple[int, int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The held-out slices of one system, in the order of scans and z.

    Parameters
    ----------
    system, subset
        What was scored, on which subset.
    classes
        Class names, in the order of rows and columns.
    slices
        One entry per slice with a pixel that has a class in truth and prediction.
    """

    system: str
    subset: str
    classes: tuple[str, ...]
    slices: tuple[HeldOutSlice, ...]


class SliceTally:
    """Counts the slices of one system and subset, tile by tile.

    Examples
    --------
    >>> tally = SliceTally(("background", "lithium"))
    >>> truth, prediction = np.array([[[0, 1, 2]]], np.uint8), np.array([[[0, 0, 1]]], np.uint8)
    >>> tally.update("scan-0", Box((4, 0, 0), (5, 1, 3)), truth, prediction)
    >>> tally.record("unet", "test").slices[0]
    HeldOutSlice(scan='scan-0', z=4, counts=((1, 0), (1, 0)), expected=(), doubt=(), reach=())
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._counts: dict[tuple[str, int], Counts] = {}
        self._shares: dict[tuple[str, int], Counts] = {}
        self._profiles: dict[tuple[str, int], list[Counts]] = {}

    def update(
        self, scan: str, box: Box, truth: Bytes, prediction: Bytes, shares: Bytes | None = None
    ) -> None:
        """Add the pixels of ``box``.

        Parameters
        ----------
        truth, prediction
            (z, y, x), class numbers 0..K-1, or K for unlabelled.
        shares
            (K, z, y, x), stored probabilities in the same order of classes.
        """
        k = len(self._names)
        for i, z in enumerate(range(box.start_zyx[0], box.stop_zyx[0])):
            known = (truth[i] < k) & (prediction[i] < k)
            if not known.any():
                continue
            code = truth[i][known].astype(np.int64) * k + prediction[i][known]
            counts = np.bincount(code, minlength=k * k).reshape(k, k)
            self._counts[scan, z] = self._counts.get((scan, z), 0) + counts
            if shares is not None:
                p = shares[:, i][:, known].astype(np.int64)
                sums = np.stack([p.sum(axis=1), (p * (FULL - p)).sum(axis=1)])
                self._shares[scan, z] = self._shares.get((scan, z), 0) + sums
            if DENDRITE in self._names:
                value = self._names.index(DENDRITE)
                marked = [(m[i] == value) & known for m in (truth, prediction)]
                self._add_profiles((scan, z), box, marked)

    def _add_profiles(
        self, place: tuple[str, int], box: Box, marked: Sequence[npt.NDArray[np.bool_]]
    ) -> None:
        """Add what stands in each row and in each column of a slice, in truth and prediction."""
        old = self._profiles.get(place)
        self._profiles[place] = [
            _added(old[2 * axis + i] if old else None, start, mask.sum(axis=1 - axis))
            for axis, start in enumerate(box.start_zyx[1:])
            for i, mask in enumerate(marked)
        ]

    def record(self, system: str, subset: str) -> HeldOut:
        """Return what was counted."""
        slices = []
        for scan, z in sorted(self._counts):
            rows = tuple(tuple(int(n) for n in row) for row in self._counts[scan, z])
            found = self._shares.get((scan, z))
            expected, doubt = ((), ()) if found is None else (tuple(map(int, r)) for r in found)
            p = self._profiles.get((scan, z), [])
            reach = tuple(
                (*reach_of(a), *reach_of(b)) for a, b in zip(p[::2], p[1::2], strict=True)
            )
            slices.append(HeldOutSlice(scan, z, rows, expected, doubt, reach))
        return HeldOut(system, subset, self._names, tuple(slices))


def _added(profile: Counts | None, start: int, part: Counts) -> Counts:
    stop = start + len(part)
    length = max(stop, 0 if profile is None else len(profile))
    found = np.zeros(length, np.int64)
    if profile is not None:
        found[: len(profile)] = profile
    found[start:stop] += part
    return found


def reach_of(profile: Counts) -> tuple[int, int]:
    """Return where a class begins and ends, but for its outermost pixels; -1, -1 for nothing.

    Beyond either end lie less than :data:`FEWEST` pixels: single ones are noise.

    Examples
    --------
    >>> reach_of(np.array([0, 1, 0, 9, 9, 0, 4]))
    (3, 5)
    """
    if profile.sum() < FEWEST:
        return -1, -1
    start, stop = (int(np.argmax(np.cumsum(p) >= FEWEST)) for p in (profile, profile[::-1]))
    return start, len(profile) - stop


def write_held_out(records: Sequence[HeldOut], path: Path) -> None:
    """Write records as JSON, one line per slice.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "held_out.json"
    >>> record = HeldOut("unet", "test", ("a", "b"), (HeldOutSlice("s", 3, ((5, 0), (1, 2))),))
    >>> write_held_out([record], path)
    >>> read_held_out(path) == (record,)
    True
    """
    parts = []
    for r in records:
        head = {"system": r.system, "subset": r.subset, "classes": r.classes}
        lines = ",\n".join(
            json.dumps([s.scan, s.z, s.counts, s.expected, s.doubt, s.reach]) for s in r.slices
        )
        parts.append(f'{json.dumps(head)[:-1]}, "slices": [\n{lines}\n]}}')
    write_text(path, "[" + ",\n".join(parts) + "]\n")


def read_held_out(path: Path) -> tuple[HeldOut, ...]:
    """Read what :func:`write_held_out` wrote.

    Raises
    ------
    ReadError
        The file is missing or damaged.
    """
    try:
        return tuple(_record(e) for e in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            f"the counts of held-out slices cannot be read: {error!r}",
            where=path,
            mend="run the step 'evaluate' again",
        ) from error


def _record(entry: dict[str, Any]) -> HeldOut:
    slices = tuple(
        HeldOutSlice(
            str(scan),
            int(z),
            tuple(tuple(int(n) for n in row) for row in counts),
            tuple(int(n) for n in expected),
            tuple(int(n) for n in doubt),
            tuple((int(a), int(b), int(c), int(d)) for reach in later for a, b, c, d in reach),
        )
        for scan, z, counts, expected, doubt, *later in entry["slices"]
    )
    return HeldOut(
        str(entry["system"]), str(entry["subset"]), tuple(map(str, entry["classes"])), slices
    )
