"""``tomolith check``: validate, open every input, say what would run and what it needs."""

from __future__ import annotations

from collections.abc import Iterator

from tomolith.app.steps import STEPS
from tomolith.app.steps.base import is_done
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
    for name in study.recipe.active_steps:
        state = "up to date" if is_done(STEPS[name], study) else "will run"
        yield f"{name:<9} {state}"
        for line in STEPS[name].describe(study):
            yield f"          {line}"
    yield _disk(study)
    yield f"next      tomolith run {study.recipe_path}"


def _disk(study: Study) -> str:
    """Return the disk space that scans and label maps need, before compression."""
    recipe = study.recipe
    n_label_maps = 1 + bool(recipe.predict)
    n_label_maps += len(recipe.evaluate.baselines) if recipe.evaluate else 0
    pyramid = 4 / 3
    needed = sum(
        scan.grid.n_voxels * (scan.dtype.itemsize + n_label_maps) * pyramid
        for scan in study.planned_scans().values()
    )
    free = study.free_bytes() / 2**30
    return f"disk      at most {needed / 2**30:.2f} GiB needed, {free:.1f} GiB free"
