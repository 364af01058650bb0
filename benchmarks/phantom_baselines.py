"""How hard the phantom is: multi-Otsu and a random forest on every preset with whole scans."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import Result, table
from tomolith.core import Box, Grid, LabelMap, Volume
from tomolith.learn.classical import ForestSettings, OtsuBaseline, fit_forest
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.phantom import PHANTOM_PRESETS, CathodeSettings, PhantomSettings, make_phantom
from tomolith.phantom.settings import scan_name
from tomolith.store.scan import Scan

HARD_BELOW = 0.5  # the IoU of dendrites that none may reach
PULSES = (12, 24)  # after charge, and after discharge, when some Li is redeposited
SYSTEMS = {
    "otsu": "multi-Otsu",
    "forest-8": "random forest, blurs to 8 px",
    "forest-16": "random forest, blurs to 16 px",
}
N_SCORED = 24
LARGEST_VOX, LARGEST_QUICK_VOX = 2**28, 2**23  # scans are written whole


@dataclass(frozen=True)
class _TrainingSlices:
    image: Volume
    labels: LabelMap
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class _Case:
    """A preset, and by pulse the scan to learn from and the one to score."""

    settings: PhantomSettings | CathodeSettings
    scans: dict[str, tuple[str, ...]]


def run(*, quick: bool) -> Result:
    """Score the baselines on every preset, and return the page."""
    limit = LARGEST_QUICK_VOX if quick else LARGEST_VOX
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for case in _cases():
        settings, preset = case.settings, case.settings.preset
        if getattr(settings, "n_patches", None) is not None:
            notes.append(f"`{preset}` was left out: single patches, no cells.")
            continue
        n_voxels = settings.grid.n_voxels
        if n_voxels > limit:
            notes.append(f"`{preset}` was left out: {n_voxels} voxels, more than {limit}.")
            continue
        for pulse, names in case.scans.items():
            with tempfile.TemporaryDirectory() as made:
                first, second = (make_phantom(settings, Path(made) / f"{n}.zarr") for n in names)
                scores = _score(first, second, n_scored=4 if quick else N_SCORED, quick=quick)
            rows += _table_rows(preset, pulse, scores)
            if isinstance(settings, PhantomSettings):
                notes.append(_verdict(preset, pulse, scores))
    what = (
        "Of every preset, two simulated cells are scanned after the last pulse of charge (pulse "
        f"{PULSES[0]}) and of discharge (pulse {PULSES[1]}). Multi-Otsu (which class a grey range "
        "stands for) and random forests (local features of each slice at several scales, "
        "scikit-image and scikit-learn; to 8 px by default, and to 16 px) learn from the "
        "hand-labelled cross-sections of the first cell; all are scored against the truth on "
        "evenly spread cross-sections of the second one after the same pulse. A phantom worth "
        f"training a network on must be hard for all of them: dendrites below {HARD_BELOW} IoU. A "
        "cathode has no pulses: one is learned from, another one scored."
    )
    header = ("preset", "pulse", "class", *(f"{name}, IoU" for name in SYSTEMS.values()))
    return Result("Classical methods on the phantom", what, [table(header, rows)], notes)


def _cases() -> Iterator[_Case]:
    """Yield all presets, each with two scans per state."""
    for preset in PHANTOM_PRESETS:
        settings = PhantomSettings(preset=preset, n_cells=2, scans=PULSES)
        scans = {str(pulse): (scan_name(0, pulse), scan_name(1, pulse)) for pulse in PULSES}
        yield _Case(settings, scans)
    cathodes = CathodeSettings(n_cathodes=2)
    yield _Case(cathodes, {"–": cathodes.scan_ids})


def _score(first: Scan, second: Scan, *, n_scored: int, quick: bool) -> Scores:
    n_z = second.grid.shape_zyx[0]
    n_scored = min(n_scored, n_z)
    scored = [_plane(second, (2 * i + 1) * n_z // (2 * n_scored)) for i in range(n_scored)]
    truth = _stack([second.labels("truth").read(box) for box in scored], second)
    predicted = {
        "otsu": _otsu(first, second, scored),
        "forest-8": _forest(first, second, scored, settings=_settings(8, quick=quick)),
        "forest-16": _forest(first, second, scored, settings=_settings(16, quick=quick)),
    }
    pairs = [
        Pair(second.id, _stack(labels, second), truth, (truth.grid.box,), "test", system)
        for system, labels in predicted.items()
    ]
    return evaluate(pairs, EvaluateSettings(metrics=["iou"]))


def _otsu(first: Scan, second: Scan, scored: list[Box]) -> list[np.ndarray]:
    hand = first.labels("hand")
    otsu = OtsuBaseline.fit([_TrainingSlices(first.image, hand, tuple(_labelled(first)))])
    thresholds = otsu.thresholds(second.image)
    return [otsu.predict_box(second.image, box, thresholds) for box in scored]


def _settings(sigma_max: float, *, quick: bool) -> ForestSettings:
    if quick:
        return ForestSettings(sigma_max=sigma_max, n_trees=30, max_pixels=30_000)
    return ForestSettings(sigma_max=sigma_max)


def _forest(
    first: Scan, second: Scan, scored: list[Box], *, settings: ForestSettings
) -> list[np.ndarray]:
    hand, planes = first.labels("hand"), list(_labelled(first))
    forest = fit_forest(
        [_grey(first, box) for box in planes],
        [hand.read(box)[0] for box in planes],
        schema=hand.schema,
        settings=settings,
    )
    return [forest.predict(_grey(second, box))[None] for box in scored]


def _grey(scan: Scan, box: Box) -> np.ndarray:
    """Return a plane as shares of the full grey range."""
    return scan.image.read(box)[0] / np.float32(np.iinfo(scan.image.dtype).max)


def _plane(scan: Scan, z: int) -> Box:
    _, y, x = scan.grid.shape_zyx
    return Box((z, 0, 0), (z + 1, y, x))


def _labelled(scan: Scan) -> Iterator[Box]:
    """Yield the cross-sections that are labelled as a whole."""
    hand = scan.labels("hand")
    for z in range(scan.grid.shape_zyx[0]):
        box = _plane(scan, z)
        if (hand.read(box) != hand.schema.unlabelled).all():
            yield box


def _stack(planes: list[np.ndarray], scan: Scan) -> LabelMap:
    array = np.concatenate(planes)
    return LabelMap(Volume(array, Grid(array.shape, None)), scan.labels("truth").schema)


def _table_rows(preset: str, pulse: str, scores: Scores) -> Iterator[tuple[str, ...]]:
    """Yield a row for the mean and for each class that occurs."""
    for name in dict.fromkeys(row.class_name for row in scores.rows):
        ious = [
            scores.value("iou", system=system, subset="test", class_name=name) for system in SYSTEMS
        ]
        if any(iou is not None for iou in ious):
            texts = ("–" if iou is None else f"{iou:.3f}" for iou in ious)
            yield (f"`{preset}`", pulse, name or "mean", *texts)


def _verdict(preset: str, pulse: str, scores: Scores) -> str:
    reached = {
        title: scores.value("iou", system=system, subset="test", class_name="dendrite") or 0.0
        for system, title in SYSTEMS.items()
    }
    text = ", ".join(f"{title} {value:.3f}" for title, value in reached.items())
    hard = max(reached.values()) < HARD_BELOW
    verdict = f"all stay below {HARD_BELOW}" if hard else f"NOT all below {HARD_BELOW}"
    return f"`{preset}`, pulse {pulse}: IoU of dendrites {text}: {verdict}."
