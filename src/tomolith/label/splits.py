"""Which labelled slices train, which validate and which are kept for the test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from tomolith.config import Settings, did_you_mean
from tomolith.core import Box
from tomolith.core.box import Triple
from tomolith.core.plane import Plane, turn, turn_box_back
from tomolith.errors import RecipeError

PART = re.compile(r"(?P<scan>.+?)(?:\[(?P<start>\d+)(?:-(?P<stop>\d+))?\])?")
"""How a scan, or slices of it, are named."""


class SplitSettings(Settings):
    """How labelled slices are divided.

    Parameters
    ----------
    by
        ``"slice"`` draws single slices, right for sections (independent 2-D images);
        ``"block"`` cuts each volume along z into training, validation and test blocks, or along
        the axis that slices of ``train.plane`` follow.
        ``"auto"`` chooses by the kind of scan.
    validation, test
        Scans, or slices of them, set apart by name: ``"300"``, ``"run-1[9]"``,
        ``"run-1[9-11]"`` (both ends included).  Where given, the fraction is not used.  With
        another ``train.plane`` than xy only whole scans can be kept for the test.
    validation_frac, test_frac
        Shares of all labelled slices; the default is the paper's 80/10/10.
    gap
        Slices left out of training on either side of every validation and test slice of a
        volume, and of validation beside test.  Sections have no neighbours, so no gap.
    seed
        For drawing slices.

    Examples
    --------
    >>> SplitSettings(validation=300, test=["run-1", "run-2[9-11]"]).validation
    ('300',)
    """

    by: Literal["auto", "slice", "block"] = "auto"
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_frac: float = Field(0.1, ge=0, lt=1)
    test_frac: float = Field(0.1, ge=0, lt=1)
    gap: int = Field(1, ge=0)
    seed: int = 0

    @field_validator("validation", "test", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        """Take one name without a list, and numbers as names (YAML reads 300 as a number)."""
        parts = value if isinstance(value, (list, tuple)) else [value]
        return tuple(str(part) for part in parts)


@dataclass(frozen=True, slots=True)
class LabelledScan:
    """A scan that has labels: its id, the labelled slices, and whether z counts sections."""

    scan_id: str
    labelled_z: tuple[int, ...]
    sections: bool = False


@dataclass(frozen=True, slots=True, order=True)
class SliceRange:
    """Slices ``z_start`` up to, not including, ``z_stop`` of a scan."""

    scan_id: str
    z_start: int
    z_stop: int


@dataclass(frozen=True, slots=True)
class Split:
    """The labelled slices of each part, as ranges in the order of the scans.

    Those that train and validate are slices of ``plane``; those of the test are slices of z
    always, for in these all systems are scored.
    """

    train: tuple[SliceRange, ...]
    validation: tuple[SliceRange, ...]
    test: tuple[SliceRange, ...] = ()
    plane: Plane = "xy"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: ``{"train": [[scan, z_start, z_stop], ...], ...}``."""
        parts = {
            part: [[r.scan_id, r.z_start, r.z_stop] for r in getattr(self, part)]
            for part in ("train", "validation", "test")
        }
        return parts if self.plane == "xy" else {**parts, "plane": self.plane}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Split:
        """Read what :meth:`to_dict` wrote."""
        parts = ("train", "validation", "test")
        ranges = (tuple(SliceRange(*entry) for entry in values[part]) for part in parts)
        return cls(*ranges, plane=values.get("plane", "xy"))


def slabs(
    ranges: Iterable[SliceRange], shapes: Mapping[str, Triple], *, plane: Plane = "xy"
) -> dict[str, tuple[Box, ...]]:
    """Return the boxes of whole slices that ``ranges`` cover, by scan.

    Parameters
    ----------
    ranges
        Slices of scans.
    shapes
        Shape (z, y, x) of each scan, by its id.
    plane
        Of the slices.

    Examples
    --------
    >>> slabs([SliceRange("a", 2, 4)], {"a": (9, 5, 6)})["a"][0].shape_zyx
    (2, 5, 6)
    """
    found: dict[str, tuple[Box, ...]] = {}
    for r in ranges:
        _, height, width = turn(shapes[r.scan_id], plane)
        box = turn_box_back(Box((r.z_start, 0, 0), (r.z_stop, height, width)), plane)
        found[r.scan_id] = (*found.get(r.scan_id, ()), box)
    return found


Place = tuple[str, int]


