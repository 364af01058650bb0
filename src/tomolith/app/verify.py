"""``tomolith verify``: whether every result of a study is whole."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.steps.base import DoneMark, out_of_date, sha256
from tomolith.app.study import Study
from tomolith.config import progress
from tomolith.errors import IncompleteError, IntegrityError
from tomolith.store.integrity import verify_scan


def verify_study(path: Path) -> str:
    """Read every stored chunk back and compare the done marks with the recipe.

    Returns
    -------
    str
        One line that says what was found whole.

    Raises
    ------
    IntegrityError
        A result is damaged; every damaged one is named.
    IncompleteError
        Nothing is damaged, but a step is not done or out of date.
    """
    study = Study.load(path)
    if (study.root / ".tomolith" / "origin.json").exists():
        study = Study.load(study.root)  # with the overrides that it was run with
    scan_ids = [i for i in study.scan_ids() if study.scan_path(i).exists()]
    problems = []
    with progress("verify", total=len(scan_ids)) as bar:
        for scan_id in scan_ids:
            problems += verify_scan(study.scan_path(scan_id))
            bar.advance(note=scan_id)
    problems_text = [f"{p.path}: {p.what}" for p in problems]
    problems_text += _changed_outputs(study) + _model_problems(study)
    if problems_text:
        raise IntegrityError(
            f"{len(problems_text)} results are damaged or unfinished:\n    "
            + "\n    ".join(problems_text),
            where=study.root,
            mend="delete what is named and run the recipe again; the rest is kept",
        )
    stale = out_of_date(study)
    if stale:
        raise IncompleteError(
            f"what is there is whole, but not finished or out of date: {', '.join(stale)}",
            where=study.root,
            mend=f"tomolith run {study.recipe_path}",
        )
    return f"whole: {len(scan_ids)} scans, {len(study.recipe.active_steps)} steps"


def _changed_outputs(study: Study) -> list[str]:
    """Compare the files of each finished step with the checksums in its done mark."""
    changed = []
    for name in study.recipe.active_steps:
        mark = DoneMark.read(study, name)
        for relative, expected in mark.outputs.items() if mark else ():
            path = study.root / relative
            if not path.exists():
                changed.append(f"{path}: missing, made by '{name}'")
            elif sha256(path) != expected:
                changed.append(f"{path}: changed since '{name}' made it")
    return changed


def _model_problems(study: Study) -> list[str]:
    from tomolith.errors import TomolithError
    from tomolith.learn.bundle import ModelBundle

    problems = []
    for section in (study.recipe.train, study.recipe.ensemble):
        folder = study.root / "models" / (section.model if section else "")
        if section is None or not folder.exists():
            continue
        try:
            ModelBundle.load(folder)
        except TomolithError as error:
            problems.append(f"{folder}: {error.found}")
    return problems
