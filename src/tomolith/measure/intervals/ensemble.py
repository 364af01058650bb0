"""Class volumes of several trainings: how far another training would differ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from tomolith.errors import InputError
from tomolith.measure.intervals.held_out_units import Floats


def ensemble_interval(counts: npt.NDArray[np.number]) -> tuple[Floats, Floats]:
    """Return centre and half width of the 95 % interval of each class, in voxels.

    The centre is the mean of the members. The half width is Student's t of n - 1 times their
    standard deviation times sqrt(1 + 1/n): where one more training would come out. What all
    members share, such as labels that are wrong or classes that look alike, is not in it.

    Parameters
    ----------
    counts
        (n, K), voxels of each class in the label map of each member; n is 2 or more.

    Raises
    ------
    InputError
        Less than two members.

    Notes
    -----
    Source: prediction interval of a normal sample, Hahn and Meeker, Statistical Intervals (1991),
    section 4.7.

    Examples
    --------
    >>> centre, half = ensemble_interval(np.array([[8.0], [10.0], [12.0]]))
    >>> float(centre[0]), round(float(half[0]), 3)  # 4.303 · 2 · sqrt(4/3)
    (10.0, 9.937)
    """
    n = len(counts)
    if n < 2:
        raise InputError(
            f"the spread of {n} label map",
            expected="two or more, of the same scan and classes",
            mend="name more label maps under 'measure.uncertainty.ensemble', or none",
        )
    values = np.asarray(counts, np.float64)
    t = stats.t.ppf(0.975, n - 1)
    return values.mean(axis=0), t * values.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n)
