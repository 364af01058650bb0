"""The step ``report``: one HTML file that shows what the study found."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.study import Study
from tomolith.report import write_report


class ReportStep:
    """Write the report, one HTML file."""

    name = "report"
    summary = "Write the report, one HTML file."
    function = "tomolith.report:write_report"
    after = (
        "phantom",
        "reconstruct",
        "import",
        "train",
        "ensemble",
        "predict",
        "refine",
        "evaluate",
        "measure",
        "verdict",
        "compare",
    )

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the recipe's text, which the report shows."""
        return (study.recipe_path.read_text(encoding="utf-8"),)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the page."""
        return (study.root / "report" / "index.html",)

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say where the page goes."""
        return (f"writes {study.root / 'report' / 'index.html'}",)

    def run(self, study: Study) -> str:
        """Write the page."""
        return str(write_report(study.root, study.recipe.report))
