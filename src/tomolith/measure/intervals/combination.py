"""Sums of classes, each with its worth: all Li of a side, a class, what of it is dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tomolith.measure.intervals.held_out_units import Floats
from tomolith.measure.quantities.frame import PLATING, STRIPPING
from tomolith.measure.quantities.sides import GROWN, electrode_part

_ELECTRODE = "electrode"
_SIDED = (*GROWN[PLATING], *GROWN[STRIPPING], "pit")


@dataclass(frozen=True, slots=True)
class Combination:
    """What a voxel is worth in a sum.

    Parameters
    ----------
    strata
        (S,): by stratum, see :class:`Strata`.
    worth
        (K, K): of a voxel that truly is class c (row) and is labelled j (column).
    side_doubt
        (K, K): how much more or less that may be worth, as the voxel's side is not known.
    """

    strata: Floats
    worth: Floats
    side_doubt: Floats

    @property
    def by_class(self) -> Floats:
        """Worth (K,) of a voxel that is labelled rightly."""
        found: Floats = np.diag(self.worth).copy()
        return found


@dataclass(frozen=True, slots=True)
class Strata:
    """The classes of a scan, with the electrode parted by sides.

    Parameters
    ----------
    classes
        Names of the K classes.
    counted
        (K,), their voxels in the label map.
    plating_frac
        Share of the electrode's voxels on the plating side.
    """

    classes: tuple[str, ...]
    counted: Floats
    plating_frac: float = 0.5

    @property
    def names(self) -> tuple[str, ...]:
        """The S strata."""
        return strata_of(self.classes)

    def combine(self, weights: Mapping[str, float]) -> Combination:
        """Return a sum of strata, of which those not named are worth nothing.

        What a network takes for the electrode, or the electrode for, is on the side of that class;
        background is parted as the electrode is.

        Examples
        --------
        >>> strata = Strata(("background", "electrode", "dendrite"), np.array([5.0, 4.0, 1.0]))
        >>> found = strata.combine({"electrode, plating side": 1.0, "dendrite": 1.0})
        >>> found.strata.tolist(), found.worth[1].tolist()
        ([0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 1.0])
        """
        strata = np.array([weights.get(name, 0.0) for name in self.names])
        by_name = dict(zip(self.names, strata, strict=True))
        k = len(self.classes)
        worth = np.empty((k, k))
        for row, name in zip(worth, self.classes, strict=True):
            if name != _ELECTRODE:
                row[:] = by_name[name]
                continue
            sides = np.array([by_name[electrode_part(s)] for s in (STRIPPING, PLATING)])
            row[:] = [sides @ (1 - f, f) for f in map(self._plating_frac, self.classes)]
        return Combination(strata, worth, self._side_doubt(by_name))

    def _side_doubt(self, worth: Mapping[str, float]) -> Floats:
        """Return the doubt of voxels that are the electrode or are labelled so, but not both."""
        found = np.zeros((len(self.classes),) * 2)
        if _ELECTRODE in self.classes:
            low, high = (worth[electrode_part(s)] for s in (STRIPPING, PLATING))
            e = self.classes.index(_ELECTRODE)
            unsided = [i for i, n in enumerate(self.classes) if n not in _SIDED and i != e]
            found[e, unsided] = found[unsided, e] = abs(high - low) / 2
        return found

    def _plating_frac(self, name: str) -> float:
        """Return the share of a label's voxels that lies on the plating side."""
        if name in GROWN[PLATING]:
            return 1.0
        return 0.0 if name in (*GROWN[STRIPPING], "pit") else self.plating_frac


def strata_of(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes, the electrode of each side by itself.

    Examples
    --------
    >>> strata_of(["background", "electrode"])
    ('background', 'electrode, stripping side', 'electrode, plating side')
    """
    sides = tuple(electrode_part(side) for side in (STRIPPING, PLATING))
    return tuple(s for name in classes for s in (sides if name == _ELECTRODE else (name,)))
