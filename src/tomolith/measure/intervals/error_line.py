"""What sums of classes miss in held-out scans, carried over to another scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from tomolith.measure.intervals.combine import Estimate
from tomolith.measure.intervals.held_out_units import LEVEL, Floats

_SAME = 1e-9  # spread of volumes, as a share of the largest sum, below which there is no slope


@dataclass(frozen=True, slots=True, eq=False)
class ErrorLine:
    """A straight line through the errors of held-out scans, over the volumes found in them.

    A network that finds half of each small dendrite and all of each large one misses more where it
    finds less, and classes that come and go during a cycle are mixed up in another proportion in
    each scan. No correction that is one and the same for all scans tells this. So the errors that
    are left go with the volume that was found: what a scan is to be corrected by is read off at
    its own, and errors scatter about the line, not about zero. Their variance goes with what it
    would be were voxels independent.

    That only a few slices stand for each held-out scan widens the scatter, with four slices by up
    to a half on simulated cells. It is left in: what slices of one scan tell of it, by moments,
    overstates it where they lie evenly, and intervals without it held too few dendrites.

    Parameters
    ----------
    found
        (n,), the sum in each scan, known without its labels, in voxels times their worth.
    errors
        (n,), true less estimated sum.
    doubts
        (n,), above 0: variance of the estimated sum, were voxels independent.
    largest
        The largest possible sum, to tell what is the same.
    has_slope
        Whether the line may slope; else it is level.

    Notes
    -----
    Source: regression of true on classified areas, Gallego, International Journal of Remote Sensing
    25, 3019 (2004); variance in proportion to the binomial one: McCullagh and Nelder, Generalized
    Linear Models (1989), section 4.5; interval of a new observation: Draper and Smith, Applied
    Regression Analysis (1998). The doubt of the line is parted among the scans that it comes from,
    by how far each pulls it, so that other sums can share it.

    Examples
    --------
    >>> found = np.array([10.0, 20, 30, 40, 50])
    >>> errors = 1 + 0.1 * found + np.array([0.1, -0.1, 0, -0.1, 0.1])
    >>> line = ErrorLine(found, errors, np.ones(5), largest=100.0)
    >>> there = line.carried_to(60.0, 1.0, estimated=60.0)
    >>> round(there.centre, 1), round(there.own, 2), round(there.half, 2)
    (67.0, 0.37, 0.53)
    """

    found: Floats
    errors: Floats
    doubts: Floats
    largest: float
    has_slope: bool = True

    def carried_to(self, found: float, doubt: float, *, estimated: float) -> Estimate:
        """Return the estimate of another scan, corrected by what the line says at its volume.

        Parameters
        ----------
        found, doubt, estimated
            Of that scan, as of those held out.

        Returns
        -------
        Estimate
            Own is how scans scatter about the line; shared, with one number for each held-out
            scan, how far the line lies from where all scans would lay it.
        """
        largest, root = self.largest or 1.0, 1 / np.sqrt(self.doubts)
        middle = float(root**2 @ self.found / (root**2).sum())
        rows = np.stack([root, root * (self.found - middle) / largest], axis=1)
        if not self.has_slope or np.ptp(self.found) <= _SAME * self.largest:
            rows[:, 1] = 0.0
        free = max(len(self.errors) - int(rows.any(axis=0).sum()), 1)
        inverse = np.linalg.pinv(rows)
        left = root * self.errors - rows @ (inverse @ (root * self.errors))
        pull = np.array([1.0, (found - middle) / largest]) @ inverse
        half = float(stats.t.ppf((1 + LEVEL) / 2, free)) * np.sqrt(left @ left / free)
        parts = pull * left
        length = np.linalg.norm(parts)
        return Estimate(
            estimated + float(pull @ (root * self.errors)),
            float(half * np.sqrt(doubt)),
            parts * (half * np.linalg.norm(pull) / length if length else 0.0),
        )
