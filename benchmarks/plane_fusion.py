"""A network for each plane of the slices, and the fusion of several, on a held-out scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Result
from benchmarks.extent import Extent, work_folder
from benchmarks.held_out_scan import (
    RECIPE,
    TEST_PULSE,
    Scores,
    circumstances_of,
    extent_words,
    load_recipe,
    run_scores,
    score_table,
)

NETWORKS = ("unet", "residual_unet")
PLANES = ("xy", "yz", "xz")
FUSED = (("xy", "yz"), ("xy", "xz"), ("xy", "xz", "yz"))
SHOWN = (("yz",), ("xz",), ("xy", "xz", "yz"))  # to the U-Net that learnt from xy


def run(extent: Extent) -> Result:
    """Train a network for each plane, fuse them, and return the page."""
    with work_folder(extent, RECIPE) as folder:
        base = load_recipe(extent)
        parts = [
            f"**`{name}`, learnt from the planes that are predicted: IoU**\n\n"
            + score_table(_learnt(base, name, folder / name), "planes")
            for name in NETWORKS
        ]
        first = folder / NETWORKS[0] / "xy"
        shown = {
            " + ".join(planes): run_scores(_of_plane(base, NETWORKS[0], "xy", planes), first)
            for planes in SHOWN
        }
        more = circumstances_of(extent, folder)
    parts.append(
        f"**`{NETWORKS[0]}`, learnt from xy alone, other planes predicted: IoU**\n\n"
        + score_table(shown, "planes")
    )
    return Result(
        "Planes and their fusion",
        "The layers of a simulated cell (preset `operando-256`, half as deep) follow each other "
        "along y: slices xy and yz are cross-sections, slices xz lie in the plane of the cell. A "
        "network for each plane learns from the same hand-labelled slices xy, of which the other "
        "planes see lines, and labels a scan that is held out whole; several are fused by the "
        f"mean of their logits, as in batteryNET (Huang et al.). {extent_words(extent)}",
        parts,
        [
            "A fusion is scored with the mean temperature of its members: no slices validate them "
            "all.",
            "`residual_unet` is batteryNET's network, here with the Dice loss and the patches of "
            "the U-Net.",
        ],
        arguments=extent.arguments,
        circumstances=more,
    )


def _learnt(base: Mapping[str, Any], network: str, folder: Path) -> dict[str, Scores]:
    """Return what a network for each plane finds, and what their fusions do."""
    found = {p: run_scores(_of_plane(base, network, p), folder / p) for p in PLANES}
    for members in FUSED:
        recipe = _of_fusion(base, members, folder)
        found[" + ".join(members)] = run_scores(recipe, folder / "-".join(members))
    return found


def _of_plane(
    base: Mapping[str, Any], network: str, plane: str, planes: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the recipe that learns from one plane, and predicts it or others."""
    return {
        **base,
        "train": {**base["train"], "network": network, "plane": plane, "model": plane},
        "predict": {**base["predict"], "model": plane}
        | ({} if planes is None else {"planes": list(planes)}),
    }


def _of_fusion(base: Mapping[str, Any], members: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return the recipe that fuses what was learnt, on the held-out scan alone."""
    models = [str(folder / plane / "study" / "models" / plane) for plane in members]
    return {
        **{key: value for key, value in base.items() if key != "train"},
        "phantom": {**base["phantom"], "scans": [TEST_PULSE]},
        "ensemble": {"members": models, "weights": [1] * len(models), "model": "fused"},
        "predict": {**base["predict"], "model": "fused"},
    }
