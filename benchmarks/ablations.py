"""What single choices bring: the loss, the encoder, the planes that are predicted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.common import Result, table
from benchmarks.comparisons import (
    RECIPES,
    Protocol,
    circumstances_of,
    extent_words,
    rank_words,
    run_protocol,
    score_tables,
)
from benchmarks.examples import read_scores
from benchmarks.extent import Extent, work_folder
from tomolith.app.run import run_study
from tomolith.app.study import Study

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
PLANES = "ablation_planes"
CHOICES = ("[xy]", "[xz]", "[yz]", "[xy, xz]", "[xy, xz, yz]")


def run(extent: Extent) -> Result:
    """Run all three, and return the page."""
    with ExitStack() as folders:
        losses, encoder = (
            run_protocol(p, extent, folders.enter_context(work_folder(extent, p.recipe)))
            for p in (LOSSES, ENCODER)
        )
        planes = list(_planes(extent, folders.enter_context(work_folder(extent, PLANES))))
        more = circumstances_of(losses, encoder)
        parts = [
            f"## Losses on thin dendrites\n\n{extent_words(losses)}",
            *score_tables(losses),
            f"## Encoder and decoder of TransforCNN\n\n{extent_words(encoder)}",
            *score_tables(encoder),
            "## Planes\n\nOne U-Net, trained on cross-sections alone, labels a held-out scan slice "
            "by slice in one plane or in several, whose logits are averaged.\n\n"
            + table(("planes", "class", "IoU", "Dice"), planes),
        ]
    return Result(
        "Ablations",
        "One choice at a time, all else equal, on simulated cells.",
        parts,
        [
            f"Losses. {rank_words(losses, ())}",
            f"Encoder. {rank_words(encoder, ())}",
            "`transforcnn-32` cuts sub-patches of 32 × 32 pixels, `transforcnn` of 16 × 16.",
        ],
        arguments=extent.arguments,
        circumstances=more,
    )


def _planes(extent: Extent, folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield planes, class, IoU and Dice."""
    changes = [f"study={folder / 'study'}"]
    if extent.threads is not None:
        changes += [f"train.threads={extent.threads}", f"predict.threads={extent.threads}"]
    if extent.is_short:
        changes += [f"train.minutes={0.05 if extent.quick else extent.minutes}"]
        changes += ["train.epochs=100000", "train.patience=null", "train.patches_per_epoch=512"]
    if extent.quick:
        changes += ["phantom.shape_zyx=[32, 300, 256]", "phantom.hand_labelled_slices=4"]
        changes += ["phantom.n_pits=2", "train.patches_per_epoch=16"]
        changes += ["predict.patch_px=32"]
    for choice in CHOICES:
        study = Study.load(RECIPES / f"{PLANES}.yaml", (*changes, f"predict.planes={choice}"))
        run_study(study, say=print, until="evaluate")
        for system, class_name, iou, dice, _ in read_scores(study, subset="test"):
            if system == "unet":  # Otsu's threshold knows no planes
                yield choice.strip("[]"), class_name, iou, dice
