"""The verdict of a study, for the page."""

from __future__ import annotations

from dataclasses import dataclass

from tomolith.errors import ReadError
from tomolith.measure.verdict import FAIL, PASS, UNDECIDED, RuleVerdict, read_verdict
from tomolith.report.study_files import StudyFiles

_MEANS = {
    PASS: "The cell keeps every rule of the recipe.",
    FAIL: "The cell breaks a rule of the recipe.",
    UNDECIDED: "No rule is broken for certain, but not every rule can be decided.",
}


@dataclass(frozen=True)
class ShownVerdict:
    """The section that stands first."""

    verdict: str
    meaning: str
    rules: tuple[RuleVerdict, ...]


def shown_verdict(files: StudyFiles, problems: list[str]) -> ShownVerdict | None:
    """Return the section; ``None`` where nothing was judged.

    Parameters
    ----------
    files
        The study.
    problems
        A sentence is added where the verdict cannot be read.
    """
    path = files.root / "verdict.json"
    asked = {*files.recipe, *(mark.step for mark in files.marks)}
    if not path.exists() or (files.recipe and "verdict" not in asked):
        return None  # left over from another recipe
    try:
        verdict = read_verdict(path)
    except ReadError as error:
        problems.append(f"The verdict is not shown: {error.found}.")
        return None
    return ShownVerdict(verdict.verdict, _MEANS[verdict.verdict], verdict.rules)
