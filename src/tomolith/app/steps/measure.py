"""The step ``measure``: numbers from label maps."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.recipe import only
from tomolith.app.study import Study
from tomolith.config import progress
from tomolith.errors import InputError
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.tables import measurement_rows, write_table


class MeasureStep:
    """Turn labels into numbers."""

    name = "measure"
    summary = "Turn labels into numbers."
    function = "tomolith.measure.quantify:measure"
    after = ("phantom", "reconstruct", "import", "predict")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return nothing: only results of the study are read."""
        return ()

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the tables."""
        return tuple(study.measurements / f"quantities.{end}" for end in ("parquet", "csv"))

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be measured."""
        section = study.recipe.measure
        return (f"label map '{section.labels}' of {len(study.scan_ids())} scans",)

    def run(self, study: Study) -> str:
        """Measure the label map of every scan that has it."""
        section = study.recipe.measure
        settings = only(MeasureSettings, section)
        found = []
        scan_ids = _scans_with(study, section.labels)
        if not scan_ids:
            raise InputError(
                f"no scan has a label map '{section.labels}'",
                where=study.scans_folder,
                mend="add 'predict:' to the recipe, or name another under 'measure.labels'",
            )
        with progress("measure", total=len(scan_ids)) as bar:
            for scan_id in scan_ids:
                labels = study.scan(scan_id).labels(section.labels)
                found += measure(labels, settings, region=scan_id)
                bar.advance(note=scan_id)
        write_table(
            measurement_rows(found, labels=section.labels), study.measurements / "quantities"
        )
        return f"{len(found)} numbers of {len(scan_ids)} scans"


def _scans_with(study: Study, labels: str) -> tuple[str, ...]:
    """Return the scans to measure: those that ``predict`` labels, or that carry other labels."""
    predict = study.recipe.predict
    if predict and predict.labels == labels:
        return study.chosen_scans(predict.scans, key="predict.scans")
    return tuple(i for i in study.scan_ids() if labels in study.scan(i).label_names())
