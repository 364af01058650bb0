"""How much of what was labelled as some classes is none of them: in held-out slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tomolith.measure.held_out import HeldOut


@dataclass(frozen=True, slots=True, eq=False)
class MadeUp:
    """Held-out slices, asked for labels that are wrong.

    Parameters
    ----------
    classes
        Class names; none where there are no slices.
    counts
        Voxels of all slices, shape (K, K), rows truth, columns prediction.
    words
        Which slices, for the method of an interval.
    """

    classes: tuple[str, ...] = ()
    counts: npt.NDArray[np.int64] | None = None
    words: str = ""

    @classmethod
    def of(cls, record: HeldOut | None) -> MadeUp:
        """Return what the slices of a record tell; ``None`` tells nothing."""
        if record is None or not record.slices:
            return cls()
        n_scans = len({s.scan for s in record.slices})
        n = len(record.slices)
        words = f"{n} held-out slice{'s' * (n > 1)} of {n_scans} scan{'s' * (n_scans > 1)}"
        return cls(record.classes, np.sum([s.counts for s in record.slices], axis=0), words)

    def share(self, names: Sequence[str]) -> float | None:
        """Return the share of the voxels labelled as any of some classes that are of none of them.

        One less the user's accuracy (Congalton, Remote Sensing of Environment 37, 35, 1991), all of
        ``names`` taken for one class. ``None`` where the slices have no such label.

        Examples
        --------
        >>> import numpy as np
        >>> counts = np.array([[90, 1, 0], [2, 6, 1], [0, 1, 2]])
        >>> made_up = MadeUp(("background", "dendrite", "deposited"), counts)
        >>> made_up.share(["dendrite"]), round(made_up.share(["dendrite", "deposited"]), 3)
        (0.25, 0.091)
        """
        chosen = np.isin(self.classes, names)
        if self.counts is None or not (labelled := int(self.counts[:, chosen].sum())):
            return None
        return 1 - int(self.counts[np.ix_(chosen, chosen)].sum()) / labelled
