"""The step ``evaluate``: the network and simple baselines scored on held-out slices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tomolith.app.evidence import FILE, REFINED, system_name
from tomolith.app.recipe import only
from tomolith.app.steps.refine import refined_scans, source_of
from tomolith.app.study import Study
from tomolith.config import progress, settings_hash
from tomolith.core import Box, Provenance
from tomolith.core.plane import Plane
from tomolith.errors import InputError
from tomolith.label.splits import SliceRange, Split, slabs
from tomolith.measure.evaluate import EvaluateSettings, Pair, Scores, Subset, evaluate
from tomolith.measure.tables import write_scores
from tomolith.store.scan import Scan


class EvaluateStep:
    """Score predictions against labels on held-out slices."""

    name = "evaluate"
    summary = "Score predictions against labels on held-out slices."
    function = "tomolith.measure.evaluate:evaluate"
    after = ("phantom", "reconstruct", "import", "train", "predict", "refine")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return nothing: only results of the study are read."""
        return ()

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the tables."""
        names = ["scores.parquet", "scores.csv", "confusion.json", FILE]
        if study.recipe.predict.probabilities:
            names.append("reliability.json")
        return tuple(study.measurements / name for name in names)

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be scored."""
        section, train = study.recipe.evaluate, study.recipe.train
        subsets = _scored(study, train.plane if train else "xy")
        if not subsets or (train and train.plane != "xy" and not train.split.test):
            raise _nothing_to_score(study)
        baselines = ", ".join(section.baselines) or "no baseline"
        return (f"against '{section.truth}', on {' and '.join(subsets)}; {baselines}",)

    def run(self, study: Study) -> str:
        """Score every held-out slice; write the tables."""
        section = study.recipe.evaluate
        split = held_out(study)
        scored = _scored(study, split.plane)
        parts = {s: getattr(split, s) for s in scored if getattr(split, s)}
        if not parts:
            raise _nothing_to_score(study)
        _require_predictions(study, parts)
        systems = {system_name(study): study.recipe.predict.labels}
        if _scores_refined(study, parts):
            systems[f"{system_name(study)}{REFINED}"] = study.recipe.refine.labels
        if "otsu" in section.baselines and split.train:
            _label_with_otsu(study, split, parts)
            systems["otsu"] = "otsu"
        pairs = [
            pair
            for system, labels in systems.items()
            for subset, ranges in parts.items()
            for pair in _pairs(study, ranges, system=system, labels=labels, subset=subset)
        ]
        scores = evaluate(pairs, only(EvaluateSettings, section))
        write_scores(scores, study.measurements)
        return _summary(scores, list(systems), list(parts))


def held_out(study: Study) -> Split:
    """Return the split the model was trained with; without a training, all truth is test."""
    recipe = study.recipe
    if recipe.train:
        path = study.root / "models" / recipe.train.model / "split.json"
        own = study.model_folder() / "split.json"  # of an ensemble, whose members may differ
        if recipe.ensemble and recipe.predict.model == recipe.ensemble.model and own.exists():
            path = own
        return Split.from_dict(json.loads(path.read_text(encoding="utf-8")))
    truth = study.recipe.evaluate.truth
    whole = tuple(
        SliceRange(scan_id, 0, study.scan(scan_id).grid.shape_zyx[0])
        for scan_id in study.scan_ids()
        if truth in study.scan(scan_id).label_names()
    )
    return Split((), (), whole)


def _scored(study: Study, plane: Plane) -> tuple[Subset, ...]:
    """Return the subsets that are scored: slices of z, so the test alone where others train."""
    subsets = study.recipe.evaluate.subsets
    return subsets if plane == "xy" else tuple(s for s in subsets if s == "test")


def _nothing_to_score(study: Study) -> InputError:
    return InputError(
        f"the split has no slice for {' or '.join(study.recipe.evaluate.subsets)}",
        where=study.recipe_path,
        mend="widen 'evaluate.subsets', or hold slices out under 'train.split' (whole scans for "
        "the test, where slices of another plane than xy train)",
    )


def _scores_refined(study: Study, parts: dict[str, Sequence[SliceRange]]) -> bool:
    """Tell whether the predictions were refined on every scan that is scored."""
    recipe = study.recipe
    if not recipe.refine or not recipe.evaluate.refined:
        return False
    held = {r.scan_id for part in parts.values() for r in part}
    return source_of(study) == recipe.predict.labels and held <= set(refined_scans(study))


def _require_predictions(study: Study, parts: dict[str, Sequence[SliceRange]]) -> None:
    """Refuse to score a map of an earlier run on a scan that is no longer predicted."""
    predicted = study.chosen_scans(study.recipe.predict.scans, key="predict.scans")
    missing = sorted({r.scan_id for part in parts.values() for r in part} - set(predicted))
    if missing:
        raise InputError(
            f"held-out slices lie in scans that are not predicted: {', '.join(missing)}",
            where=study.recipe_path,
            mend="add them to 'predict.scans', or narrow 'evaluate.subsets'",
        )


def _pairs(
    study: Study, ranges: Sequence[SliceRange], *, system: str, labels: str, subset: str
) -> Iterator[Pair]:
    for scan_id, boxes in _boxes(study, ranges).items():
        scan = study.scan(scan_id)
        truth = scan.labels(study.recipe.evaluate.truth)
        predict = study.recipe.predict
        shares = None
        if predict.probabilities and labels == predict.labels:
            shares = scan.extra(f"probabilities/{labels}")
        yield Pair(scan_id, scan.labels(labels), truth, boxes, subset, system, shares)


def _boxes(
    study: Study, ranges: Sequence[SliceRange], *, plane: Plane = "xy"
) -> dict[str, tuple[Box, ...]]:
    shapes = {r.scan_id: study.scan(r.scan_id).grid.shape_zyx for r in ranges}
    return slabs(ranges, shapes, plane=plane)


def _label_with_otsu(study: Study, split: Split, parts: dict[str, Sequence[SliceRange]]) -> None:
    """Write the label map ``otsu`` of every scan that has a slice to score.

    Without a training in this study there are no slices to fit it on, and no baseline.
    """
    from tomolith.learn.classical.otsu import OtsuBaseline, TrainingSlices

    learn_from = study.recipe.train.labels
    examples = []
    for scan_id, boxes in _boxes(study, split.train, plane=split.plane).items():
        scan = study.scan(scan_id)
        examples.append(TrainingSlices(scan.image, scan.labels(learn_from), boxes))
    otsu = OtsuBaseline.fit(examples)
    scan_ids = sorted({r.scan_id for part in parts.values() for r in part})
    with progress("otsu", total=len(scan_ids)) as bar:
        for scan_id in scan_ids:
            scan = study.scan(scan_id)
            writer = scan.create_labels("otsu", otsu.schema, provenance=_otsu_provenance(scan))
            otsu.predict(
                scan.image,
                writer.array,
                block_zyx=writer.layout.shard_zyx,
                invalid=scan.invalid,
            )
            writer.finish()
            bar.advance(note=scan_id)


def _otsu_provenance(scan: Scan) -> Provenance:
    return Provenance.now("evaluate", inputs=(scan.id,), settings_hash=settings_hash("otsu"))


def _summary(scores: Scores, systems: list[str], subsets: list[str]) -> str:
    if "iou" not in {row.metric for row in scores.rows}:
        return f"{len(scores.rows)} scores"
    subset = subsets[-1]
    found = [(s, scores.value("iou", system=s, subset=subset)) for s in systems]
    text = ", ".join(f"{s} {v:.3f}" for s, v in found if v is not None)
    return f"mean IoU on {subset} slices: {text}"
