"""The step ``predict``: whole scans through a trained network, out of core."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.steps.base import fingerprint
from tomolith.app.study import Study


class PredictStep:
    """Segment whole scans, out of core."""

    name = "predict"
    summary = "Segment whole scans, out of core."
    function = "tomolith.learn.predict:predict"
    after = ("phantom", "import", "train")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the fingerprint of a model from outside the study."""
        return () if study.recipe.train else (fingerprint(study.model_folder()),)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the label maps."""
        name = study.recipe.predict.labels
        return tuple(
            study.scan_path(scan_id) / "labels" / name / "zarr.json"
            for scan_id in self._scans(study)
        )

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say which scans would be segmented, and within which memory."""
        section = study.recipe.predict
        return (f"{len(self._scans(study))} scans within {section.memory}",)

    def run(self, study: Study) -> str:
        """Segment every chosen scan."""
        from tomolith.learn.bundle import ModelBundle
        from tomolith.learn.predict import predict

        section = study.recipe.predict
        bundle = ModelBundle.load(study.model_folder())
        n_voxels = 0
        for scan_id in self._scans(study):
            labels = predict(study.scan(scan_id), bundle, section, name=section.labels)
            n_voxels += labels.grid.n_voxels
        return f"{len(self._scans(study))} scans, {n_voxels:,} voxels"

    def _scans(self, study: Study) -> tuple[str, ...]:
        return study.chosen_scans(study.recipe.predict.scans, key="predict.scans")
