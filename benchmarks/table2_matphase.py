"""MatPhase, its baselines and classical methods on a simulated cathode of three phases."""

from __future__ import annotations

from benchmarks.common import Result
from benchmarks.comparison_page import Page, compare_by
from benchmarks.comparisons import (
    Outcome,
    Protocol,
    difference_words,
    goal_words,
    rank_words,
    ruler_words,
    slices_words,
)
from benchmarks.extent import Extent

WANTED_IOU = 0.80
PROTOCOL = Protocol(
    "table2_cathode",
    short={
        "phantom": {"hand_labelled_slices": 24},
        "compare": {"train": {"batch": 8, "matphase": {"ugsm_batch": 8}}},
    },
    quick={
        "phantom": {"shape_zyx": [6, 128, 128], "hand_labelled_slices": 6},
        "compare": {"systems": ["unet", "matphase", "multi_otsu"]},
    },
)


def run(extent: Extent) -> Result:
    """Run the protocol, and return the page."""
    page = Page(
        "table2_matphase",
        "Table II of MatPhase: a simulated cathode of three phases",
        _what,
        notes,
        _alt,
    )
    return compare_by(PROTOCOL, extent, page)


def _what(outcome: Outcome) -> str:
    phantom = outcome.study.recipe.phantom
    return (
        "Preset `cathode-3phase` "
        f"({' × '.join(str(n) for n in phantom.shape_zyx)} voxels); the systems learn from "
        f"{phantom.hand_labelled_slices} slices of one cathode and are scored on as many of "
        "another. MatPhase's own data are not public, and of its paper only the appendix is "
        "in detail: `matphase` is our reading. The labels are exact, so none is cleaned. "
        "`table2_nmc` has real slices." + slices_words(outcome)
    )


def notes(outcome: Outcome) -> list[str]:
    """Say what the tables say: ranks, the goal, and what MatPhase brings."""
    best = outcome.best
    found = [
        rank_words(outcome, ()),
        goal_words(f"Best mIoU ({best})", outcome.score(best), WANTED_IOU),
        ruler_words(outcome),
    ]
    if outcome.score("matphase") is not None:
        found += [
            difference_words(outcome, "matphase", ("unet", "mcd_unet")),
            "Of networks trained in stages, 'patches seen' counts the last stage alone.",
        ]
    return found


def _alt(name: str) -> str:
    if name.startswith("training"):
        return "Mean IoU on the validation slices during training"
    return "A slice of the other cathode: image, truth, and what each system made of it (simulated)"
