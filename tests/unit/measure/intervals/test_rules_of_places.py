"""Numbers of where a class lies are never surer than its borders."""

from dataclasses import dataclass

import numpy as np
import pytest

from tomolith.measure.intervals.combination import Combination, Strata
from tomolith.measure.intervals.combine import Estimate
from tomolith.measure.intervals.rules import Scan, interval_of

COUNTED = np.array([900.0, 40.0, 60.0])


@dataclass(frozen=True)
class Share:
    """A source that is unsure of a share of each class."""

    share: float
    is_whole: bool
    words: str

    def of(self, combination: Combination) -> Estimate:
        centre = float(combination.by_class @ COUNTED)
        return Estimate(centre, self.share * abs(centre), np.zeros(0))


LABELS, BORDERS = Share(0.1, True, "held-out labels"), Share(0.5, False, "borders")
STRATA = Strata(("background", "pit", "redeposited"), COUNTED)
VALUES = {
    ("voxel_count", "pit"): 40.0,
    ("voxel_count", "redeposited"): 60.0,
    ("volume", "pit"): 40.0,
    ("plan_coverage", "pit"): 0.2,
    ("pit_filling", "pit"): 0.6,
    ("unfilled_pits", "pit"): 0.4,
}


def ends(quantity: str, part: str, *sources: Share) -> tuple[float, float]:
    found = interval_of(quantity, part, Scan(STRATA, sources, VALUES))
    assert found is not None
    return found.low, found.high


@pytest.mark.parametrize("quantity", ["plan_coverage", "pit_filling", "unfilled_pits"])
def test_they_are_no_narrower_than_by_borders_alone(quantity):
    sure, unsure = ends(quantity, "pit", LABELS), ends(quantity, "pit", BORDERS)
    assert unsure[0] < sure[0] < sure[1] < unsure[1]
    assert ends(quantity, "pit", LABELS, BORDERS) == unsure


def test_a_volume_is_as_sure_as_its_labels():
    assert ends("volume", "pit", LABELS, BORDERS) == ends("volume", "pit", LABELS)


def test_the_method_says_so():
    found = interval_of("plan_coverage", "pit", Scan(STRATA, [LABELS, BORDERS], VALUES))
    assert "held-out labels" in found.method
    assert "no narrower than by borders" in found.method


def test_labels_that_are_less_sure_than_borders_keep_their_interval():
    vague = Share(0.9, True, "few labels")
    both = interval_of("plan_coverage", "pit", Scan(STRATA, [vague, BORDERS], VALUES))
    assert (both.low, both.high) == ends("plan_coverage", "pit", vague)
    assert "no narrower" not in both.method
