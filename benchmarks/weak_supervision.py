"""Weak supervision at 1, 3 and 10 labelled slices: what unlabelled slices bring."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Result, table
from benchmarks.extent import Extent, work_folder
from tomolith.core import Box, LabelMap, Volume
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.labellers import NetworkLabeller
from tomolith.learn.examples import Example
from tomolith.learn.settings import PredictSettings, TrainSettings
from tomolith.learn.train import train
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, evaluate
from tomolith.phantom import PhantomSettings, make_phantom
from tomolith.store.scan import Scan

METHODS = {
    "none": "labels alone",
    "pseudo_labels": "pseudo-labels",
    "mean_teacher": "mean teacher",
}
N_LABELLED = (1, 3, 10)
LEARNT, VALIDATED, TESTED = (18, 12, 6), (21,), (9, 15)  # pulses after which the scans are taken
N_VALIDATION, N_TEST = 3, 12  # slices of each such scan
MISSED_BELOW = 0.1
COMMON: dict[str, Any] = {
    "patch_px": 128,
    "batch": 8,
    "balance": 0.5,  # half of the patches evenly over the classes: dendrites are rare
    "loss": "dice",  # of labelled pixels; cross-entropy is slow to find rare classes
    "augment": {"rotate_deg": 10, "zoom": [0.9, 1.1], "flip": "left-right"},
    "patience": None,
    "patches_per_epoch": 256,
}
SMALL = {
    "network": {"name": "unet", "channels": 8, "depth": 3},
    "patches_per_epoch": 64,
    "patch_px": 96,
    "batch": 4,
}
TINY = {
    "network": {"name": "unet", "channels": 4, "depth": 2},
    "patches_per_epoch": 8,
    "patch_px": 32,
    "epochs": 1,
}


@dataclass(frozen=True)
class Outcome:
    """One training: its scores on the test scans and its CPU time."""

    method: str
    n_labelled: int
    seed: int
    scores: Scores
    cpu_s: float
    n_steps: int

    def iou(self, class_name: str = "") -> float | None:
        """Return the pooled IoU of a class, or the mean over the classes."""
        return self.scores.value("iou", system=self.method, subset="test", class_name=class_name)


def run(extent: Extent) -> Result:
    """Train with each method on few labelled slices, and return the page."""
    if extent.systems:
        raise ValueError("weak_supervision compares no systems")
    own = {**COMMON, "threads": extent.threads}
    with work_folder(extent, "weak_supervision") as folder:
        scans = _scans(folder / "scans", quick=extent.quick)
        if extent.quick:
            own |= TINY
        elif extent.minutes:
            own |= SMALL
            own["epochs"] = _epochs(scans, own, minutes=extent.minutes, folder=folder)
        n_seeds = extent.seeds or (1 if extent.is_short else 3)
        cases = itertools.product(N_LABELLED, METHODS, range(n_seeds))
        found = [_outcome(scans, own, case, folder=folder) for case in cases]
    return Result(
        "Weak supervision: 1, 3 and 10 labelled slices",
        _what(scans, own, found, extent=extent),
        [_mean_table(found), _class_table(found)],
        [*_gains(found), *_missed(found), *_caveats(short=n_seeds == 1)],
        arguments=extent.arguments,
        circumstances=[("seeds", ", ".join(str(seed) for seed in range(n_seeds)))],
    )


def _scans(folder: Path, *, quick: bool) -> dict[int, Scan]:
    """Return the scans by pulse, simulated unless they are there."""
    pulses = tuple(sorted((*LEARNT, *VALIDATED, *TESTED)))
    size = {"shape_zyx": (12, 152, 64), "n_pits": 6} if quick else {}
    settings = PhantomSettings(preset="demo", scans=pulses, **size)
    found = {}
    for pulse, name in zip(pulses, settings.scan_ids, strict=True):
        path = folder / f"{name}.zarr"
        if not path.exists():
            make_phantom(settings, path)
        found[pulse] = Scan.open(path)
    return found


def _spread(n_z: int, n: int) -> list[int]:
    """Return n slices, evenly spread."""
    return [int(n_z * (i + 0.5) / n) for i in range(n)]


def _labelled(n: int, n_z: int) -> dict[int, list[int]]:
    """Return the labelled slices by pulse: the first scan gets the first one.

    Examples
    --------
    >>> _labelled(1, 96), [len(z) for z in _labelled(10, 96).values()]
    ({18: [48]}, [4, 3, 3])
    """
    counts = [n // 3 + (i < n % 3) for i in range(3)]
    pairs = zip(LEARNT, counts, strict=True)
    return {pulse: _spread(n_z, count) for pulse, count in pairs if count}


def _examples(scans: dict[int, Scan], n_labelled: int) -> list[Example]:
    """Return the scans to learn from, with so many slices labelled, and those that validate."""
    n_z = next(iter(scans.values())).grid.shape_zyx[0]
    wanted = _labelled(n_labelled, n_z)
    chosen = {pulse: wanted.get(pulse, []) for pulse in LEARNT}
    chosen |= {pulse: _spread(n_z, N_VALIDATION) for pulse in VALIDATED}
    found = []
    for pulse, slices in chosen.items():
        scan = scans[pulse]
        schema = scan.labels("truth").schema
        values = np.full(scan.grid.shape_zyx, schema.unlabelled, np.uint8)
        for z in slices:
            values[z] = scan.labels("truth").read(_plane(scan, z))[0]
        labels = LabelMap(Volume(values, scan.grid), schema)
        found.append(Example(scan.id, scan.image, labels, scan.stats))
    return found


def _settings(scans: dict[int, Scan], own: dict[str, Any], method: str, seed: int) -> TrainSettings:
    split = {"validation": [scans[pulse].id for pulse in VALIDATED], "test_frac": 0}
    return TrainSettings.model_validate({**own, "split": split, "unlabelled": method, "seed": seed})


def _epochs(scans: dict[int, Scan], own: dict[str, Any], *, minutes: float, folder: Path) -> int:
    """Return the epochs for which a mean teacher takes so many minutes of processor time."""
    kept = folder / "epochs.txt"
    if kept.exists():
        return int(kept.read_text())
    settings = _settings(scans, {**own, "epochs": 3}, "mean_teacher", 0)
    examples, start = _examples(scans, 3), time.process_time()
    with tempfile.TemporaryDirectory() as made:
        train(examples, settings, Path(made), schema=examples[0].labels.schema)
    epochs = max(1, math.floor(60 * minutes / ((time.process_time() - start) / 3)))
    kept.write_text(str(epochs))
    return epochs


def _outcome(
    scans: dict[int, Scan], own: dict[str, Any], case: tuple[int, str, int], *, folder: Path
) -> Outcome:
    """Train, unless it is there, and score on the test scans."""
    n_labelled, method, seed = case
    model = folder / f"{method}-{n_labelled}-s{seed}"
    examples = _examples(scans, n_labelled)
    schema, noted = examples[0].labels.schema, model / "cpu_s.txt"
    if not noted.exists():
        start = time.process_time()
        train(examples, _settings(scans, own, method, seed), model, schema=schema)
        noted.write_text(str(time.process_time() - start))
    bundle = ModelBundle.load(model)
    rows = (model / "log.csv").read_text().splitlines()
    n_steps = int(rows[-1].split(",")[1])
    predict = PredictSettings(threads=own["threads"], backend="torch", precision="fp32")
    labeller = NetworkLabeller(bundle, predict)
    pairs = []
    for pulse in TESTED:
        scan = scans[pulse]
        n_z = scan.grid.shape_zyx[0]
        values = np.full(scan.grid.shape_zyx, schema.unlabelled, np.uint8)
        boxes = tuple(_plane(scan, z) for z in _spread(n_z, min(N_TEST, n_z)))
        for box in boxes:
            values[box.slices] = labeller.label_slice(scan, box.start_zyx[0])
        predicted = LabelMap(Volume(values, scan.grid), schema)
        pairs.append(Pair(scan.id, predicted, scan.labels("truth"), boxes, "test", method))
    scores = evaluate(pairs, EvaluateSettings(metrics=["iou"]))
    return Outcome(method, n_labelled, seed, scores, float(noted.read_text()), n_steps)


def _plane(scan: Scan, z: int) -> Box:
    _, y, x = scan.grid.shape_zyx
    return Box((z, 0, 0), (z + 1, y, x))


def _values(found: Sequence[Outcome], method: str, n_labelled: int, name: str = "") -> list[float]:
    values = [o.iou(name) for o in found if (o.method, o.n_labelled) == (method, n_labelled)]
    return [value for value in values if value is not None]


def _text(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f}"


def _mean_table(found: Sequence[Outcome]) -> str:
    header = ("labelled slices", *(f"{words}, mean IoU" for words in METHODS.values()))
    rows = [(n, *(_text(_values(found, method, n)) for method in METHODS)) for n in N_LABELLED]
    return table(header, rows)


def _class_table(found: Sequence[Outcome]) -> str:
    names = [row.class_name for row in found[0].scores.rows if row.class_name]
    rows = [
        (n, words, *(_text(_values(found, method, n, name)) for name in dict.fromkeys(names)))
        for n in N_LABELLED
        for method, words in METHODS.items()
    ]
    return "IoU of each class:\n\n" + table(
        ("labelled slices", "learns from", *dict.fromkeys(names)), rows
    )


def _gains(found: Sequence[Outcome]) -> Iterator[str]:
    for method in ("pseudo_labels", "mean_teacher"):
        gains = {
            n: np.mean(_values(found, method, n)) - np.mean(_values(found, "none", n))
            for n in N_LABELLED
        }
        text = ", ".join(f"{gain:+.3f} with {n}" for n, gain in gains.items())
        better = sum(gain > 0 for gain in gains.values())
        taken, plain = (
            np.mean([o.cpu_s for o in found if o.method == one]) for one in (method, "none")
        )
        yield (
            f"{METHODS[method].capitalize()} against labels alone, mean IoU: {text}; better in "
            f"{better} of {len(gains)}. A training took {taken:.0f} s of processor time, labels "
            f"alone {plain:.0f} s."
        )


def _missed(found: Sequence[Outcome]) -> Iterator[str]:
    """Say which classes nobody has learnt: of these the table says nothing."""
    names = dict.fromkeys(row.class_name for row in found[0].scores.rows if row.class_name)
    best = {name: max((o.iou(name) or 0.0 for o in found), default=0.0) for name in names}
    missed = [name for name, iou in best.items() if iou < MISSED_BELOW]
    if missed:
        yield (
            f"No training found {', '.join(missed)} (IoU below {MISSED_BELOW} everywhere). What "
            "unlabelled slices bring to these classes, and to longer trainings, is not shown here: "
            "the mean IoU compares hardly more than the other classes."
        )


def _caveats(*, short: bool) -> Iterator[str]:
    if short:
        yield (
            "One seed: differences of a few hundredths may be chance. Another seed also means "
            "another start and other patches, not other labelled slices."
        )
    yield (
        "All scans show one simulated cell at different times, so what is held out looks like "
        "what was learnt from. Test scans, and the scan that validates, give no unlabelled patch."
    )


def _what(
    scans: dict[int, Scan],
    own: dict[str, Any],
    found: Sequence[Outcome],
    *,
    extent: Extent,
) -> str:
    shape = " × ".join(str(n) for n in next(iter(scans.values())).grid.shape_zyx)
    network = own.get("network", {"name": "unet"})
    options = ", ".join(f"{k} {v}" for k, v in network.items() if k != "name")
    steps = sorted({o.n_steps for o in found})
    short = (
        f" **Shortened run**: a small network, {extent.seed_words}, and only so many steps as fit "
        f"into {extent.minutes:g} min of processor time for a mean teacher."
        if extent.minutes
        else ""
    )
    return (
        "One simulated operando cell (preset `demo`), scans of "
        f"{shape} voxels. A U-Net ({options or 'its default size'}) learns from 1, 3 or 10 "
        f"labelled cross-sections of the scans after pulses {_list(LEARNT)}: from labels alone, or "
        "also from all other slices of these scans by pseudo-labels or with a mean teacher, with "
        "the default settings of both. The loss of labelled pixels is Dice's. "
        f"{N_VALIDATION} labelled slices of the scan after pulse "
        f"{_list(VALIDATED)} choose the best epoch. The scans after pulses {_list(TESTED)} are "
        f"held out whole; IoU is pooled over {N_TEST} cross-sections of each. Every training had "
        f"{' or '.join(str(n) for n in steps)} steps of {own['batch']} labelled patches of "
        f"{own['patch_px']} px.{short}"
    )


def _list(pulses: Sequence[int]) -> str:
    return ", ".join(str(pulse) for pulse in sorted(pulses))
