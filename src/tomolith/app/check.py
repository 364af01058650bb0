"""``tomolith check``: validate, open every input, say what would run and what it needs."""

from __future__ import annotations

from collections.abc import Iterator

from tomolith.app.steps import STEPS
from tomolith.app.steps.base import is_done
from tomolith.app.study import Study
from tomolith.core import Grid


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
    grids: list[tuple[Grid, int]] = []
    for name in study.recipe.active_steps:
        state = "up to date" if is_done(STEPS[name], study) else "will run"
        yield f"{name:<9} {state}"
        for line in STEPS[name].describe(study):
            yield f"          {line}"
        grids += getattr(STEPS[name], "grids", lambda _: [])(study)
    yield from _needs(study, grids)
    yield f"next      tomolith run {study.recipe_path}"


def _needs(study: Study, grids: list[tuple[Grid, int]]) -> Iterator[str]:
    """Yield the disk space that scans and label maps need, before compression."""
    n_label_maps = bool(study.recipe.predict) + len(
        study.recipe.evaluate.baselines if study.recipe.evaluate else ()
    )
    pyramid = 4 / 3
    needed = sum(g.n_voxels * (itemsize + 1 + n_label_maps) * pyramid for g, itemsize in grids)
    yield (
        f"disk      at most {needed / 2**30:.2f} GiB needed, "
        f"{study.free_bytes() / 2**30:.1f} GiB free"
    )
