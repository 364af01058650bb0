"""Every quantity against the truth: on true labels, and on those that a network predicts."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.common import Result, table
from benchmarks.whole_array_truth import EXACT, TOLERANCES, WholeScan, deviation, scan_truth
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.core import Measurement, Provenance
from tomolith.measure.colocalisation import colocalisation
from tomolith.measure.persistence import persistence
from tomolith.measure.quantify import MeasureSettings, measure_scan
from tomolith.measure.quantities import QUANTITIES
from tomolith.measure.series import series_changes
from tomolith.phantom import Cell, PhantomSettings

TRAINED_CELL, MEASURED_CELL = "cell0", "cell1"
PULSES, CHARGED, DISCHARGED = (0, 6, 12, 18, 24), "t12", "t24"
EPOCHS, N_HAND = 16, 8
Numbers = dict[tuple[str, str, str], float | None]

RECIPE = {
    "name": "measure-truth",
    "study": "study",
    "classes": "li-operando",
    "phantom": {
        "preset": "demo",
        "seed": 1,
        "n_cells": 2,
        "scans": list(PULSES),
        "hand_labelled_slices": N_HAND,
    },
    "train": {
        "labels": "hand",
        "network": "unet",
        "loss": "dice",
        "batch": 4,
        "balance": 0.5,
        "augment": {"rotate_deg": 10, "zoom": [0.9, 1.1], "flip": "left-right"},
        "split": {"validation_frac": 0.2},
    },
    "predict": {"memory": "2GiB"},
}
QUICK = {"preset": "tiny"}

# Name of a true number in truth.parquet, its part, and how it is measured: the same name and part
# where nothing is said; several parts are added.
ALIASES: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("swelling", "plating side"): ("swelling", ("cell",)),
    ("dead_li_volume", "dendrite and deposited, 26-connected"): (
        "dead_li_volume",
        ("dendrite", "deposited", "plating side, pieces too small to tell"),
    ),
}
RENAMED = {"volume_percent": "share"}
IN_MICROMETRES = ("position", "gap", "swelling")

COUNTED_HEADER = ("quantity", "numbers", "tolerance", "largest deviation", "at", "within")

# What the last table shows.
SHOWN: tuple[tuple[str, str], ...] = (
    *(("volume", name) for name in ("electrode", "dendrite", "pit", "deposited", "redeposited")),
    ("thickness_across_tilt", "electrode, stripping side"),
    ("thickness_across_tilt", "electrode, plating side"),
    ("thickness_across_tilt", "stripping side, all Li"),
    ("thickness_across_tilt", "plating side, all Li"),
    *(("plan_coverage", name) for name in ("dendrite", "pit", "deposited", "redeposited")),
    ("unfilled_pits", "pit"),
    ("void_map_share", "redeposited"),
    ("void_depth", "redeposited"),
    ("contact_area", "redeposited"),
    ("gap", "electrodes, across the tilt"),
    ("swelling", "cell"),
    ("roughness", "electrode, stripping side"),
    ("roughness", "electrode, plating side"),
    ("local_thickness", "electrode, stripping side"),
    ("local_thickness", "electrode, plating side"),
    ("li_volume", "all Li, stripping side"),
    ("li_volume", "all Li, plating side"),
    ("travelling_li", "plating side"),
    ("dead_li_volume", "dendrite"),
    ("dead_li_volume", "deposited"),
    ("dead_li_volume", "redeposited"),
    ("dendrite_number", "dendrite"),
    ("dendrite_volume", "dendrite, median"),
    ("dendrite_height", "dendrite"),
    ("penetration_frac", "dendrite"),
    ("smallest_gap", "dendrite"),
    ("envelope_porosity", "dendrite"),
    ("skeleton_length", "dendrite"),
    ("branching_points", "dendrite"),
    ("pearson", "dendrite ~ deposited"),
    ("pearson", "pit ~ redeposited"),
    ("persistence_jaccard", f"dendrite since {MEASURED_CELL}-t06"),
)


def run(*, quick: bool, threads: int | None = None, work: Path | None = None) -> Result:
    """Simulate two cells, learn from one, measure the other, and return the page."""
    with tempfile.TemporaryDirectory() as made:
        study = _study((work or Path(made)) / "measure_truth", quick=quick, threads=threads)
        run_study(study, say=print, until="predict")
        settings = study.recipe.phantom
        truth = pd.read_parquet(study.root / "phantom" / "truth.parquet")
        true = {
            (row.scan, row.quantity, row.region): None if pd.isna(row.value) else float(row.value)
            for row in truth.itertuples()
        }
        on_truth = {
            cell: _measured(study, "truth", cell, settings)
            for cell in (TRAINED_CELL, MEASURED_CELL)
        }
        predicted = _measured(study, "prediction", MEASURED_CELL, settings)
        counted = list(_against_counts(study, on_truth))
    exact = _against_truth(true, {**on_truth[TRAINED_CELL], **on_truth[MEASURED_CELL]})
    what = (
        f"Two simulated cells (preset `{settings.preset}`, {_times(settings.shape_zyx)} voxels of "
        f"{settings.voxel_size_um:g} µm, {len(PULSES)} scans each). First the true labels are "
        "measured and held against the true numbers of the simulation "
        "(`phantom/truth.parquet`), and every number of a scan against what is counted in its "
        "whole array by other means (NumPy, SciPy's components, skeletons followed voxel by "
        "voxel; `benchmarks/whole_array_truth.py`). Then a U-Net, trained for a short time "
        f"({study.recipe.train.epochs} epochs) on {N_HAND} cross-sections of each scan of the "
        "first cell as if labelled by hand, predicts the second "
        "cell, which it has never seen, and every quantity of the predicted labels is held "
        "against the same quantity of the true ones."
    )
    header = ("quantity", "numbers", "largest deviation", "of the number", "at")
    tables = [
        "## True labels, against the numbers of the simulation\n\n" + table(header, exact),
        "## True labels, every number of a scan, against whole arrays\n\n"
        + table(COUNTED_HEADER, counted),
        "## Predicted labels\n\n" + _predicted_table(on_truth[MEASURED_CELL], predicted),
    ]
    notes = [
        "True labels: volumes, thicknesses, coverage, pits, voids, Li and dead Li are counts of "
        "the same voxels, and agree to rounding. Positions, gap and swelling are true where the "
        "simulated layers meet, not where voxels do, and may be off by a part of a voxel.",
        "Whole arrays: a deviation is a share of the number, of numbers by side a share of that of "
        "the class, parted by the plane halfway between the simulated electrodes.",
        "Numbers of the series, those against the cycler's charge and correlations of maps have "
        "known answers in the tests (`tests/science`, `tests/unit/measure`), not here.",
        "Predicted labels: the error is that of the network, none of it of the measuring. It is "
        "small where a layer is thick against its border, and large where a number hangs on a few "
        "voxels: the tip that comes nearest, links a voxel wide, scattered pits.",
        "After so short a training the network labels "
        f"{_dendrites(on_truth[MEASURED_CELL], predicted)} as much dendrite as there is (charged): "
        "numbers of dendrites, and what correlates with them, are to "
        "be trusted only with a network that finds them.",
        "Off is a difference for `pearson` and `persistence_jaccard`. The latter has no number "
        "where the predicted labels show dendrites already in the fresh cell.",
    ]
    arguments = "" if threads is None else f"--threads {threads}"
    return Result("Quantities against the truth", what, tables, notes, arguments=arguments)


def _study(folder: Path, *, quick: bool, threads: int | None) -> Study:
    recipe = {key: dict(v) if isinstance(v, dict) else v for key, v in RECIPE.items()}
    scans = [f"{MEASURED_CELL}-t{pulse:02d}" for pulse in PULSES]
    recipe["train"] |= {"epochs": 1, "patch_px": 64} if quick else {"epochs": EPOCHS}
    recipe["train"]["split"] = {**recipe["train"]["split"], "test": scans}
    recipe["predict"] |= {"scans": scans}
    if quick:
        recipe["phantom"] |= QUICK
    if threads is not None:
        recipe["train"]["threads"] = recipe["predict"]["threads"] = threads
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return Study.load(path)


def _measured(study: Study, labels: str, cell: str, settings: PhantomSettings) -> Numbers:
    """Return every number of the scans of one cell, and of their series."""
    chosen = [name for name in QUANTITIES.names() if name != "li_volume"]
    porosities = {
        "name": "li_volume",
        "deposited_porosity_frac": settings.deposit_porosity_frac,
        "redeposited_porosity_frac": settings.redeposit_porosity_frac,
    }
    measure_settings = MeasureSettings(quantities=[porosities, *chosen])
    scans = [f"{cell}-t{pulse:02d}" for pulse in PULSES]
    found: list[Measurement] = []
    plans = {}
    for scan in scans:
        numbers = measure_scan(study.scan(scan).labels(labels), measure_settings, region=scan)
        found += numbers.measurements
        plans[scan] = numbers.plan
    made = Provenance("measure")
    found += series_changes(found, scans, provenance=made)
    found += colocalisation(plans, provenance=made)
    found += persistence(plans, provenance=made)
    out: Numbers = {}
    for m in found:
        scan, _, part = m.region.partition("/")
        out[scan, m.name, part] = m.value
    return out


def _against_truth(true: Numbers, found: Numbers) -> Iterator[tuple[str, ...]]:
    """Yield a row per true quantity: how many numbers, and the one that is farthest off."""
    worst: dict[str, list[tuple[float, float, str]]] = {}
    for (scan, quantity, region), value in true.items():
        name, parts = ALIASES.get((quantity, region), (RENAMED.get(quantity, quantity), (region,)))
        if (scan, name, parts[0]) not in found or value is None:
            continue
        measured = sum(found[scan, name, part] or 0.0 for part in parts)
        off = abs(measured - value)
        worst.setdefault(quantity, []).append((off, value, f"{scan}, {region}"))
    for quantity, rows in worst.items():
        off, value, where = max(rows)
        if quantity in IN_MICROMETRES:
            shown = f"{off:.3f} µm", "" if not value else f"{100 * off / abs(value):.2f} %"
        else:
            relative = max((o / abs(v) for o, v, _ in rows if v), default=0.0)
            shown = f"{off:.2g}", f"{100 * relative:.1g} %"
        at = where if off > 1e-6 * abs(value) else "rounding"
        yield f"`{quantity}`", str(len(rows)), *shown, at


def _against_counts(study: Study, on_truth: Mapping[str, Numbers]) -> Iterator[tuple[str, ...]]:
    """Yield a row per quantity: its tolerance, and how far off whole arrays it is at most."""
    off: dict[str, list[tuple[float, str]]] = {}
    settings = study.recipe.phantom
    for i, (cell, found) in enumerate(on_truth.items()):
        built = Cell.build(settings, i)
        for pulse in PULSES:
            scan = f"{cell}-t{pulse:02d}"
            labels = study.scan(scan).labels("truth")
            truth = scan_truth(WholeScan(built, pulse, labels.read(labels.grid.box)))
            for (name, part), true in truth.items():
                far = deviation(found[scan, name, part], true)
                off.setdefault(name, []).append((far, f"{scan}, {part}"))
    for name in sorted(off):
        (far, where), wanted = max(off[name]), TOLERANCES.get(name, EXACT)
        tolerance = f"{100 * wanted:g} %" if wanted > EXACT else "exact"
        at, most = (where, f"{100 * far:.2g} %") if far > EXACT else ("rounding", "0 %")
        verdict = "yes" if far <= wanted else "**no**"
        yield f"`{name}`", str(len(off[name])), tolerance, most, at, verdict


def _predicted_table(true: Numbers, predicted: Numbers) -> str:
    header = ["quantity", "part"]
    for when in ("charged", "discharged"):
        header += [f"{when}: true labels", "predicted", "off"]
    rows = []
    for quantity, part in SHOWN:
        row = [f"`{quantity}`", part]
        for scan in (f"{MEASURED_CELL}-{CHARGED}", f"{MEASURED_CELL}-{DISCHARGED}"):
            a, b = (numbers.get((scan, quantity, part)) for numbers in (true, predicted))
            row += [_shown(a), _shown(b), _off(quantity, a, b)]
        rows.append(row)
    return table(header, rows)


def _dendrites(true: Numbers, predicted: Numbers) -> str:
    key = (f"{MEASURED_CELL}-{CHARGED}", "volume", "dendrite")
    return f"{(predicted[key] or 0.0) / (true[key] or 1.0):.2f} times"


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    return f"{value:.3e}"


def _off(quantity: str, true: float | None, predicted: float | None) -> str:
    if true is None or predicted is None:
        return "–"
    if quantity.startswith(("pearson", "persistence")):
        return f"{predicted - true:+.3f}"
    if not true:
        return "0 %" if not predicted else "–"
    share = 100 * (predicted - true) / abs(true)
    return f"{share:+.1f} %" if math.isfinite(share) else "–"


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)
