"""Every quantity against the truth: on true labels, and on those that a network predicts."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.common import Result, table
from benchmarks.measured_cell import Key, MeasuredCell, Numbers, measure_cell
from benchmarks.whole_array_truth import (
    EXACT,
    TOLERANCES,
    Truth,
    WholeScan,
    deviation,
    scan_truth,
)
from benchmarks.whole_series_truth import SERIES, SERIES_TOLERANCES, WholeSeries, series_truth
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.phantom import Cell

TRAINED_CELL, MEASURED_CELL = "cell0", "cell1"
PULSES, CHARGED, DISCHARGED = (0, 6, 12, 18, 24), "t12", "t24"
EPOCHS, N_HAND = 16, 8

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
    ("li_moved", "plating side, visible"): ("travelling_li", ("plating side",)),
    ("li_moved", "redeposited, visible"): ("li_volume", ("redeposited",)),
    ("dead_li_volume", "dendrite and deposited, 26-connected"): (
        "dead_li_volume",
        ("dendrite", "deposited", "plating side, pieces too small to tell"),
    ),
}
RENAMED = {"volume_percent": "share"}
IN_MICROMETRES = ("position", "gap", "swelling")

COUNTED_HEADER = ("quantity", "numbers", "tolerance", "largest deviation", "at", "within")

# What the last table shows; rates are those of charge, and of discharge.
RATES = ("thickness_rate", "thickness_growth")
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
    ("li_change", "all Li, stripping side"),
    ("li_change", "all Li, plating side"),
    ("li_change", "all Li"),
    ("capacity_ratio", "cell"),
    ("capacity_ratio", "cell, stripping side"),
    ("inventory_closure", "cell"),
    ("inventory_closure", "cell, stripping side"),
    ("plating_current_density", "cell"),
    ("li_left", "dendrite"),
    ("li_left", "deposited"),
    ("li_left", "all plated Li"),
    ("pits_left", "pit"),
    *(
        ("thickness_rate", part)
        for part in (
            *("dendrite", "pit", "deposited", "redeposited"),
            *("electrode, stripping side", "electrode, plating side"),
            *("stripping side, all Li", "plating side, all Li"),
        )
    ),
    *(("thickness_growth", name) for name in ("dendrite", "pit", "deposited", "redeposited")),
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
        cells = (TRAINED_CELL, MEASURED_CELL)
        on_truth = {cell: _measured(study, "truth", cell) for cell in cells}
        predicted = _measured(study, "prediction", MEASURED_CELL).numbers
        of_scans, of_series = _against_arrays(study, on_truth)
    exact = _against_truth(true, {k: v for c in cells for k, v in on_truth[c].numbers.items()})
    on_measured = on_truth[MEASURED_CELL].numbers
    what = (
        f"Two simulated cells (preset `{settings.preset}`, {_times(settings.shape_zyx)} voxels of "
        f"{settings.voxel_size_um:g} µm, {len(PULSES)} scans each). First the true labels are "
        "measured and held against the true numbers of the simulation "
        "(`phantom/truth.parquet`), and every number of a scan against what is counted in its "
        "whole array by other means (NumPy, SciPy's components, skeletons followed voxel by "
        "voxel; `benchmarks/whole_array_truth.py`). Every number of the series, measured with the "
        "simulated cycler's file, is held against the whole arrays of its scans and the simulated "
        "current times its time (`benchmarks/whole_series_truth.py`). Then a U-Net, trained for a "
        f"short time ({study.recipe.train.epochs} epochs) on {N_HAND} cross-sections of each scan "
        "of the first cell as if labelled by hand, predicts the second "
        "cell, which it has never seen, and every quantity of the predicted labels is held "
        "against the same quantity of the true ones."
    )
    header = ("quantity", "numbers", "largest deviation", "of the number", "at")
    tables = [
        "## True labels, against the numbers of the simulation\n\n" + table(header, exact),
        "## True labels, every number of a scan, against whole arrays\n\n"
        + table(COUNTED_HEADER, of_scans),
        "## True labels, every number of the series, against whole arrays\n\n"
        + table(COUNTED_HEADER, of_series),
        "## Predicted labels\n\n" + _predicted_table(on_measured, predicted),
    ]
    notes = [
        "True labels: volumes, thicknesses, coverage, pits, voids, Li and dead Li are counts of "
        "the same voxels, and agree to rounding. Positions, gap and swelling are true where the "
        "simulated layers meet, not where voxels do, and may be off by a part of a voxel.",
        "Whole arrays: a deviation is a share of the number, of numbers by side a share of that of "
        "the class, parted by the plane halfway between the simulated electrodes.",
        "Whole arrays, the series: of numbers that may be 0 a deviation is a share of what they "
        "are differences of: of changes, travelling Li and inventory the Li of the first scan, of "
        "swelling a voxel, of charge that of a pulse, of a line's slope the largest thickness, of "
        "a growth constant one over the pulses of a half cycle. Of `pearson` and `pearson_p` it "
        "is a difference. Swelling is true where the simulated layers meet. "
        "Correlations are measured in single precision, growth constants by iteration.",
        "Measured with the cycler's file, true labels show "
        f"{_ratios(on_measured, 'cell')} of the charge as Li on the plating side; the "
        f"simulation lets {settings.coulombic_efficiency * (1 - settings.hidden_frac):.4g} of it "
        "be seen.",
        "Predicted labels: the error is that of the network, none of it of the measuring. It is "
        "small where a layer is thick against its border, and large where a number hangs on a few "
        "voxels: the tip that comes nearest, links a voxel wide, scattered pits.",
        "After so short a training the network labels "
        f"{_dendrites(on_measured, predicted)} as much dendrite as there is (charged): "
        "numbers of dendrites, and what correlates with them, are to "
        "be trusted only with a network that finds them.",
        "Rates are those of charge and of discharge, `capacity_ratio` is since the scan before, "
        "`li_left` of the last scan. Off is a difference for `inventory_closure`, `pearson` and "
        "`persistence_jaccard`. The last has no number where the predicted labels show dendrites "
        "already in the fresh cell.",
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


def _measured(study: Study, labels: str, cell: str) -> MeasuredCell:
    scans = [f"{cell}-t{pulse:02d}" for pulse in PULSES]
    cycler = study.root / "phantom" / f"{cell}.mpt"
    maps = {scan: study.scan(scan).labels(labels) for scan in scans}
    return measure_cell(maps, study.recipe.phantom, cycler)


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


def _against_arrays(
    study: Study, on_truth: Mapping[str, MeasuredCell]
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Return a row per quantity of scans, and of series: how far off whole arrays it is at most."""
    scans: list[tuple[str, float, str]] = []
    series: list[tuple[str, float, str]] = []
    settings = study.recipe.phantom
    for i, (cell, measured) in enumerate(on_truth.items()):
        built, whole = Cell.build(settings, i), {}
        for pulse in PULSES:
            scan = f"{cell}-t{pulse:02d}"
            labels = study.scan(scan).labels("truth")
            whole[scan] = WholeScan(built, pulse, labels.read(labels.grid.box))
        truth = {(s, *key): t for s, of in whole.items() for key, t in scan_truth(of).items()}
        scans += _deviations(measured.of_scans, truth)
        series += _deviations(measured.of_series, series_truth(WholeSeries(whole)), cell)
    return _counted(scans, TOLERANCES), _counted(series, SERIES_TOLERANCES)


