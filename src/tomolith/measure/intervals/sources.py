"""What there is to draw intervals of a scan from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tomolith.core import ClassSchema
from tomolith.errors import MismatchError, ReadError
from tomolith.measure.held_out import HeldOut
from tomolith.measure.intervals.boundary import Boundary
from tomolith.measure.intervals.combination import Strata
from tomolith.measure.intervals.combine import Source
from tomolith.measure.intervals.confusion import Confusion
from tomolith.measure.intervals.ensemble import Ensemble
from tomolith.measure.intervals.held_out_units import Floats, units_for
from tomolith.measure.intervals.probabilities import FULL, Probabilities, expected_voxels
from tomolith.measure.intervals.settings import UncertaintySettings
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities.boundary import between
from tomolith.measure.quantities.one_electrode import members_of, one_electrode
from tomolith.measure.reliability import ClassShares
from tomolith.store.scan import Scan


def find_sources(
    scan: Scan,
    labels_name: str,
    settings: UncertaintySettings,
    *,
    strata: Strata,
    values: Mapping[tuple[str, str], float],
    held_out: HeldOut | None,
) -> list[Source]:
    """Return the sources that are allowed and there.

    Parameters
    ----------
    scan, labels_name
        The scan, and the label map that was measured.
    settings
        Says what may be drawn on.
    strata
        The classes, counted.
    values
        The numbers measured, by quantity and part.
    held_out
        What held-out slices tell of the same system; ``None`` where there are no labels.

    Raises
    ------
    MismatchError
        The classes of the held-out slices or of an ensemble's label map are others.
    """
    names, counted, schema = strata.classes, strata.counted, scan.labels(labels_name).schema
    draws = {"n_draws": settings.n_draws, "seed": settings.seed}
    found: list[Source] = []
    units = None
    if held_out is not None and held_out.slices:
        units = units_for(_as_measured(held_out, schema), scan.id)
    if units is not None and "confusion" in settings.sources:
        found.append(Confusion(counted, units, **draws))
    shares = _shares(scan, labels_name, schema) if "probabilities" in settings.sources else None
    if shares is not None:
        found.append(Probabilities(expected_voxels(shares, scan.grid), units, **draws))
    if len(settings.ensemble) > 1 and "ensemble" in settings.sources:
        found.append(Ensemble(_counts(scan, settings.ensemble, names)))
    faces = _half_faces(strata, values, scan) if "boundary" in settings.sources else None
    if faces is not None:
        found.append(Boundary(counted, faces))
    return found


def _shares(scan: Scan, labels_name: str, schema: ClassSchema) -> ClassShares | None:
    try:
        found = scan.extra(f"probabilities/{labels_name}")
    except ReadError:
        return None
    return found if one_electrode(schema) == schema else _Summed(found, members_of(schema))


@dataclass(frozen=True, slots=True)
class _Summed:
    """Shows the probabilities of the classes that are measured: sums of those of their members."""

    shares: ClassShares
    members: tuple[tuple[int, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.members), *self.shares.shape[1:]

    def __getitem__(self, index: tuple[slice, slice, slice, slice], /) -> Any:
        classes, *box = index
        found = [
            sum(np.asarray(self.shares[(slice(i, i + 1), *box)], np.uint16) for i in of)
            for of in self.members[classes]
        ]
        # each member was rounded by itself
        return np.minimum(np.concatenate(found), FULL).astype(np.uint8)


def _counts(scan: Scan, members: Sequence[str], names: Sequence[str]) -> Floats:
    """Return the voxels of each class (columns) in the label map of each member (rows)."""
    chosen = MeasureSettings.model_validate({"quantities": ["voxel_count"]})
    counts = []
    for member in members:
        labels = scan.labels(member)
        _check_classes(
            one_electrode(labels.schema).names, names, f"label map '{member}' of scan '{scan.id}'"
        )
        n = {m.region.rpartition("/")[2]: m.value for m in measure(labels, chosen)}
        counts.append([n[name] for name in names])
    return np.array(counts, np.float64)


def _half_faces(
    strata: Strata, values: Mapping[tuple[str, str], float], scan: Scan
) -> Floats | None:
    """Return half of the faces between each two strata, in voxels; ``None`` if not counted."""
    if any(("boundary_volume", n) not in values for n in strata.classes):
        return None
    names, one = strata.names, scan.grid.voxel_volume_um3
    found = np.zeros((len(names), len(names)))
    for i, a in enumerate(names):
        for j, b in enumerate(names[:i]):
            shift = values.get(("boundary_volume", between(b, a)), 0.0) / one
            found[i, j] = found[j, i] = shift
    return found


def _as_measured(held_out: HeldOut, schema: ClassSchema) -> HeldOut:
    """Return the counts of the classes that are measured, in their order.

    The doubt of a sum is taken to be the sum of the doubts: as if no pixel could be of either
    electrode, which lie apart.
    """
    _check_classes(held_out.classes, schema.names, "held-out slices")
    join = np.zeros((len(one_electrode(schema)), len(schema)), np.int64)
    for row, of in zip(join, members_of(schema), strict=True):
        row[[held_out.classes.index(schema.names[i]) for i in of]] = 1
    slices = tuple(
        replace(
            s,
            counts=tuple(map(tuple, (join @ np.array(s.counts) @ join.T).tolist())),
            expected=tuple((join @ s.expected).tolist()) if s.expected else (),
            doubt=tuple((join @ s.doubt).tolist()) if s.doubt else (),
        )
        for s in held_out.slices
    )
    return replace(held_out, classes=one_electrode(schema).names, slices=slices)


def _check_classes(found: Sequence[str], names: Sequence[str], where: str) -> None:
    if sorted(found) != sorted(names):
        raise MismatchError(
            f"classes {', '.join(found)}", expected=f"classes {', '.join(names)}", where=where
        )
