"""``tomolith check``: validate, open every input, say what would run and what it needs."""

from __future__ import annotations

from collections.abc import Iterator

from tomolith.app.steps import STEPS
from tomolith.app.steps.base import out_of_date
from tomolith.app.steps.compare import planned_bytes
from tomolith.app.study import Study


def check_study(study: Study) -> Iterator[str]:
    """Yield what a user wants to know before a run; nothing is written.

    Raises
    ------
    TomolithError
        An input is missing, damaged or does not fit.
    """
    schema = study.schema
    yield f"study     {study.recipe.name}"
    yield f"folder    {study.root}"
    yield f"classes   {', '.join(f'{c.value} {c.name}' for c in schema.classes)}"
    stale = out_of_date(study)
    for name in study.recipe.active_steps:
        state = "will run" if name in stale else "up to date"
        yield f"{name:<9} {state}"
        for line in STEPS[name].describe(study):
            yield f"          {line}"
    yield _disk(study)
    yield (
        f"next      tomolith run {study.recipe_path}" if stale else "next      nothing: all is done"
    )


def _disk(study: Study) -> str:
    """Return the disk space that the scans and all made from them need, before compression."""
    pyramid = 4 / 3
    compared = planned_bytes(study) if study.recipe.compare else {}
    needed = pyramid * sum(
        scan.grid.n_voxels * (scan.dtype.itemsize + _made_bytes(study)) + compared.get(scan_id, 0)
        for scan_id, scan in study.planned_scans().items()
    )
    free = study.free_bytes()
    line = f"disk      at most {needed / 2**30:.2f} GiB needed, {free / 2**30:.1f} GiB free"
    return line if needed <= free else f"{line}: it may not fit"


def _made_bytes(study: Study) -> int:
    """Return the bytes per voxel of label maps and of what stands beside them."""
    recipe = study.recipe
    n_bytes = 2  # truth, and hand labels or invalid voxels
    if recipe.evaluate:
        n_bytes += len(recipe.evaluate.baselines)
    if recipe.refine:
        n_bytes += 2 + 2  # likewise, and what two of its passes hand on
    if recipe.predict:
        predict = recipe.predict
        n_extra = len(study.schema) * predict.probabilities
        n_extra += predict.entropy + predict.mutual_information
        n_bytes += 2 * (1 + n_extra)  # an older one stays until the new one is whole
    return n_bytes
