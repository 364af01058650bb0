"""The step ``verdict``: whether the cell keeps the rules of the recipe."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.steps.base import is_done
from tomolith.app.study import Study
from tomolith.measure.rows import QuantityRow
from tomolith.measure.tables import read_table
from tomolith.measure.verdict import EXIT_CODES, Verdict, judge, read_verdict, write_verdict


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


def verdict_path(study: Study) -> Path:
    """Return where the verdict of a study lies."""
    return study.root / "verdict.json"


def verdict_exit_code(study: Study) -> int:
    """Return what a command that judged the study exits with: 0, 6 for fail, 7 for undecided."""
    return EXIT_CODES[read_verdict(verdict_path(study)).verdict]