def free_slices(
    scans: Sequence[LabelledScan], parts: Split, *, n_slices: Mapping[str, int], gap: int
) -> list[Place]:
    """Return the slices whose images may be learnt from, whether they have labels or not.

    Slices that validate or test, and their neighbours up to ``gap``, are left out; so are all
    slices of a scan whose labels only validate or test.

    Parameters
    ----------
    scans
        All scans, also those without any label.
    parts
        How the labelled slices are divided.
    n_slices
        Slices of each scan, by its id.
    gap
        As in :class:`SplitSettings`; sections have none.

    Examples
    --------
    >>> scans = [LabelledScan("a", (1, 4)), LabelledScan("b", (0,)), LabelledScan("c", ())]
    >>> parts = Split((SliceRange("a", 1, 2),), (SliceRange("a", 4, 5), SliceRange("b", 0, 1)))
    >>> free_slices(scans, parts, n_slices={"a": 6, "b": 9, "c": 2}, gap=1)
    [('a', 0), ('a', 1), ('a', 2), ('c', 0), ('c', 1)]
    """
    found: list[Place] = []
    for scan in scans:
        held = [r for r in (*parts.validation, *parts.test) if r.scan_id == scan.scan_id]
        held_z = [z for r in held for z in range(r.z_start, r.z_stop)]
        trains = any(r.scan_id == scan.scan_id for r in parts.train)
        if trains or not scan.labelled_z:
            free = _away(range(n_slices[scan.scan_id]), held_z, 0 if scan.sections else gap)
            found += [(scan.scan_id, z) for z in free]
    return found


def split(scans: Sequence[LabelledScan], settings: SplitSettings) -> Split:
    """Divide the labelled slices of ``scans``; neighbours never fall into different parts.

    Parameters
    ----------
    scans
        All scans that have labels.

    Raises
    ------
    RecipeError
        A name in ``validation`` or ``test`` fits no labelled slice, or names one twice; or
        nothing is left to train or to validate with.

    Examples
    --------
    >>> parts = split([LabelledScan("a", tuple(range(10)))], SplitSettings(gap=1))
    >>> parts.train
    (SliceRange(scan_id='a', z_start=0, z_stop=6),)
    >>> parts.validation[0].z_start, parts.test[0].z_start
    (7, 9)
    """
    test, validation = named_parts(scans, settings)
    rng = np.random.default_rng(settings.seed)
    if not test:
        pool = _beside(scans, validation, settings)
        test = _drawn(pool, settings, settings.test_frac, at_least_one_of=5, rng=rng)
    if not validation:
        pool = _beside(scans, test, settings)
        validation = _drawn(pool, settings, settings.validation_frac, at_least_one_of=2, rng=rng)
    return _assemble(scans, settings, validation, test)


def named_parts(
    scans: Sequence[LabelledScan], settings: SplitSettings
) -> tuple[set[Place], set[Place]]:
    """Return the slices that are named for the test, and for validation.

    Raises
    ------
    RecipeError
        A name fits no labelled slice, or stands in both.

    Examples
    --------
    >>> named_parts([LabelledScan("a", (3, 4))], SplitSettings(test="a[4]"))
    ({('a', 4)}, set())
    """
    test = _named(scans, settings.test, "test")
    validation = _named(scans, settings.validation, "validation")
    if twice := test & validation:
        raise RecipeError(
            f"slices are both validation and test: {_places_text(twice)}",
            where="train.split",
            mend="name them in one of the two",
        )
    return test, validation


def _beside(
    scans: Sequence[LabelledScan], taken: set[Place], settings: SplitSettings
) -> list[tuple[LabelledScan, list[int]]]:
    """Return the labelled slices that are not ``taken`` and keep the gap to those that are."""
    pool = []
    for scan in scans:
        taken_z = [z for z in scan.labelled_z if (scan.scan_id, z) in taken]
        gap = 0 if scan.sections else settings.gap
        pool.append((scan, _away(scan.labelled_z, taken_z, gap)))
    return pool


def _assemble(
    scans: Sequence[LabelledScan], settings: SplitSettings, validation: set[Place], test: set[Place]
) -> Split:
    parts: dict[str, list[SliceRange]] = {"train": [], "validation": [], "test": []}
    for scan in scans:
        gap = 0 if scan.sections else settings.gap
        test_z = [z for z in scan.labelled_z if (scan.scan_id, z) in test]
        kept = [z for z in scan.labelled_z if (scan.scan_id, z) in validation]
        validation_z = _away(kept, test_z, gap)
        training = [z for z in scan.labelled_z if z not in {*test_z, *kept}]
        train_z = _away(training, [*test_z, *validation_z], gap)
        for part, slices in (("train", train_z), ("validation", validation_z), ("test", test_z)):
            parts[part] += _ranges(scan.scan_id, slices)
    result = Split(*(tuple(parts[part]) for part in ("train", "validation", "test")))
    _refuse_empty(result, scans, settings)
    return result


