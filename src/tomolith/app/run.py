"""Run the steps of a recipe that are out of date, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tomolith.app.steps import STEPS
from tomolith.app.steps.base import DoneMark, Step, is_done, require_earlier_steps, run_step
from tomolith.app.steps.compare import check_planned_comparison
from tomolith.app.steps.ensemble import planned_ensemble
from tomolith.app.steps.train import check_planned_training
from tomolith.app.steps.verdict import check_scans
from tomolith.app.study import Study
from tomolith.store.locks import lock

Say = Callable[[str], None]


def run_study(study: Study, *, say: Say, until: str | None = None) -> None:
    """Run every step that is out of date.

    Parameters
    ----------
    study
        The recipe and its folder.
    say
        Called with one line before and after each step.
    until
        Name of the last step to run; all if left out.

    Raises
    ------
    TomolithError
        A step could not be finished. What is done stays done; running again
        goes on from there.
    LockedError
        Another process works on this study.
    """
    with lock(study.private, f"run {study.recipe.name}"):
        study.prepare()
        if study.recipe.verdict:
            check_scans(study)
        steps = study.recipe.active_steps
        if until is not None:
            steps = steps[: steps.index(until) + 1]
        _check_learning(study, steps)
        for name in steps:
            _check_prediction(name, study)
            _run_if_needed(STEPS[name], study, say)


def run_one(study: Study, step: str, *, say: Say) -> None:
    """Run one step, whether or not it is out of date."""
    with lock(study.private, f"{step} {study.recipe.name}"):
        study.prepare()
        require_earlier_steps(STEPS[step], study)
        _check_prediction(step, study)
        say(_title(step))
        say(_outcome(run_step(STEPS[step], study)))


def _check_prediction(step: str, study: Study) -> None:
    """Refuse to train a network that cannot predict the scans as the recipe asks.

    Raises
    ------
    InputError
        A scan is smaller than a patch, or the patch does not fit the network.
    MemoryBudgetError
        The prediction does not fit its memory budget.
    """
    train, predict = study.recipe.train, study.recipe.predict
    is_used = step == "train" and predict and predict.model == train.model
    if is_used and not is_done(STEPS[step], study):
        STEPS["predict"].describe(study)


def _check_learning(study: Study, steps: Sequence[str]) -> None:
    """Refuse what would fail when its turn comes, before anything runs."""
    checks: tuple[tuple[str, Callable[[Study], object]], ...] = (
        ("train", check_planned_training),
        ("ensemble", planned_ensemble),
        ("compare", check_planned_comparison),
    )
    for name, check in checks:
        if name in steps and not is_done(STEPS[name], study):
            check(study)


def _run_if_needed(step: Step, study: Study, say: Say) -> None:
    if is_done(step, study):
        mark = DoneMark.read(study, step.name)
        say(f"{step.name:<9} up to date: {mark.summary if mark else ''}")
        return
    say(_title(step.name))
    say(_outcome(run_step(step, study)))


def _title(step: str) -> str:
    return f"{step:<9} …"


def _outcome(mark: DoneMark) -> str:
    return f"{mark.step:<9} {mark.summary} ({duration(mark.seconds)})"


def duration(seconds: float) -> str:
    """Return a time span as people say it.

    Examples
    --------
    >>> duration(3.21), duration(185)
    ('3.2 s', '3 min 05 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
