"""U-Net, Y-Net, TransforCNN, E-Net and classical methods on 4433 simulated binary patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.common import Result
from benchmarks.comparison_page import Page, compare_by
from benchmarks.comparisons import (
    Outcome,
    Protocol,
    difference_words,
    goal_words,
    rank_words,
    ruler_words,
    winner_words,
)
from benchmarks.extent import Extent

WANTED_IOU, WANTED_DICE = 0.951, 0.965
NETWORKS = ("unet", "ynet", "transforcnn", "transforcnn-light", "e-net", "e-net-light")
PUBLISHED = ("unet", "ynet", "transforcnn", "e-net-paper")
SINGLE = tuple(name for name in NETWORKS if not name.startswith("e-net"))
PROTOCOL = Protocol(
    "table1_binary",
    # the same number of pixels a step in half the time: more steps within the minutes
    short={"compare": {"train": {"batch": 8}}},
    quick={"phantom": {"n_cells": 1, "scans": [12], "shape_zyx": [32, 300, 256], "n_patches": 60}},
)


def run(extent: Extent) -> Result:
    """Run the protocol, and return the page."""
    page = Page(
        "table1_binary", "Table 1: binary segmentation of simulated patches", _what, notes, _alt
    )
    return compare_by(PROTOCOL, extent, page)


def _what(_: Outcome) -> str:
    return (
        "The protocol of Table 1 of the TransforCNN paper, on the phantom: 4433 patches of "
        "128 × 128 pixels of ten simulated cells (preset `binary-128`), eight cells to train, "
        "one to validate, one to test, binary cross-entropy, the paper's augmentation. Otsu's "
        "threshold and a random forest learn from the same patches. `e-net` searches its "
        "weights on the validation patches, `e-net-paper` has 0.2 and 0.8; TransforCNN has the "
        "decoder `light` where a name says so (see `latency`)."
    )


def notes(outcome: Outcome) -> list[str]:
    """Say what the tables say: ranks, goals, and how far the paper's data differ."""
    best = outcome.best
    return [
        rank_words(outcome, NETWORKS),
        *_blind(outcome),
        *_winner(outcome, PUBLISHED, "Of the systems as published, E-Net with the paper's weights"),
        *_winner(outcome, SINGLE, "Of single networks"),
        goal_words(f"Best mIoU ({best})", outcome.score(best), WANTED_IOU),
        goal_words(f"Its mDSC ({best})", outcome.score(best, "dice"), WANTED_DICE),
        *_differences(outcome),
        ruler_words(outcome),
        "The paper's patches are of real scans, at random 80/10/10, so that patches of one cell "
        "lie on both sides; here a cell is either learnt from or tested on. The numbers cannot be "
        "held against the paper's.",
        "The best weights are chosen on evenly spread validation patches, at least 16 and at most "
        "an eighth of the patches between two looks (`train.validation_pixels`); E-Net's "
        "weights are searched on all of them.",
    ]


def _blind(outcome: Outcome) -> Iterator[str]:
    """Say why a threshold may find nothing."""
    if outcome.score("otsu", "iou", "lithium") == 0:
        yield (
            "`otsu` finds no lithium: parting the training patches at its threshold gives no "
            "better mean IoU than calling all of them background."
        )


def _winner(outcome: Outcome, names: Sequence[str], which: str) -> Iterator[str]:
    """Say which of some systems wins, where there are several."""
    ranked = outcome.scored([s.name for s in outcome.comparison.ranked if s.name in names])
    if len(ranked) > 1:
        yield f"{which}: {winner_words(ranked)}"


def _differences(outcome: Outcome) -> Iterator[str]:
    """Say what the decoder ``light`` brings, where it was measured beside the other."""
    for light, other in (("transforcnn-light", "transforcnn"), ("e-net-light", "e-net")):
        if outcome.score(light) is not None and outcome.score(other) is not None:
            yield difference_words(outcome, light, (other,))


def _alt(name: str) -> str:
    if name.startswith("training"):
        return "Mean IoU on the validation patches during training"
    return "A test patch: scan, truth, and what each system made of it (simulated)"