def _named(scans: Sequence[LabelledScan], names: Iterable[str], part: str) -> set[Place]:
    by_id = {scan.scan_id: scan for scan in scans}
    places: set[Place] = set()
    for name in names:
        match = None if name in by_id else PART.fullmatch(name)
        scan_id = match["scan"] if match else name
        if scan_id not in by_id:
            raise RecipeError(
                f"'{name}' is no labelled scan",
                where=f"train.split.{part}",
                mend=did_you_mean(scan_id, by_id),
            )
        labelled = by_id[scan_id].labelled_z
        if match and match["start"] is not None:
            start, stop = int(match["start"]), int(match["stop"] or match["start"])
            labelled = tuple(z for z in labelled if start <= z <= stop)
        if not labelled:
            raise RecipeError(
                f"'{name}' holds no labelled slice",
                expected=f"labelled are {_ranges_text(by_id[scan_id])}",
                where=f"train.split.{part}",
            )
        places |= {(scan_id, z) for z in labelled}
    return places


def _drawn(
    pool: Sequence[tuple[LabelledScan, list[int]]],
    settings: SplitSettings,
    fraction: float,
    *,
    at_least_one_of: int,
    rng: np.random.Generator,
) -> set[Place]:
    """Draw ``fraction`` of the slices: singly over all sections, the last ones of volumes.

    Of ``at_least_one_of`` slices or more, at least one is drawn.  The share is taken of all
    labelled slices, not only of those that other parts have left.
    """

    def share(n_labelled: int, n_left: int) -> int:
        if fraction == 0 or n_left < at_least_one_of:
            return 0
        return min(n_left, max(1, round(n_labelled * fraction)))

    single: list[Place] = []
    n_single = 0
    chosen: set[Place] = set()
    for scan, slices in pool:
        in_blocks = settings.by == "block" or (settings.by == "auto" and not scan.sections)
        if in_blocks and len(slices) > 1:  # a lone slice of a volume has no neighbours to leak
            n_drawn = share(len(scan.labelled_z), len(slices))
            chosen |= {(scan.scan_id, z) for z in slices[len(slices) - n_drawn :]}
        else:
            single += [(scan.scan_id, z) for z in slices]
            if slices or not in_blocks or len(scan.labelled_z) == 1:
                n_single += len(scan.labelled_z)
    picked = rng.permutation(len(single))[: share(n_single, len(single))]
    return chosen | {single[i] for i in picked}


def _away(slices: Iterable[int], others: Sequence[int], gap: int) -> list[int]:
    near = {other + step for other in others for step in range(-gap, gap + 1)}
    return [z for z in slices if z not in near]


def _ranges(scan_id: str, slices: Sequence[int]) -> list[SliceRange]:
    ranges: list[SliceRange] = []
    for z in slices:
        if ranges and ranges[-1].z_stop == z:
            ranges[-1] = SliceRange(scan_id, ranges[-1].z_start, z + 1)
        else:
            ranges.append(SliceRange(scan_id, z, z + 1))
    return ranges


def _refuse_empty(result: Split, scans: Sequence[LabelledScan], settings: SplitSettings) -> None:
    n_labelled = sum(len(scan.labelled_z) for scan in scans)
    for part in ("train", "validation"):
        if not getattr(result, part):
            raise RecipeError(
                f"the split leaves no slice for {'training' if part == 'train' else part}: "
                f"{len(scans)} scans with {n_labelled} labelled slices, gap {settings.gap}",
                where="train.split",
                mend="label more slices, name validation slices yourself "
                "(validation: [scan, 'scan[9-11]']), or make the gap smaller",
            )


def _ranges_text(scan: LabelledScan) -> str:
    """Return the labelled slices as they are named in a recipe."""
    ends = [(r.z_start, r.z_stop - 1) for r in _ranges(scan.scan_id, scan.labelled_z)]
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ends)


def _places_text(places: set[Place]) -> str:
    return ", ".join(f"{scan}[{z}]" for scan, z in sorted(places)[:5])
