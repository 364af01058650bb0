"""What keeps the IoU of `table3_operando` below its goals: noise, or blur."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any

from benchmarks import table3_operando
from benchmarks.common import Result, table
from benchmarks.comparisons import (
    Outcome,
    circumstances_of,
    extent_words,
    ruler_words,
    run_protocol,
)
from benchmarks.extent import Extent, folder_name, work_folder
from benchmarks.found import number
from tomolith.phantom import PhantomSettings

SYSTEM = "unet"
_PLAIN = PhantomSettings(preset="operando-256")
_QUIET = {"noise": _PLAIN.noise / 4, "rings": _PLAIN.rings / 4}
_BLURRED = {"blur_um": 2 * _PLAIN.blur_um}
_SHARP = {"blur_um": _PLAIN.voxel_size_um / 2}
AS_IT_IS = "as it is"
SCANS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        AS_IT_IS: {},
        f"blur {_PLAIN.blur_um:g} → {_BLURRED['blur_um']:.2g} µm": _BLURRED,
        "noise and rings / 4": _QUIET,
        f"blur {_PLAIN.blur_um:g} → {_SHARP['blur_um']:.2g} µm": _SHARP,
        f"blur {_SHARP['blur_um']:.2g} µm, noise and rings / 4": {**_QUIET, **_SHARP},
    }
)


def run(extent: Extent) -> Result:
    """Train and score a U-Net on each kind of scan, and return the page."""
    with ExitStack() as folders:
        found = {
            name: _outcome(name, change, extent, folders)
            for name, change in list(SCANS.items())[: 2 if extent.quick else None]
        }
        plain = found[AS_IT_IS]
        return Result(
            "What limits the IoU on an operando series",
            "The protocol of `table3_operando` with its U-Net alone, on scans of the same cell of "
            "which blur, noise or both differ from the preset `operando-256`: each kind "
            "of scan is learnt from and scored for itself. Scans are held out whole.\n\n"
            + extent_words(plain),
            [_table(found)],
            [*_notes(found), ruler_words(plain)],
            arguments=extent.arguments,
            circumstances=circumstances_of(*found.values()),
        )


def _outcome(name: str, change: Mapping[str, Any], extent: Extent, folders: ExitStack) -> Outcome:
    changes = {"phantom": dict(change), "compare": {"systems": [SYSTEM]}}
    protocol = dataclasses.replace(
        table3_operando.PROTOCOL, changes=changes, short_systems=(), repeated=()
    )
    kept = work_folder(extent, f"phantom_limits/{folder_name(name)}")
    folder = folders.enter_context(kept)
    return run_protocol(protocol, extent, folder)


def _table(found: Mapping[str, Outcome]) -> str:
    names = next(iter(found.values())).study.schema.names
    rows = [
        (kind, number(outcome.score(SYSTEM)), *(number(_iou(outcome, name)) for name in names))
        for kind, outcome in found.items()
    ]
    goals = (
        f"{table3_operando.WANTED[n]:g}" if n in table3_operando.WANTED else "–" for n in names
    )
    return table(("scans", "mIoU", *names), [*rows, ("*goal*", "–", *goals)])


def _notes(found: Mapping[str, Outcome]) -> list[str]:
    said = []
    for kind, outcome in found.items():
        reached = [
            name
            for name, wanted in table3_operando.WANTED.items()
            if (_iou(outcome, name) or 0.0) >= wanted
        ]
        said.append(f"Goals reached, {kind}: {', '.join(reached) or 'none'}.")
    return said


def _iou(outcome: Outcome, class_name: str) -> float | None:
    return outcome.score(SYSTEM, "iou", class_name)
