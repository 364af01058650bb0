"""MatPhase, its baselines and classical methods: a simulated cathode, and real NMC slices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.common import Result, table
from benchmarks.comparisons import (
    Extent,
    Outcome,
    Protocol,
    circumstances_of,
    extent_words,
    goal_words,
    pictures,
    rank_words,
    ruler_words,
    run_protocol,
    score_tables,
    work_folder,
)
from tomolith.label.splits import Split
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.labellers import Labeller, NetworkLabeller, fit_classical
from tomolith.learn.comparison.material import Material
from tomolith.learn.settings import TrainSettings

WANTED_IOU = 0.80
ONLY_NMC = ("1", "622")  # slices whose labels part NMC from the rest, and nothing else
ACTIVE = "nmc"
_SHORT = {"compare": {"train": {"batch": 8, "matphase": {"ugsm_batch": 8}}}}
SIMULATED = Protocol(
    "table2_cathode",
    short_systems=(
        "unet",
        "mcd_unet",
        "local_unet",
        "adapted_lcgar",
        "matphase",
        "multi_otsu",
        "random_forest",
    ),
    short={"phantom": {"hand_labelled_slices": 24}, **_SHORT},
    quick={
        "phantom": {"shape_zyx": [6, 128, 128], "hand_labelled_slices": 6},
        "compare": {"systems": ["unet", "matphase", "multi_otsu"]},
    },
)
REAL = Protocol(
    "table2_nmc",
    short_systems=("unet", "matphase", "dynunet", "multi_otsu", "random_forest"),
    short=_SHORT,
    quick={"compare": {"systems": ["unet", "multi_otsu"]}},
)


def run(
    *,
    quick: bool,
    minutes: float | None = None,
    threads: int | None = None,
    work: Path | None = None,
) -> Result:
    """Run both protocols, and return the page."""
    extent = Extent(minutes, threads, work, quick)
    with (
        work_folder(extent, SIMULATED.recipe) as simulated_folder,
        work_folder(extent, REAL.recipe) as real_folder,
    ):
        simulated = run_protocol(SIMULATED, extent, simulated_folder)
        real = run_protocol(REAL, extent, real_folder)
        return Result(
            "Table II of MatPhase: cathodes of three phases",
            _what(simulated, real),
            [
                f"## Simulated cathode\n\n{extent_words(simulated)}",
                *score_tables(simulated),
                f"## Real NMC slices\n\n{extent_words(real)}",
                *score_tables(real),
                "**NMC against the rest, in slices 1 and 622**: their labels do not part binder "
                "and pore (README of the data), so they are neither learnt from nor part of the "
                "scores above.\n\n"
                + table(("system", "slice", "IoU of NMC", "Dice of NMC"), list(_two_class(real))),
            ],
            [*_simulated_notes(simulated), *_real_notes(real)],
            arguments=extent.arguments,
            circumstances=circumstances_of(simulated, real),
            pictures=_pictures(simulated, real),
        )


def _what(simulated: Outcome, real: Outcome) -> str:
    phantom = simulated.study.recipe.phantom
    split = real.study.recipe.compare.train["split"]
    return (
        "**Simulated**: preset `cathode-3phase` "
        f"({' × '.join(str(n) for n in phantom.shape_zyx)} voxels); the systems learn from "
        f"{phantom.hand_labelled_slices} slices of one cathode and are scored on as many of "
        "another. **Real**: nano-CT slices of NMC cathodes of three scans (Su et al., npj Comput. "
        "Mater. 8, 30, 2022), labelled by people with the help of thresholds; five slices to "
        f"learn from, {' and '.join(split['validation'])} to choose the weights, "
        f"{', '.join(split['test'])} (one of each scan) to test. MatPhase's own data are not "
        "public, and of its paper only the appendix is in detail: `matphase` is our reading."
    )


def _simulated_notes(outcome: Outcome) -> list[str]:
    best = outcome.best
    return [
        "Simulated. " + rank_words(outcome, ()),
        goal_words(f"Simulated, best mIoU ({best})", outcome.score(best), WANTED_IOU),
        ruler_words(outcome),
        _against(outcome, "Simulated", "matphase", ("unet", "mcd_unet")),
    ]


def _real_notes(outcome: Outcome) -> list[str]:
    networks = [s.name for s in outcome.comparison.ranked if s.name in outcome.runs]
    others = [name for name in networks if name != "dynunet"]
    return [
        "Real. " + rank_words(outcome, ()),
        _against(outcome, "Real", others[0], ("random_forest", "dynunet"))
        + " (Goal: better than both.)",
        "Real labels are not exact to the pixel; three test slices are few.",
    ]


def _against(outcome: Outcome, where: str, name: str, others: tuple[str, ...]) -> str:
    found = []
    for other in others:
        first, second = outcome.score(name), outcome.score(other)
        if first is not None and second is not None:
            found.append(f"{first - second:+.3f} against {other}")
    return f"{where}, mIoU of {name}: " + (", ".join(found) or "nothing to compare with") + "."


def _two_class(outcome: Outcome) -> Iterator[tuple[str, str, str, str]]:
    """Yield system, slice, and IoU and Dice of NMC against the rest."""
    study, section = outcome.study, outcome.study.recipe.compare
    scans = tuple(study.scan(scan_id) for scan_id in study.scan_ids())
    material = Material(scans, study.schema)
    first = next(iter(outcome.runs.values()))
    split = Split.from_dict(json.loads((first / "split.json").read_text()))
    active = study.schema[ACTIVE].value
    for run in section.runs(TrainSettings()):
        if run.seed not in (None, section.seeds[0]):
            continue
        labeller: Labeller = (
            fit_classical(run, material, split)
            if run.is_classical
            else NetworkLabeller(ModelBundle.load(outcome.runs[run.system]), section.predict)
        )
        for name in ONLY_NMC:
            found = labeller.label_slice(material.scan(name), 0) == active
            truth = _true_nmc(outcome, name)
            both, either = np.count_nonzero(found & truth), np.count_nonzero(found | truth)
            iou = both / either
            yield run.system, name, f"{iou:.3f}", f"{2 * iou / (1 + iou):.3f}"


def _true_nmc(outcome: Outcome, name: str) -> np.ndarray:
    """Return where the label file of a slice says NMC, which is 0 in it."""
    scans = outcome.study.recipe.import_.scans
    image = Path(next(scan.path for scan in scans if scan.id == name))
    values: np.ndarray = tifffile.imread(image.parents[1] / "labels" / f"{name}_label.tif") == 0
    return values


def _pictures(simulated: Outcome, real: Outcome) -> list[tuple[str, str, bytes]]:
    made = []
    for outcome, what in ((simulated, "simulated"), (real, "real")):
        for name, png in pictures(outcome).items():
            stem = name.removesuffix(".png")
            scan = stem.rpartition("-")[0]
            if scan in outcome.study.scan_ids():
                alt = f"Slice of {scan} ({what}): image, truth, and what each system made of it"
                made.append((f"table2_matphase-{name}", alt, png))
    return made
