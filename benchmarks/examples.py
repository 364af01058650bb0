"""What the benchmarks of the examples with real labelled images share."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.common import Result, table
from tomolith.app.run import run_study
from tomolith.app.study import Study
from tomolith.core import Box, IntensityStats
from tomolith.label.splits import Split
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.validation import slice_logits
from tomolith.store.scan import Scan

Grey = np.ndarray
# Changes of the grey scale of the validation images, on grey values stretched to 0..1. None
# reverses the order of grey values.
CHANGES: dict[str, Callable[[Grey], Grey]] = {
    "as it is": lambda g: g,
    "other units (× 20 000 + 12 000)": lambda g: g * 20_000 + 12_000,
    "gamma 0.7": lambda g: np.sign(g) * np.abs(g) ** 0.7,
    "gamma 1.4": lambda g: np.sign(g) * np.abs(g) ** 1.4,
    "S-shaped": lambda g: 1 / (1 + np.exp(-5 * (g - 0.5))),
    "8-bit, saturated": lambda g: np.clip((g - 0.1) / 0.75 * 255, 0, 255).astype(np.uint8),
    "noise, 5 % of the range": lambda g: g + np.random.default_rng(0).normal(0, 0.05, g.shape),
    "blur, 1.5 pixels": lambda g: ndimage.gaussian_filter(g, (0, 1.5, 1.5)),
}


def page(name: str, *, class_name: str, wanted: float, quick: bool) -> Result:
    """Train one example from its recipe, and return its page."""
    with tempfile.TemporaryDirectory() as made:
        study = run_example(name, Path(made), minutes=0.1 if quick else None)
        rows = list(read_scores(study))
        changes = list(changed_grey_scales(study))
        train = study.recipe.train
    found = next(iou for system, c, iou, _, _ in rows if (system, c) == ("unet", class_name))
    verdict = "reached" if float(found) >= wanted else "NOT reached"
    notes = [
        f"{class_name} IoU {found}; asked for {wanted:.2f}: {verdict}.",
        "Scores are those of the recipe's validation slices. The kept weights and the "
        "augmentation are those that did best on these slices, so the scores lean to the bright "
        "side.",
        "The labels are hand-made and not exact to the pixel; see the README file of the data.",
    ]
    return Result(
        f"{name}: network against multi-Otsu on real labelled images",
        f"The example is trained from its recipe for at most {train.minutes:g} minutes, predicted "
        "and scored by `tomolith run`; multi-Otsu (scikit-image) is scored on the same slices in "
        "the same run. IoU is pooled over all labelled pixels of the validation slices.",
        [
            table(("system", "class", "IoU", "Dice", "IoU, mean over patches"), rows),
            "Grey scales that the network has never seen: the validation slices, changed and "
            "normalised by their own percentiles, predicted with the same weights (IoU).\n\n"
            + table(("change", "class", "IoU"), changes),
        ],
        notes,
    )


def run_example(
    name: str, folder: Path, *, minutes: float | None = None, overrides: Sequence[str] = ()
) -> Study:
    """Run the recipe of an example in ``folder``, up to its scores."""
    recipe = Path(__file__).resolve().parents[1] / "examples" / name / "recipe.yaml"
    here = [f"study={folder / name}"]
    if minutes is not None:
        here.append(f"train.minutes={minutes}")
    study = Study.load(recipe, (*here, *overrides))
    run_study(study, say=print, until="evaluate")
    return study


def read_scores(
    study: Study, *, subset: str = "validation"
) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield system, class, pooled IoU and Dice, and mean IoU over patches."""
    found: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
    with (study.measurements / "scores.csv").open() as file:
        for row in csv.DictReader(file):
            if row["subset"] == subset and row["scan"] == "all":
                key = row["system"], row["class"] or "mean"
                value = f"{float(row['value']):.4f}" if row["value"] else "absent"
                found.setdefault(key, {})[row["convention"], row["metric"]] = value
    for (system, class_name), values in found.items():
        wanted = (("pooled", "iou"), ("pooled", "dice"), ("mean_over_patches", "iou"))
        if wanted[0] in values:
            iou, dice, over_patches = (values.get(key, "") for key in wanted)
            yield system, class_name, iou, dice, over_patches


def changed_grey_scales(study: Study) -> Iterator[tuple[str, str, str]]:
    """Yield change, class and IoU on the validation slices."""
    bundle = ModelBundle.load(study.model_folder())
    for change, apply in CHANGES.items():
        for class_name, iou in iou_by_class(study, bundle, apply):
            yield change, class_name, iou


def iou_by_class(
    study: Study, bundle: ModelBundle, change: Callable[[Grey], Grey]
) -> Iterator[tuple[str, str]]:
    """Yield class and pooled IoU of the validation slices, after a change of the grey scale."""
    network, n = bundle.build_network(), len(bundle.schema)
    text = (study.model_folder() / "split.json").read_text()
    counts = np.zeros((n, n), np.int64)
    for part in Split.from_dict(json.loads(text)).validation:
        scan = Scan.open(study.scan_path(part.scan_id))
        low, high = (scan.stats[0].percentile(p) for p in (0.1, 99.9))
        whole = scan.image.read(scan.grid.box).astype(np.float64)
        grey = change((whole - low) / (high - low))
        image = bundle.normalisation.apply(grey, (IntensityStats.of_sample(grey),))
        truth = scan.labels("truth").read(Box.whole(scan.grid.shape_zyx))
        for z in range(part.z_start, part.z_stop):
            logits = slice_logits(network, image[z][None], patch_px=bundle.patch_px, batch=4)
            labels = np.array(bundle.schema.values)[logits.argmax(0)]
            for i, value in enumerate(bundle.schema.values):
                for j, other in enumerate(bundle.schema.values):
                    counts[i, j] += np.count_nonzero((truth[z] == value) & (labels == other))
    hits = np.diag(counts)
    for name, iou in zip(
        bundle.schema.names, hits / (counts.sum(0) + counts.sum(1) - hits), strict=True
    ):
        yield name, f"{iou:.4f}"
