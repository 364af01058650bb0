"""What single choices bring: the loss, and the encoder and decoder of TransforCNN."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.common import Result
from benchmarks.comparisons import (
    Protocol,
    circumstances_of,
    extent_words,
    rank_words,
    run_protocol,
    score_tables,
)
from benchmarks.extent import Extent, work_folder

LOSSES = Protocol(
    "ablation_losses",
    short={"compare": {"train": {"batch": 4}}},
    quick={"phantom": {"shape_zyx": [8, 300, 256], "hand_labelled_slices": 4, "n_pits": 2}},
)
ENCODER = Protocol(
    "ablation_encoder",
    short={"compare": {"train": {"batch": 8}}},
    quick={"phantom": {"n_cells": 1, "scans": [12], "shape_zyx": [32, 300, 256], "n_patches": 60}},
)


def run(extent: Extent) -> Result:
    """Run both, and return the page."""
    with ExitStack() as folders:
        losses, encoder = (
            run_protocol(p, extent, folders.enter_context(work_folder(extent, p.recipe)))
            for p in (LOSSES, ENCODER)
        )
        more = circumstances_of(losses, encoder)
        parts = [
            f"## Losses on thin dendrites\n\n{extent_words(losses)}",
            *score_tables(losses),
            f"## Encoder and decoder of TransforCNN\n\n{extent_words(encoder)}",
            *score_tables(encoder),
        ]
    return Result(
        "Ablations",
        "One choice at a time, all else equal, on simulated cells whose scans are blurred over 2.6 "
        "voxels, twice as much as the presets (ADR 0007).",
        parts,
        [
            f"Losses. {rank_words(losses, ())}",
            f"Encoder. {rank_words(encoder, ())}",
            "`transforcnn-32` cuts sub-patches of 32 × 32 pixels, `transforcnn` of 16 × 16. `unet` "
            "stands for the encoder replaced by the U-Net's: convolutions down from the image in "
            "the place of the transformer.",
            "Planes and their fusion have a page of their own, `plane_fusion`.",
        ],
        arguments=extent.arguments,
        circumstances=more,
    )
