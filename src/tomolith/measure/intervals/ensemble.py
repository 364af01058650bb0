"""Class volumes of several trainings: how far another training would differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from tomolith.errors import InputError
from tomolith.measure.intervals.combination import Combination
from tomolith.measure.intervals.combine import Estimate
from tomolith.measure.intervals.held_out_units import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """The spread of several trainings.

    The centre is the mean of the members. The half width is Student's t of n - 1 times their
    standard deviation times sqrt(1 + 1/n): where one more training would come out. What all
    members share, such as labels that are wrong or classes that look alike, is not in it. A
    training that finds more in one scan may do so in all: how each member lies is shared.

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
    >>> from tomolith.measure.intervals.combination import Strata
    >>> spread = Ensemble(np.array([[8.0], [10.0], [12.0]]))
    >>> found = spread.of(Strata(("li",), np.array([10.0])).combine({"li": 1.0}))
    >>> found.centre, round(found.half, 3)  # 4.303 · 2 · sqrt(4/3)
    (10.0, 9.937)
    """

    counts: Floats
    is_whole: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.counts) < 2:
            raise InputError(
                f"the spread of {len(self.counts)} label map",
                expected="two or more, of the same scan and classes",
                mend="name more label maps under 'measure.uncertainty.ensemble', or none",
            )

    @property
    def words(self) -> str:
        """What it means."""
        return f"spread of {len(self.counts)} trainings"

    def of(self, combination: Combination) -> Estimate:
        """Return the mean of the members, and how far each lies from it."""
        values, n = self.counts @ combination.by_class, len(self.counts)
        scale = stats.t.ppf(0.975, n - 1) * np.sqrt((1 + 1 / n) / (n - 1))
        centre = float(values.mean())
        return Estimate(centre, 0.0, scale * (values - centre))