def _deviations(
    found: Numbers, truth: Mapping[Key, Truth], cell: str = ""
) -> Iterator[tuple[str, float, str]]:
    """Yield quantity, how far off, and place: without limit where only one of both is there."""
    for key in sorted({*found, *truth}):
        scan, name, part = key
        is_both = key in found and key in truth
        far = deviation(found[key], truth[key]) if is_both else math.inf
        yield name, far, f"{cell if scan == SERIES else scan}, {part}"


def _counted(
    deviations: Sequence[tuple[str, float, str]], tolerances: Mapping[str, float]
) -> list[tuple[str, ...]]:
    rows = []
    for name in sorted({name for name, _, _ in deviations}):
        off = [(far, where) for one, far, where in deviations if one == name]
        (far, where), wanted = max(off), tolerances.get(name, EXACT)
        tolerance = f"{100 * wanted:g} %" if wanted > EXACT else "exact"
        at, most = (where, f"{100 * far:.2g} %") if far > EXACT else ("rounding", "0 %")
        verdict = "yes" if far <= wanted else "**no**"
        rows.append((f"`{name}`", str(len(off)), tolerance, most, at, verdict))
    return rows


def _predicted_table(true: Numbers, predicted: Numbers) -> str:
    header = ["quantity", "part"]
    for when in ("charged", "discharged"):
        header += [f"{when}: true labels", "predicted", "off"]
    rows = []
    for quantity, part in SHOWN:
        row = [f"`{quantity}`", part]
        for scan, stretch in ((CHARGED, "charge"), (DISCHARGED, "discharge")):
            key = (f"{MEASURED_CELL}-{scan}", quantity, part)
            if quantity in RATES:
                key = (SERIES, quantity, f"{part}, {stretch}")
            a, b = (numbers.get(key) for numbers in (true, predicted))
            row += [_shown(a), _shown(b), _off(quantity, a, b)]
        rows.append(row)
    return table(header, rows)


def _dendrites(true: Numbers, predicted: Numbers) -> str:
    key = (f"{MEASURED_CELL}-{CHARGED}", "volume", "dendrite")
    return f"{(predicted[key] or 0.0) / (true[key] or 1.0):.2f} times"


def _ratios(numbers: Numbers, part: str) -> str:
    found = [
        value
        for (_, name, of), value in numbers.items()
        if (name, of) == ("capacity_ratio", part) and value is not None
    ]
    return f"{min(found):.4g} to {max(found):.4g}"


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
    if quantity == "inventory_closure":
        return f"{predicted - true:+.3e}"
    if not true:
        return "0 %" if not predicted else "–"
    share = 100 * (predicted - true) / abs(true)
    return f"{share:+.1f} %" if math.isfinite(share) else "–"


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)
