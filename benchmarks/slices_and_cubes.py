"""Networks that see one slice, several slices or cubes, on a held-out scan."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.common import Result
from benchmarks.comparisons import last_step
from benchmarks.extent import Extent, folder_name, work_folder
from benchmarks.held_out_scan import (
    Scores,
    circumstances_of,
    extent_words,
    load_recipe,
    run_scores,
    score_table,
)

CUBE_PX = 64
# What differs of the training; the gap is as far as a network sees beyond the slice it labels.
SYSTEMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "`unet`, one slice": {"network": "unet", "gap": 1},
        "`unet`, five slices": {"network": "unet", "gap": 2, "context_slices": 2},
        "`residual_unet`, one slice": {"network": "residual_unet", "gap": 1},
        f"`residual_unet_3d`, cubes of {CUBE_PX}": {
            "network": "residual_unet_3d",
            "gap": CUBE_PX // 2,
            "patch_px": CUBE_PX,
            "batch": 1,
        },
    }
)


def run(extent: Extent) -> Result:
    """Train each network, and return the page."""
    with work_folder(extent, "slices_and_cubes") as folder:
        base = load_recipe(extent)
        found = {name: _scores(base, name, folder) for name in SYSTEMS}
        more = circumstances_of(extent, folder)
    return Result(
        "Slices, several slices, and cubes",
        "Networks that see one cross-section of a simulated cell (preset `operando-256`, half as "
        "deep), five neighbouring ones, or cubes. All learn from the same hand-labelled slices xy, "
        f"and label a scan that is held out whole. {extent_words(extent)}",
        [
            "**IoU on the hand-labelled slices of the held-out scan**\n\n"
            + score_table(found, "network")
        ],
        [
            "`residual_unet` and `residual_unet_3d` are batteryNET's network, here with the Dice "
            "loss.",
            f"A step of `residual_unet_3d` sees one cube of {CUBE_PX} voxels, in which only the "
            "hand-labelled slices, about one in five, count; one of the others sees "
            f"{base['train']['batch']} patches of {base['train']['patch_px']} pixels, of which "
            "every pixel counts.",
        ],
        arguments=extent.arguments,
        circumstances=more,
    )


def _scores(base: Mapping[str, Any], name: str, folder: Path) -> Scores:
    """Return what one network finds."""
    train = dict(SYSTEMS[name])
    split = {**base["train"]["split"], "gap": train.pop("gap")}
    recipe = {**base, "train": {**base["train"], **train, "split": split}}
    own = folder / folder_name(name)
    found = run_scores(recipe, own)
    (log,) = own.glob("study/models/*/log.csv")
    return {**found, "steps": f"{last_step(log):,}"}
