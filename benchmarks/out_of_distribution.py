"""Weights of `table3_operando` on other cells and scans, and whether they notice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from benchmarks import table3_operando
from benchmarks.common import Result, table
from benchmarks.comparisons import (
    circumstances_of,
    extent_words,
    run_protocol,
)
from benchmarks.extent import Extent, work_folder
from tomolith.core import Box
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.validation import slice_logits
from tomolith.measure.reliability import Reliability
from tomolith.phantom import PhantomSettings, make_phantom
from tomolith.store.scan import Scan

PULSES = (9, 18)
SAME = "another cell, same settings"
_CONTRASTS = ("electrode", "dendrite", "deposit", "redeposit", "pit")
# What differs from the cell that was learnt from; all are of another cell.
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        SAME: {},
        "contrast × 0.7": {"contrast": 0.7},
        "contrast × 1.4": {"contrast": 1.4},
        "noise and rings × 2": {"noise": 0.04, "rings": 0.016},
        "blur 3.5 → 5 µm": {"blur_um": 5.0},
        "voxels of 2 µm": {"voxel_size_um": 2.0, "shape_zyx": (64, 200, 256)},
        "thin, winding dendrites": {
            "dendrite_radius_um": 7.0,
            "tortuosity": 0.9,
            "branching": 0.5,
        },
    }
)
_SHOWN = ("dendrite", "pit")
LEAST_IOU = 0.1  # who finds less of a class at the start has nothing to lose


@dataclass
class Found:
    """What one system did under one setting: counts, entropy and reliability."""

    counts: np.ndarray
    entropy: float
    n_pixels: int
    reliability: Reliability

    def iou(self, channel: int | None = None) -> float:
        """Return the IoU of a class, or the mean over those that occur."""
        hits = np.diag(self.counts)
        unions = self.counts.sum(0) + self.counts.sum(1) - hits
        if channel is not None:
            return float(hits[channel] / unions[channel]) if unions[channel] else float("nan")
        present = self.counts.sum(1) > 0
        return float(np.mean(hits[present] / unions[present]))

    @property
    def error_frac(self) -> float:
        """Share of the pixels that are wrong."""
        return float(1 - np.trace(self.counts) / self.counts.sum())

    @property
    def mean_entropy(self) -> float:
        """Mean entropy of the calibrated probabilities, as a share of the largest possible."""
        return self.entropy / self.n_pixels

    @property
    def calibration_error(self) -> float:
        """Expected calibration error."""
        return self.reliability.record("", "").error or 0.0


def run(extent: Extent) -> Result:
    """Train as `table3_operando` does, or take what it left in ``work``; return the page."""
    torch.set_num_threads(extent.threads or torch.get_num_threads())
    with work_folder(extent, table3_operando.PROTOCOL.recipe) as folder:
        outcome = run_protocol(table3_operando.PROTOCOL, extent, folder)
        bundles = {name: ModelBundle.load(path) for name, path in outcome.runs.items()}
        changes = dict(list(CHANGES.items())[: 2 if extent.quick else None])
        found = {
            (change, system): row
            for change, settings in changes.items()
            for system, row in _score(folder, change, settings, bundles, quick=extent.quick)
        }
        names = next(iter(bundles.values())).schema.names
        more = circumstances_of(outcome)
    return Result(
        "Out of distribution: other cells and other scans",
        "The weights of `table3_operando`, trained on scans of one simulated cell, label scans of "
        f"another one (after pulses {' and '.join(str(p) for p in PULSES)}), of which one thing "
        "differs at a time. Each scan is normalised by its own percentiles, and patches have the "
        "size in pixels that was trained. IoU is pooled over both scans.\n\n"
        + extent_words(outcome),
        [_table(found, names)],
        _notes(found, list(bundles), list(changes), names),
        arguments=extent.arguments,
        circumstances=more,
    )


def _settings(change: Mapping[str, Any], *, quick: bool) -> PhantomSettings:
    values: dict[str, Any] = {
        "preset": "operando-256",
        "n_cells": 2,
        "scans": PULSES,
        "shape_zyx": (64, 300, 256),
        "n_pits": 10,
        "hand_labelled_slices": 1,
        **{key: value for key, value in change.items() if key != "contrast"},
    }
    if quick:
        values |= {"shape_zyx": (4, *values["shape_zyx"][1:]), "n_pits": 1}
    plain = PhantomSettings()
    for name in _CONTRASTS:
        key = f"{name}_contrast"
        values[key] = min(plain.polymer_grey, getattr(plain, key) * change.get("contrast", 1.0))
    return PhantomSettings(**values)


def _score(
    folder: Path,
    change: str,
    settings: Mapping[str, Any],
    bundles: Mapping[str, ModelBundle],
    *,
    quick: bool,
) -> Iterator[tuple[str, Found]]:
    phantom = _settings(settings, quick=quick)
    slug = "".join(c if c.isalnum() else "-" for c in change)
    scans = []
    for pulse in PULSES:
        path = folder / "other" / slug / f"cell1-t{pulse:02d}.zarr"
        scans.append(Scan.open(path) if path.is_dir() else make_phantom(phantom, path))
    for system, bundle in bundles.items():
        parts = [_score_scan(bundle, scan, step=2 if quick else 8) for scan in scans]
        found = parts[0]
        for other in parts[1:]:
            found.reliability.merge(other.reliability)
            found = replace(
                found,
                counts=found.counts + other.counts,
                entropy=found.entropy + other.entropy,
                n_pixels=found.n_pixels + other.n_pixels,
            )
        yield system, found


def _score_scan(bundle: ModelBundle, scan: Scan, *, step: int) -> Found:
    """Label every ``step``-th cross-section of a scan, and compare with the truth."""
    network, n = bundle.build_network(), len(bundle.schema)
    table_of = np.full(256, n, np.uint8)
    table_of[list(bundle.schema.values)] = range(n)
    found = Found(np.zeros((n, n), np.int64), 0.0, 0, Reliability())
    depth, height, width = scan.grid.shape_zyx
    for z in range(step // 2, depth, step):
        box = Box((z, 0, 0), (z + 1, height, width))
        image = bundle.normalisation.apply(scan.image.read(box), scan.stats, z_start=z)[0]
        truth = table_of[scan.labels("truth").read(box)[0]]
        logits = slice_logits(network, image, patch_px=bundle.patch_px, batch=4)
        shares = torch.from_numpy(logits).div(bundle.temperature).softmax(dim=0).numpy()
        labels = shares.argmax(axis=0)
        pairs = truth.astype(np.int64) * n + labels
        found.counts += np.bincount(pairs.ravel(), minlength=n * n).reshape(n, n)
        entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=0) / np.log(n)
        found.entropy += float(entropy.sum())
        found.n_pixels += truth.size
        confidence = np.round(255 * shares.max(axis=0)).astype(np.uint8)
        found.reliability.update(confidence.ravel(), (labels == truth).ravel())
    return found


def _table(found: Mapping[tuple[str, str], Found], names: Sequence[str]) -> str:
    header = (
        "scan",
        "system",
        "mIoU",
        *(f"IoU of {name}" for name in _SHOWN),
        "pixels wrong",
        "mean entropy",
        "calibration error",
    )
    rows = [
        (
            change,
            system,
            f"{row.iou():.3f}",
            *(f"{row.iou(list(names).index(name)):.3f}" for name in _SHOWN),
            f"{100 * row.error_frac:.1f} %",
            f"{row.mean_entropy:.3f}",
            f"{row.calibration_error:.3f}",
        )
        for (change, system), row in found.items()
    ]
    return table(header, rows)


def _best(
    found: Mapping[tuple[str, str], Found], systems: Sequence[str], changes: Sequence[str]
) -> str:
    """Say on how many of the scans each system is the best."""
    winners = [max(systems, key=lambda s: found[change, s].iou()) for change in changes]
    counts = {name: winners.count(name) for name in systems if name in winners}
    return ", ".join(f"{name} on {n} of {len(changes)} scans" for name, n in counts.items())


def losses(name: str, ious: Mapping[tuple[str, str], float], systems: Sequence[str]) -> str:
    """Say how much of its IoU of a class each system loses on the changed scans.

    Parameters
    ----------
    name
        The class.
    ious
        By change and system.
    systems
        Those that are ranked where they reach ``LEAST_IOU`` on the unchanged cell.

    Examples
    --------
    >>> ious = {(SAME, "a"): 0.5, (SAME, "b"): 0.01, ("blur", "a"): 0.4, ("blur", "b"): 0.01}
    >>> losses("pit", ious, ["a", "b"])
    'Relative loss of IoU of pit, mean over the changed scans: a 20 %. Left out, for it is below \
0.1 on another cell, same settings: b 0.010.'
    """
    ranked = [s for s in systems if ious[SAME, s] >= LEAST_IOU]
    left = [s for s in systems if s not in ranked]
    lost = {
        s: 1
        - float(np.mean([v for (c, of), v in ious.items() if of == s and c != SAME]))
        / ious[SAME, s]
        for s in ranked
    }
    order = sorted(ranked, key=lambda s: lost[s])
    shares = ", ".join(f"{s} {100 * lost[s]:.0f} %" for s in order) or "no system is ranked"
    words = f"Relative loss of IoU of {name}, mean over the changed scans: {shares}"
    if any(lost[s] < 0 for s in ranked):
        words += " (below 0: better than on the unchanged cell)"
    if left:
        low = ", ".join(f"{s} {ious[SAME, s]:.3f}" for s in left)
        words += f". Left out, for it is below {LEAST_IOU} on {SAME}: {low}"
    return f"{words}."


def _notes(
    found: Mapping[tuple[str, str], Found],
    systems: Sequence[str],
    changes: Sequence[str],
    names: Sequence[str],
) -> list[str]:
    others = [change for change in changes if change != SAME]
    notes = [
        losses(name, {key: row.iou(list(names).index(name)) for key, row in found.items()}, systems)
        for name in _SHOWN
    ]
    notes.append(f"Best mIoU: {_best(found, systems, changes)}.")
    for s in systems:
        worse = [c for c in others if found[c, s].error_frac > found[SAME, s].error_frac]
        seen = [c for c in worse if found[c, s].mean_entropy > found[SAME, s].mean_entropy]
        sure = [c for c in worse if c not in seen]
        off = [c for c in worse if found[c, s].calibration_error > found[SAME, s].calibration_error]
        words = (
            f"{s}: more pixels are wrong than on {SAME} under {len(worse)} of {len(others)} "
            f"changes; its mean entropy rises under {len(seen)} of these"
        )
        words += f" (not: {', '.join(sure)})" if sure else ""
        notes.append(f"{words}, its calibration error rises under {len(off)}.")
    return [
        *notes,
        "Entropy is that of the calibrated probabilities, as a share of the largest possible; the "
        "temperature is the one fitted on the validation slices of training.",
        "There is no labelled real scan of a lithium cell to test on; a real scan of another "
        "grey scale and sample is in [examples_other_scan](examples_other_scan.md)."
        if (Path(__file__).resolve().parents[1] / "docs/results/examples_other_scan.md").exists()
        else "There is no labelled real scan of a lithium cell to test on; "
        "`examples_other_scan` trains on two real cathodes and tests on a third.",
    ]
