"""The step ``refine``: label maps mended by what is known of the cell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from tomolith.app.recipe import only
from tomolith.app.study import Study
from tomolith.config import progress
from tomolith.core.provenance import code_digest
from tomolith.errors import InputError, RecipeError
from tomolith.measure.refine.given import ROOMS
from tomolith.measure.refine.plan import plan_refinement
from tomolith.measure.refine.refine import Refined, refine
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.refine.time_model import Step
from tomolith.phantom.settings import PhantomSettings, scan_name
from tomolith.store.atomic import write_text


class RefineStep:
    """Mend label maps by what is known of the cell."""

    name = "refine"
    summary = "Mend label maps by what is known of the cell."
    function = "tomolith.measure.refine.refine:refine"
    after = ("phantom", "reconstruct", "import", "predict")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return a hash of the code: of files, only results of the study are read."""
        return (code_digest(*ROOMS),)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the label maps, and the table of what was changed."""
        name = study.recipe.refine.labels
        maps = tuple(
            study.scan_path(scan_id) / "labels" / name / "zarr.json"
            for series in refined_series(study)
            for scan_id in series
        )
        return (*maps, study.measurements / "refine.json")

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be done, what cannot be, and the memory that takes."""
        from tomolith.blocks import format_bytes

        section, planned, needed = study.recipe.refine, study.planned_scans(), 0
        predict, time = study.recipe.predict, section.wanted("time")
        shares = bool(predict and predict.probabilities and time and time.evidence != "labels")
        series = refined_series(study)
        for scans in series:
            if time is not None:
                steps_of(study, scans)
            plan = plan_refinement(
                planned[scans[0]].grid,
                only(RefineSettings, section),
                study.schema,
                n_scans=len(scans) if time else 1,
                probabilities=shares,
            )
            needed = max(needed, plan.projected_bytes)
        n_scans = sum(len(scans) for scans in series)
        lines = [
            f"{', '.join(plan.operations)}; '{source_of(study)}' of {n_scans} scans",
            f"memory {format_bytes(needed)} projected, budget {section.memory}",
        ]
        return (*lines, *(f"without {one.operation}: {one.why}" for one in plan.left_out))

    def run(self, study: Study) -> str:
        """Refine every chosen scan; write what was changed."""
        section, found = study.recipe.refine, []
        settings, series = only(RefineSettings, section), refined_series(study)
        with progress("refine", total=sum(len(scans) for scans in series)) as bar:
            for scans in series:
                steps = steps_of(study, scans) if section.wanted("time") else None
                found.append(
                    refine(
                        [study.scan(scan_id) for scan_id in scans],
                        settings,
                        source=source_of(study),
                        name=section.labels,
                        steps=steps,
                    )
                )
                bar.advance(len(scans))
        changed = json.dumps(_table(study, found, series), indent=1)
        write_text(study.measurements / "refine.json", changed)
        return _summary(found, sum(len(scans) for scans in series))


def source_of(study: Study) -> str:
    """Return the name of the label map that is refined."""
    given: str | None = study.recipe.refine.source
    return given or (study.recipe.predict.labels if study.recipe.predict else "prediction")


def refined_scans(study: Study) -> tuple[str, ...]:
    """Return the scans that are refined: those named, or those that ``predict`` labels."""
    section, predict = study.recipe.refine, study.recipe.predict
    if section.scans is None and predict and predict.labels == source_of(study):
        return study.chosen_scans(predict.scans, key="predict.scans")
    return study.chosen_scans(section.scans, key="refine.scans")


def refined_series(study: Study) -> tuple[tuple[str, ...], ...]:
    """Return the scans of each cell, in the order in which they were taken.

    Raises
    ------
    RecipeError
        A scan is named twice, or in no series.
    InputError
        A scan is named that the study does not have.
    """
    scans, named = refined_scans(study), study.recipe.refine.series
    if named is not None:
        together = [scan for series in named for scan in series]
        study.chosen_scans(together, key="refine.series")
        if sorted(together) != sorted(scans):
            wrong = set(together) ^ set(scans) or {s for s in together if together.count(s) > 1}
            raise RecipeError(
                f"'refine.series' does not hold each scan once: {', '.join(sorted(wrong))}",
                expected=f"each of {', '.join(scans)} in one series",
                where=study.recipe_path,
            )
        return named
    cells: dict[int, list[str]] = {}
    for scan_id in scans:
        cells.setdefault(_simulated(study).get(scan_id, (0, 0))[0], []).append(scan_id)
    return tuple(tuple(cell) for cell in cells.values())


def steps_of(study: Study, scans: Sequence[str]) -> tuple[Step, ...]:
    """Return what the cell did from each scan of a series to the next.

    Raises
    ------
    InputError
        The recipe does not say, or names a scan that is not refined.
    """
    time, known = study.recipe.refine.wanted("time"), _simulated(study)
    if time.charging is not None:
        study.chosen_scans(time.charging, key="refine.time.charging")
        return tuple("charge" if scan in time.charging else "discharge" for scan in scans[1:])
    if not all(scan in known for scan in scans):
        raise InputError(
            "it is not known which scans were taken while the cell charged",
            expected="the names of these scans, up to and with half cycle",
            where=f"{study.recipe_path}, refine.time.charging",
            mend=f"for example 'charging: [{', '.join(scans[1 : len(scans) // 2 + 1])}]'",
        )
    half = study.recipe.phantom.n_pulses
    pulses = [known[scan][1] for scan in scans]
    return tuple(_step(before, after, half) for before, after in pairwise(pulses))


def _step(before: int, after: int, half: int) -> Step:
    if after <= half:
        return "charge"
    return "discharge" if before >= half else "both"


def _simulated(study: Study) -> dict[str, tuple[int, int]]:
    """Return cell and number of pulses of simulated scans, by their names."""
    settings = study.recipe.phantom
    if not isinstance(settings, PhantomSettings) or settings.n_patches is not None:
        return {}
    return {
        scan_name(cell, pulse): (cell, pulse)
        for cell in range(settings.n_cells)
        for pulse in settings.scans
    }


def _table(
    study: Study, found: Sequence[Refined], series: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Return what was changed as plain values: per scan and operation, each pair of classes."""
    scans: dict[str, dict[str, Any]] = {
        scan: {operation: [] for operation in one.operations}
        for one, ids in zip(found, series, strict=True)
        for scan in ids
    }
    for one in found:
        for effect in one.effects:
            row = {"from": effect.before, "to": effect.after, "voxels": effect.n_voxels}
            scans[effect.scan][effect.operation].append(row)
    return {
        "source": source_of(study),
        "labels": study.recipe.refine.labels,
        "left_out": [asdict(left) for left in found[0].left_out],
        "scans": scans,
    }


def _summary(found: Sequence[Refined], n_scans: int) -> str:
    """Say how many voxels each operation changed."""
    changed: Counter[str] = Counter()
    for one in found:
        for effect in one.effects:
            changed[effect.operation] += effect.n_voxels
    n_voxels = sum(one.n_voxels for one in found)
    parts = [
        f"{operation} {changed[operation]:,} ({100 * changed[operation] / n_voxels:.2g} %)"
        for operation in found[0].operations
    ]
    text = f"{n_scans} scans; voxels changed: {', '.join(parts)}"
    return "; ".join((text, *(f"without {o.operation}: {o.why}" for o in found[0].left_out)))
