"""Whether the 95 % intervals of class volumes cover the truth, on simulated cells."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import Result, table
from tomolith.core import PRESETS, Box, Interval, Measurement
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.examples import Example
from tomolith.learn.predict import predict
from tomolith.learn.settings import PredictSettings, TrainSettings
from tomolith.learn.train import train
from tomolith.measure.evaluate import EvaluateSettings, Pair, evaluate
from tomolith.measure.held_out import HeldOut
from tomolith.measure.intervals.attach import attach_intervals, class_intervals
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.phantom import PhantomSettings
from tomolith.phantom.settings import scan_name
from tomolith.phantom.simulate import make_phantom
from tomolith.store.scan import Scan

SCHEMA = PRESETS["li-operando"]
TEST_SEEDS = tuple(range(1, 21))
HELD_OUT_SEEDS = tuple(range(101, 125))
TRAIN_SEEDS, VALIDATION_SEED = (201, 202, 203, 204, 205), 206
N_MEMBERS = 3
MINUTES, EPOCHS_OF_OTHERS = 5.0, 4  # of the network that is measured, of the other two
N_SLICES, N_OWN_SLICES = 4, 8
SUBSETS = {
    "all together": ("confusion", "probabilities", "ensemble", "boundary"),
    "confusion": ("confusion",),
    "probabilities": ("probabilities",),
    "boundary": ("boundary",),
}
ALONE = {
    "probabilities at their word": ("probabilities",),
    "these and boundary, no labels": ("probabilities", "boundary"),
}
GOAL = (0.90, 0.99)
QUANTITIES = {"quantities": ["voxel_count", "volume", "boundary_volume"]}
_PREDICT = {"threads": 1, "workers": 1, "executor": "serial", "device": "cpu"}


@dataclass(frozen=True)
class Case:
    """One class of one scan: its interval by some sources, what was counted, and the truth."""

    how: str
    class_name: str
    interval: Interval
    counted_um3: float
    truth_um3: float

    @property
    def is_covered(self) -> bool:
        """Return whether the interval holds the truth."""
        return self.interval.low <= self.truth_um3 <= self.interval.high


def run(*, quick: bool) -> Result:
    """Train, predict, and return the page."""
    folder = Path(tempfile.gettempdir()) / f"tomolith-volume-intervals{'-quick' if quick else ''}"
    test, held_seeds = (
        (TEST_SEEDS[:2], HELD_OUT_SEEDS[:3]) if quick else (TEST_SEEDS, HELD_OUT_SEEDS)
    )
    bundles = [_member(folder, i, quick=quick) for i in range(N_MEMBERS)]
    held = [_predicted(s, bundles[:1]) for seed in held_seeds for s in _one_of(folder, seed)]
    record = _held_out(held, N_SLICES)
    cases: list[Case] = []
    for seed in test:
        for scan in _scans(folder, seed):
            cases += _cases(_predicted(scan, bundles[:1]), record)
        for scan in _one_of(folder, seed):
            cases += _of_ensemble(_predicted(scan, bundles))
    return Result(
        "Do the error bars of volumes hold?",
        _what(len(test), len(held)),
        [_coverage(cases), _widths(cases), _overlap(record)],
        _notes(cases),
    )


def cell(seed: int) -> PhantomSettings:
    """Return one cell of the family: pulses, pits, share of dendrites and noise by its seed."""
    rng = np.random.default_rng(seed)
    pulses = (int(rng.integers(6, 13)), int(rng.integers(16, 25)))
    return PhantomSettings(
        preset="tiny",
        seed=seed,
        scans=pulses,
        shape_zyx=(64, 64, 96),
        n_pits=int(rng.integers(22, 33)),
        dendrite_share=round(float(rng.uniform(0.3, 0.6)), 3),
        noise=round(float(rng.uniform(0.006, 0.014)), 4),
        drift=0.015,
        pit_contrast=0.28,
        electrode_contrast=0.18,
        deposit_contrast=0.10,
        redeposit_contrast=0.07,
    )


def _scans(folder: Path, seed: int) -> Iterator[Scan]:
    """Yield the two scans of a cell, one of the charge and one of the discharge; made once."""
    settings = cell(seed)
    for pulse in settings.scans:
        path = folder / f"seed{seed:03d}-t{pulse:02d}.zarr"
        made = path.with_suffix(".made")
        if not made.exists():
            make_phantom(settings, path, scan_id=scan_name(0, pulse))
            made.touch()
        yield Scan.open(path)


def _one_of(folder: Path, seed: int) -> Sequence[Scan]:
    """Return one scan of a cell, in turn of the charge and of the discharge."""
    scans = list(_scans(folder, seed))
    return scans[seed % 2 : seed % 2 + 1]


def _member(folder: Path, member: int, *, quick: bool) -> ModelBundle:
    path = folder / f"model{member}"
    if (path / "model.yaml").exists():
        return ModelBundle.load(path)
    scans = {
        s.path.stem: s for seed in (*TRAIN_SEEDS, VALIDATION_SEED) for s in _scans(folder, seed)
    }
    examples = [Example(name, s.image, s.labels("truth"), s.stats) for name, s in scans.items()]
    kept = [name for name in scans if name.startswith(f"seed{VALIDATION_SEED}")]
    settings = TrainSettings(
        network={"name": "unet", "channels": 12},
        minutes=0.2 if quick else None if member else MINUTES,
        epochs=EPOCHS_OF_OTHERS if member else 500,
        patience=None,
        batch=8,
        patch_px=64,
        balance=0.5,
        split={"validation": kept, "test_frac": 0},
        seed=member,
        threads=1,
        device="cpu",
        precision="fp32",
    )
    return train(examples, settings, path, schema=SCHEMA).bundle


def _predicted(scan: Scan, bundles: Sequence[ModelBundle]) -> Scan:
    for i, bundle in enumerate(bundles):
        settings = PredictSettings(probabilities=i == 0, **_PREDICT)
        predict(scan, bundle, settings, name=f"prediction{i}")
    return scan


def _held_out(scans: Sequence[Scan], n_slices: int) -> HeldOut:
    """Return what ``evaluate`` leaves of evenly spread slices of these scans."""
    pairs = []
    for scan in scans:
        n_z, n_y, n_x = scan.grid.shape_zyx
        zs = [round((i + 0.5) * n_z / n_slices - 0.5) for i in range(n_slices)]
        boxes = tuple(Box((z, 0, 0), (z + 1, n_y, n_x)) for z in zs)
        shares = scan.extra("probabilities/prediction0")
        labels = scan.labels("prediction0"), scan.labels("truth")
        pairs.append(Pair(scan.id, *labels, boxes, "test", "unet", shares))
    (record,) = evaluate(pairs, EvaluateSettings(metrics=["iou"])).held_out
    return record


def _cases(scan: Scan, record: HeldOut) -> Iterator[Case]:
    """Yield every class of one scan, by each set of sources."""
    known = _Known.of(scan)
    for how, sources in SUBSETS.items():
        yield from known.cases(how, {"sources": sources}, record)
    for how, sources in ALONE.items():
        yield from known.cases(how, {"sources": sources}, None)
    own = _held_out([scan], N_OWN_SLICES)
    yield from known.cases(f"{N_OWN_SLICES} slices of the scan itself", {}, own)


def _of_ensemble(scan: Scan) -> Iterator[Case]:
    members = [f"prediction{i}" for i in range(N_MEMBERS)]
    chosen = {"sources": ["ensemble"], "ensemble": members}
    yield from _Known.of(scan).cases("ensemble", chosen, None)


@dataclass(frozen=True)
class _Known:
    """A scan, measured by its true labels and by those predicted."""

    scan: Scan
    truth: Sequence[Measurement]
    found: Sequence[Measurement]

    @classmethod
    def of(cls, scan: Scan) -> _Known:
        settings = MeasureSettings.model_validate(QUANTITIES)
        maps = (scan.labels(name) for name in ("truth", "prediction0"))
        return cls(scan, *(measure(labels, settings, region=scan.id) for labels in maps))

    def cases(
        self, how: str, uncertainty: Mapping[str, object], record: HeldOut | None
    ) -> Iterator[Case]:
        """Yield every class by some sources."""
        settings = MeasureSettings.model_validate({**QUANTITIES, "uncertainty": uncertainty})
        true, counted = (
            {m.region: float(m.value or 0) for m in numbers if m.name == "volume"}
            for numbers in (self.truth, self.found)
        )
        numbers = attach_intervals(self.found, self.scan, "prediction0", settings, held_out=record)
        for place, interval in class_intervals(numbers).items():
            name = place.rpartition("/")[2]
            yield Case(how, name, interval, counted[place], true[place])


def _share(cases: Sequence[Case]) -> str:
    return f"{np.mean([c.is_covered for c in cases]):.3f}"


def _coverage(cases: Sequence[Case]) -> str:
    """Return the share of covered truths, by sources and class."""
    rows = []
    for how in dict.fromkeys(c.how for c in cases):
        here = [c for c in cases if c.how == how]
        each = [_share([c for c in here if c.class_name == n]) for n in SCHEMA.names]
        rows.append((how, _share(here), *each))
    return "## Share of intervals that hold the true volume\n\n" + table(
        ("sources", "all", *SCHEMA.names), rows
    )


def _widths(cases: Sequence[Case]) -> str:
    """Return the half widths and the errors, as shares of the mean true volume of the class."""
    rows = []
    for how in dict.fromkeys(c.how for c in cases):
        row = [how]
        for name in SCHEMA.names:
            here = [c for c in cases if (c.how, c.class_name) == (how, name)]
            mean = np.mean([c.truth_um3 for c in here])
            row.append(f"{100 * np.median([c.interval.half_width for c in here]) / mean:.1f} %")
        rows.append(row)
    last: list[str] = ["error of the counted volume (rms)"]
    for name in SCHEMA.names:
        here = [c for c in cases if (c.how, c.class_name) == ("all together", name)]
        square = np.mean([(c.counted_um3 - c.truth_um3) ** 2 for c in here])
        last.append(f"{100 * np.sqrt(square) / np.mean([c.truth_um3 for c in here]):.1f} %")
    return "## Median half width, as a share of the mean true volume of the class\n\n" + table(
        ("sources", *SCHEMA.names), [*rows, last]
    )


def _overlap(record: HeldOut) -> str:
    """Return how good the network is, on the held-out slices."""
    counts = np.sum([s.counts for s in record.slices], axis=0)
    right = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - right
    iou = [f"{r / max(u, 1):.2f}" for r, u in zip(right, union, strict=True)]
    return "## The network: IoU on the held-out slices\n\n" + table(SCHEMA.names, [iou])


def _what(n_test: int, n_held: int) -> str:
    return (
        f"{n_test} simulated cells, each scanned once during charge and once during discharge "
        "(64 × 64 × 96 voxels; pulses, pits, dendrites and noise differ from cell to cell; less "
        "noise and more contrast of pits than in the preset `tiny`), are "
        f"segmented by a small U-Net that learned from {len(TRAIN_SEEDS)} other cells. "
        f"{N_SLICES} slices of one scan of each of {n_held} further cells are held-out labels. "
        "Every class volume of every test scan gets its 95 % interval from each source alone, from "
        "all together (the default), from what is there without labels, and with "
        f"{N_OWN_SLICES} labelled slices of the scan itself instead of those of other cells; "
        f"`ensemble` is of this network (trained for {MINUTES:g} min on one thread) and two others "
        f"({EPOCHS_OF_OTHERS} epochs), on one scan of each cell. "
        "Counted is how often the true volume lies within; the goal is "
        f"{GOAL[0]:.0%} to {GOAL[1]:.0%} by the default. Methods "
        "were chosen on cells of other seeds (101 to 124, 301 to 312 and 401 to 425), never on "
        "these; but that a correction that is the same for all scans gave intervals of deposited "
        "and redeposited Li that held all truths of these cells was known when it was replaced."
    )


def _notes(cases: Sequence[Case]) -> tuple[str, ...]:
    whole = [c for c in cases if c.how == "all together"]
    share = float(np.mean([c.is_covered for c in whole]))
    reached = GOAL[0] <= share <= GOAL[1]
    by_class: Mapping[str, float] = {
        n: float(np.mean([c.is_covered for c in whole if c.class_name == n])) for n in SCHEMA.names
    }
    outside = [n for n, v in by_class.items() if not GOAL[0] <= v <= GOAL[1]]
    verdict = "within" if reached else "outside"
    classes = (
        "each class by itself too"
        if not outside
        else "by itself not: " + ", ".join(f"{n} {by_class[n]:.3f}" for n in outside)
    )
    return (
        f"By default {share:.3f} of {len(whole)} intervals hold the truth, {verdict} the goal; "
        f"{classes}.",
        "Each class has as many intervals as there are scans, 40: one interval more or less is "
        "2.5 %, and by chance alone a share of 0.95 comes out between 0.875 and 1.",
        "The two scans of a cell show the same pits and dendrites at two times, so that they are "
        "no independent trials.",
        "`ensemble` and `boundary` alone do not know how wrong the labels are: each is one cause. "
        "In voxels of 5.3 µm half a voxel is much; in finer ones it covers less.",
        "Training is limited by time: on a faster machine the network is better, and the intervals "
        "narrower.",
    )
