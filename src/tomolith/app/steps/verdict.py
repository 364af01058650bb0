"""The step ``verdict``: whether the cell keeps the rules of the recipe."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.steps.base import is_done
from tomolith.app.study import Study
from tomolith.config import did_you_mean
from tomolith.errors import RecipeError
from tomolith.measure.rows import SERIES, QuantityRow
from tomolith.measure.tables import read_table
from tomolith.measure.verdict import EXIT_CODES, Verdict, judge, read_verdict, write_verdict
from tomolith.measure.verdict_rules import parse_rule


class VerdictStep:
    """Hold the rules of the recipe against the measured numbers."""

    name = "verdict"
    summary = "Hold the rules of the recipe against the measured numbers."
    function = "tomolith.measure.verdict:judge"
    after = ("measure",)

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return nothing: only results of the study are read."""
        return ()

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the verdict."""
        return (verdict_path(study),)

    def describe(self, study: Study) -> tuple[str, ...]:
        """Return the rules; refuse names that are not in a table that is up to date."""
        from tomolith.app.steps import STEPS

        rules = study.recipe.verdict.rules
        check_scans(study)
        if is_done(STEPS["measure"], study):
            self._judge(study)
        return rules

    def run(self, study: Study) -> str:
        """Judge, and write ``verdict.json``; a rule that fails is no error."""
        verdict = self._judge(study)
        write_verdict(verdict, verdict_path(study))
        return verdict.summary

    def _judge(self, study: Study) -> Verdict:
        rows = read_table(study.measurements / "quantities", QuantityRow)
        return judge(rows, study.recipe.verdict, where=f"{study.recipe_path}, verdict.rules")


def check_scans(study: Study) -> None:
    """Refuse rules that name a scan which the study does not have.

    Raises
    ------
    RecipeError
        A rule does.
    """
    known = (*study.scan_ids(), SERIES)
    for rule in map(parse_rule, study.recipe.verdict.rules):
        if rule.at is not None and rule.at not in known:
            raise RecipeError(
                f"the rule '{rule.text}' names the scan '{rule.at}'",
                expected=f"one of {', '.join(known)}",
                where=f"{study.recipe_path}, verdict.rules",
                mend=did_you_mean(rule.at, known),
            )


def verdict_path(study: Study) -> Path:
    """Return where the verdict of a study lies."""
    return study.root / "verdict.json"


def verdict_exit_code(study: Study) -> int:
    """Return what a command that judged the study exits with: 0, 6 for fail, 7 for undecided."""
    return EXIT_CODES[read_verdict(verdict_path(study)).verdict]
