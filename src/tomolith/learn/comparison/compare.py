"""The step ``compare``: several systems trained, scored and timed on the same slices."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tomolith.config import settings_hash
from tomolith.core import ClassSchema
from tomolith.core.provenance import code_version
from tomolith.errors import TomolithError
from tomolith.label.splits import SliceRange
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.comparison.labellers import Labeller, NetworkLabeller, fit_classical
from tomolith.learn.comparison.material import Material
from tomolith.learn.comparison.result import FILE, SystemResult
from tomolith.learn.comparison.run import Run
from tomolith.learn.comparison.score import (
    has_labels,
    label_test_slices,
    score_images,
    score_run,
)
from tomolith.learn.comparison.settings import CompareSettings, ensemble_options
from tomolith.learn.comparison.table import comparison_rows
from tomolith.learn.comparison.timing import Timing, machine, time_systems
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import TrainingPlan, plan_training, train
from tomolith.learn.train_check import check_runs
from tomolith.measure.rows import CompareRow
from tomolith.measure.tables import write_table
from tomolith.store.atomic import disk_errors, write_text
from tomolith.store.scan import Scan


def compare(
    scans: Sequence[Scan],
    settings: CompareSettings,
    root: Path,
    *,
    schema: ClassSchema,
    base: TrainSettings | None = None,
    labels: str = "truth",
    truth: str = "truth",
) -> tuple[CompareRow, ...]:
    """Train every system, label the test slices with it, score and time it; write the table.

    What is finished is kept: a run whose settings, data and labels are those of its
    ``models/<run>/compare.json`` is not trained again, and a training that was killed goes on
    from its checkpoint.

    Parameters
    ----------
    scans
        Finished scans, with labels.
    settings
        The systems, their seeds, and how they are scored and timed.
    root
        Folder of the study: models go to ``models/<system>-s<seed>``, the table to
        ``measurements/compare``, and each scan gets a label map ``compare-<system>-s<seed>``.
    schema
        The classes.
    base
        The settings that ``settings.train`` and those of the systems change.
    labels, truth
        Names of the label maps that are learnt from, and scored against.

    Returns
    -------
    tuple of CompareRow
        The table, as written.

    Raises
    ------
    InputError
        Nothing is labelled, or no slice is held out for the test.
    RecipeError
        A system, an option or a key of ``train`` is unknown or cannot be; of any system, before
        the first is trained.
    ResourceError
        A latency could not be measured.
    DiskError
        A result cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import PRESETS
    >>> from tomolith.phantom import PhantomSettings
    >>> from tomolith.phantom.patches import write_patches
    >>> root, binary = Path(tempfile.mkdtemp()), PRESETS["li-binary"]
    >>> patches = PhantomSettings(preset="tiny", n_patches=5, patch_px=32)
    >>> scan = write_patches(patches, root / "a.zarr", schema=binary)
    >>> timing = {"patch_px": 32, "max_batch": 1, "seconds": 0.01, "rounds": 1}
    >>> settings = CompareSettings(systems=["otsu"], timing=timing, device="cpu", threads=1)
    >>> rows = compare([scan], settings, root, schema=binary)
    >>> sorted({row.system for row in rows}), (root / "measurements" / "compare.csv").is_file()
    (['otsu', 'truth'], True)
    """
    base = base or TrainSettings()
    material = Material(tuple(scans), schema, labels, truth)
    runs = settings.runs(base)
    check_runs(runs, schema)
    plan = plan_training(material.examples, settings.widest(base), schema)
    material.check(plan.parts)
    work = Comparison(material, plan, settings, root)
    results = [work.finish(run) for run in runs]
    first = {run.system: run for run in reversed(runs)}
    chosen = [first[system] for system in dict.fromkeys(run.system for run in runs)]
    keys = [result.labels_key for result in results]
    timings = time_systems(
        chosen, material, plan.parts, root=root, settings=settings, keys=[*keys, code_version()]
    )
    rows = comparison_rows(results, timings, grid=material.scans[0].grid)
    folder = root / "measurements"
    write_table(rows, folder / "compare")
    about = describe(results, timings, samples=choose(plan.parts.test, settings.n_samples))
    write_text(folder / "compare.json", json.dumps({**about, "truth": truth}, indent=1) + "\n")
    return rows


def choose(test: Sequence[SliceRange], n: int) -> list[tuple[str, int]]:
    """Return at most ``n`` test slices, evenly spread, not the first and last where it can be.

    Examples
    --------
    >>> choose([SliceRange("a", 0, 9)], 2)
    [('a', 2), ('a', 6)]
    """
    places = [(r.scan_id, z) for r in test for z in range(r.z_start, r.z_stop)]
    n = min(n, len(places))
    return [places[(2 * i + 1) * len(places) // (2 * n)] for i in range(n)]


def describe(
    results: Sequence[SystemResult], timings: Sequence[Timing], *, samples: list[tuple[str, int]]
) -> dict[str, Any]:
    """Return what the table does not say, as plain values for JSON.

    Methods, runs, engines, the machine; of ensembles the weights of each run; of each run that has
    probabilities also how these keep their word.
    """
    timed = {timing.system: timing for timing in timings}
    systems = [
        {
            "name": name,
            "method": result.method,
            "runs": [[r.run, r.seed] for r in results if r.system == name],
            "engine": timed[name].engine,
            "patch_px": timed[name].patch_px,
            "weights": [r.weights for r in results if r.system == name],
            "reliability": [
                asdict(r.reliability) for r in results if r.system == name and r.reliability
            ],
        }
        for name, result in {r.system: r for r in reversed(results)}.items()
    ]
    return {"machine": machine(), "systems": systems[::-1], "samples": samples}


class Comparison:
    """Brings runs to their end, one after the other.

    Parameters
    ----------
    material, plan
        What is learnt from, and how it is divided.
    settings
        Of the comparison.
    root
        Folder of the study.
    """

    def __init__(
        self, material: Material, plan: TrainingPlan, settings: CompareSettings, root: Path
    ) -> None:
        self._material, self._plan = material, plan
        self._settings, self._root = settings, root
        self._fitted: dict[str, Labeller] = {}  # classical methods, which are kept nowhere else

    def folder(self, run: str) -> Path:
        """Return where a run is kept."""
        return self._root / "models" / run

    def finish(self, run: Run) -> SystemResult:
        """Return the result of a run; do what of it is not done yet."""
        split, material = self._plan.parts, self._material
        key = self._key(run)
        result = SystemResult.read(self.folder(run.name))
        if result is None or result.key != key or not self._is_whole(run):
            result = self._train(run, key)
        labels_key = self._labels_key(run, key)
        scored = settings_hash(labels_key, material.truth_hash(split), self._settings.patch_px)
        if has_labels(run, material, split, key=labels_key):
            if result.scored == scored:
                return result
        else:
            label_test_slices(self._labeller(run), run, material, split, key=labels_key)
            self._fitted.pop(run.name, None)
        scores = score_run(run, material, split, patch_px=self._settings.patch_px)
        result = replace(
            result,
            scored=scored,
            labels_key=labels_key,
            scores=scores.rows,
            confusion=scores.confusions[0],
            reliability=scores.reliability[0] if scores.reliability else None,
            images=score_images(run, material, split),
        )
        result.save(self.folder(run.name))
        return result

    def _key(self, run: Run) -> str:
        """Return the hash of all that a training depends on, and nothing else."""
        if run.is_ensemble:
            members = [ModelBundle.load(self.folder(name)).fingerprint for name in run.members]
            return settings_hash(code_version(), run.method, members)
        if not run.is_classical:
            return settings_hash(code_version(), self._plan.key(run.train))
        used = {"split": run.train.split, "normalisation": run.train.normalisation}
        data = self._plan.key(TrainSettings().model_copy(update=used))
        return settings_hash(code_version(), run.method, run.seed, data)

    def _labels_key(self, run: Run, key: str) -> str:
        if run.is_classical:
            return settings_hash("labels", key)
        bundle = ModelBundle.load(self.folder(run.name))
        return settings_hash("labels", key, bundle.fingerprint, self._settings.predict)

    def _is_whole(self, run: Run) -> bool:
        if run.is_classical:
            return True
        try:
            ModelBundle.load(self.folder(run.name))
        except TomolithError:
            return False
        return True

    def _train(self, run: Run, key: str) -> SystemResult:
        """Train a run, and leave the row that says so; it has no scores yet."""
        folder = self.folder(run.name)
        with disk_errors(folder):  # no older row may seem to belong to this training
            (folder / FILE).unlink(missing_ok=True)
        result = SystemResult(run.name, run.system, run.method.name, run.seed, key)
        started_s = time.monotonic()
        if run.is_ensemble:
            result = replace(result, weights=self._join(run, folder))
        elif run.is_classical:
            self._labeller(run)
        else:
            trained = train(self._plan.examples, run.train, folder, schema=self._plan.schema)
            result = replace(result, seconds=trained.seconds, n_epochs=len(trained.rows))
        if result.n_epochs is None:
            result = replace(result, seconds=time.monotonic() - started_s)
        result.save(folder)
        return result

    def _join(self, run: Run, folder: Path) -> tuple[tuple[str, float], ...]:
        """Make an ensemble; return its members with their weights."""
        from tomolith.learn.ensemble import ensemble

        options = ensemble_options(run.method)
        made = ensemble(
            [ModelBundle.load(self.folder(name)) for name in run.members],
            options.model_copy(update={"members": run.members}),
            folder,
            examples=self._plan.examples,
            splits=[self._plan.parts] * len(run.members),
        )
        return tuple(zip(options.members, made.weights, strict=True))

    def _labeller(self, run: Run) -> Labeller:
        if run.is_classical:
            if run.name not in self._fitted:
                self._fitted[run.name] = fit_classical(run, self._material, self._plan.parts)
            return self._fitted[run.name]
        return NetworkLabeller(ModelBundle.load(self.folder(run.name)), self._settings.predict)
