"""How hard the phantom is: multi-Otsu and a random forest on every preset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import Result, table
from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.learn.classical import ForestSettings, OtsuBaseline, fit_forest
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.phantom import PHANTOM_PRESETS, CathodeSettings, PhantomSettings, make_phantom
from tomolith.phantom.patches import write_patches
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
N_PATCHES = 100  # of single patches, to learn from and to score
LARGEST_VOX, LARGEST_QUICK_VOX = 2**28, 2**23  # scans are written whole


@dataclass(frozen=True)
class _Slices:
    """Slices of a scan to learn from or to score on, and the name of their labels."""

    scan: Scan
    label_name: str
    boxes: tuple[Box, ...]

    @property
    def image(self) -> Volume:
        return self.scan.image

    @property
    def labels(self) -> LabelMap:
        return self.scan.labels(self.label_name)


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
            rows += _table_rows(preset, "all", _score_patches(settings, quick=quick))
            continue
        n_voxels = settings.grid.n_voxels
        if n_voxels > limit:
            notes.append(f"`{preset}` was left out: {n_voxels} voxels, more than {limit}.")
            continue
        for pulse, names in case.scans.items():
            with tempfile.TemporaryDirectory() as made:
                first, second = (make_phantom(settings, Path(made) / f"{n}.zarr") for n in names)
                n_scored = min(4 if quick else N_SCORED, second.grid.shape_zyx[0])
                learnt = _Slices(first, "hand", tuple(_labelled(first)))
                scored = _Slices(second, "truth", _spread(second, 0, 1, n_scored))
                scores = _score(learnt, scored, quick=quick)
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
        "cathode has no pulses: one is learned from, another one scored. Of the single patches of "
        f"`binary-128`, {N_PATCHES} of the first 80 % are learned from and as many of the last "
        "10 % scored; their lithium is dendrite and redeposited Li together."
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


def _score_patches(settings: PhantomSettings, *, quick: bool) -> Scores:
    """Learn from patches of the first 80 % of a set, and score others of the last 10 %."""
    if quick:
        settings = settings.model_copy(update={"n_patches": 100})
    with tempfile.TemporaryDirectory() as made:
        schema = PRESETS["li-binary"]
        patches = write_patches(settings, Path(made) / "patches.zarr", schema=schema)
        learnt = _Slices(patches, "truth", _spread(patches, 0, 0.8, 10 if quick else N_PATCHES))
        scored = _Slices(patches, "truth", _spread(patches, 0.9, 1, 10 if quick else N_PATCHES))
        return _score(learnt, scored, quick=quick)


def _spread(scan: Scan, start: float, stop: float, n: int) -> tuple[Box, ...]:
    """Return cross-sections spread evenly over a part of the scan, given as shares of it."""
    n_z = scan.grid.shape_zyx[0]
    share = (stop - start) / n
    return tuple(_plane(scan, int(n_z * (start + (i + 0.5) * share))) for i in range(n))


def _score(learnt: _Slices, scored: _Slices, *, quick: bool) -> Scores:
    truth = _stack([scored.labels.read(box) for box in scored.boxes], scored)
    predicted = {
        "otsu": _otsu(learnt, scored),
        "forest-8": _forest(learnt, scored, settings=_settings(8, quick=quick)),
        "forest-16": _forest(learnt, scored, settings=_settings(16, quick=quick)),
    }
    pairs = [
        Pair(scored.scan.id, _stack(labels, scored), truth, (truth.grid.box,), "test", system)
        for system, labels in predicted.items()
    ]
    return evaluate(pairs, EvaluateSettings(metrics=["iou"]))


def _otsu(learnt: _Slices, scored: _Slices) -> list[np.ndarray]:
    otsu = OtsuBaseline.fit([learnt])
    thresholds = otsu.thresholds(scored.image)
    return [otsu.predict_box(scored.image, box, thresholds) for box in scored.boxes]


def _settings(sigma_max: float, *, quick: bool) -> ForestSettings:
    if quick:
        return ForestSettings(sigma_max=sigma_max, n_trees=30, max_pixels=30_000)
    return ForestSettings(sigma_max=sigma_max)


def _forest(learnt: _Slices, scored: _Slices, *, settings: ForestSettings) -> list[np.ndarray]:
    forest = fit_forest(
        [_grey(learnt.image, box) for box in learnt.boxes],
        [learnt.labels.read(box)[0] for box in learnt.boxes],
        schema=learnt.labels.schema,
        settings=settings,
    )
    return [forest.predict(_grey(scored.image, box))[None] for box in scored.boxes]


def _grey(image: Volume, box: Box) -> np.ndarray:
    """Return a plane as shares of the full grey range."""
    return image.read(box)[0] / np.float32(np.iinfo(image.dtype).max)


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


def _stack(planes: list[np.ndarray], slices: _Slices) -> LabelMap:
    array = np.concatenate(planes)
    return LabelMap(Volume(array, Grid(array.shape, None)), slices.labels.schema)


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
