"""The demo, from its recipe to the report: time of each step, memory, scores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import Result, table
from benchmarks.examples import read_scores
from tomolith.app.evidence import REFINED
from tomolith.app.steps.base import DoneMark
from tomolith.app.study import Study
from tomolith.measure.verdict import EXIT_CODES

WANTED_MINUTES, WANTED_GIB, WANTED_GAIN = 6, 4, 0.2


def run(*, quick: bool) -> Result:
    """Run the demo as a user does, in a process of its own, and return the page."""
    demo = Path(__file__).resolve().parents[1] / "examples" / "demo" / "recipe.yaml"
    with tempfile.TemporaryDirectory() as made:
        recipe = Path(shutil.copy(demo, made))  # results lie beside it
        overrides = ["train.epochs=2"] if quick else []
        command = [sys.executable, "-m", "tomolith", "run", str(recipe)]
        command += [word for override in overrides for word in ("--set", override)]
        started = time.monotonic()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if os.waitstatus_to_exitcode(status) not in EXIT_CODES.values():
            raise SystemExit("the demo failed")
        study = Study.load(recipe, overrides)
        steps = [
            (mark.step, mark.summary.replace(made, "…"), f"{mark.seconds:.1f} s")
            for mark in (DoneMark.read(study, name) for name in study.recipe.active_steps)
            if mark is not None
        ]
        scores = list(read_scores(study, subset="test"))
        held_out, n_each = study.recipe.train.split.test, study.recipe.phantom.hand_labelled_slices
    means = {system: float(iou) for system, name, iou, *_ in scores if name == "mean"}
    gain, mended = means["unet"] - means["otsu"], means[f"unet{REFINED}"] - means["unet"]
    peak_gib = usage.ru_maxrss * 1024 / 2**30
    notes = [
        f"Whole run: **{seconds / 60:.1f} minutes** (asked for: under {WANTED_MINUTES}), "
        f"peak memory **{peak_gib:.2f} GiB** (asked for: under {WANTED_GIB}).",
        f"On the held-out cross-sections the network's mean IoU is **{gain:+.3f}** against "
        f"multi-Otsu's (asked for: at least {WANTED_GAIN:+.1f}): "
        f"{'reached' if gain >= WANTED_GAIN else 'NOT reached'}.",
        f"`refine` changes that mean IoU by {mended:+.3f}.",
        "Peak memory is `ru_maxrss` of the whole `tomolith run` process.",
    ]
    what = (
        "`make demo` runs this recipe: one simulated cell through a cycle of charge and discharge, "
        "scanned five times; the network learns from hand-labelled slices of three scans and is "
        f"scored on the two others ({', '.join(held_out)}), which it has never seen: on those "
        f"{n_each} cross-sections of each that the label map 'hand' shows, not on whole scans. "
        "It is the same cell at another time, with other noise; `phantom_baselines` scores on "
        "another cell."
    )
    header = ("system", "class", "IoU", "Dice", "IoU, mean over patches")
    tables = [
        table(("step", "result", "time"), steps),
        f"Scores on {n_each} labelled cross-sections of each held-out scan, pooled over their "
        "pixels unless stated:\n\n" + table(header, scores),
    ]
    return Result("The demo", what, tables, notes)
