"""What each part of MatPhase brings: one is left out at a time."""

from __future__ import annotations

from benchmarks.common import Result
from benchmarks.comparison_page import Page, compare_by
from benchmarks.comparisons import Outcome, Protocol, difference_words, rank_words
from benchmarks.extent import Extent

PARTS = ("ugsm-alone", "without-ugsm", "without-idk", "without-curriculum")
PROTOCOL = Protocol(
    "matphase_parts",
    short={
        "phantom": {"hand_labelled_slices": 24},
        "compare": {"train": {"batch": 8, "matphase": {"ugsm_batch": 8}}},
    },
    quick={
        "phantom": {"shape_zyx": [6, 128, 128], "hand_labelled_slices": 6},
        "compare": {"systems": ["matphase"]},
    },
)


def run(extent: Extent) -> Result:
    """Run the protocol, and return the page."""
    page = Page("matphase_parts", "What each part of MatPhase brings", _what, _notes, _alt)
    return compare_by(PROTOCOL, extent, page)


def _what(outcome: Outcome) -> str:
    phantom = outcome.study.recipe.phantom
    return (
        "MatPhase whole, and with one part left out at a time: the U-Net with Monte-Carlo dropout "
        "alone (UGSM), the network on local patches without it (so without a curriculum, which "
        "needs its uncertainty), without 'I don't know', without the curriculum. Preset "
        f"`cathode-3phase` ({' × '.join(str(n) for n in phantom.shape_zyx)} voxels), "
        f"{phantom.hand_labelled_slices} slices of one cathode to learn from, as many of another "
        "to test. Patches have 128 pixels a side, where `table2_matphase` has 224: scores of the "
        "two pages cannot be held against each other. The labels are exact, so none is cleaned."
    )


def _notes(outcome: Outcome) -> list[str]:
    return [
        rank_words(outcome, ()),
        difference_words(outcome, "matphase", PARTS),
        "Where two stages share the time, each has less of it than one alone: seven tenths go to "
        "the UGSM. 'Patches seen' counts the last stage alone.",
        "Of MatPhase's paper only the appendix is in detail; what is left out here is our reading.",
    ]


def _alt(name: str) -> str:
    if name.startswith("training"):
        return "Mean IoU on the validation slices during training"
    return "A slice of the other cathode: image, truth, and what each form made of it (simulated)"
