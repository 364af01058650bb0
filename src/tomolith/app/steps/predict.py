"""The step ``predict``: whole scans through a trained network, out of core."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tomolith.app.recipe import only
from tomolith.app.steps.base import fingerprint
from tomolith.app.steps.ensemble import planned_ensemble
from tomolith.app.steps.train import planned_model
from tomolith.app.study import Study
from tomolith.learn.settings import PredictSettings

if TYPE_CHECKING:
    from tomolith.learn.bundle import ModelBundle


class PredictStep:
    """Segment whole scans, out of core."""

    name = "predict"
    summary = "Segment whole scans, out of core."
    function = "tomolith.learn.predict:predict"
    after = ("phantom", "reconstruct", "import", "train", "ensemble")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the fingerprint of a model from outside the study."""
        return () if _is_made_here(study) else (fingerprint(study.model_folder()),)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the label maps."""
        name = study.recipe.predict.labels
        return tuple(
            study.scan_path(scan_id) / "labels" / name / "zarr.json"
            for scan_id in self._scans(study)
        )

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say how many scans would be segmented, and the memory that takes."""
        from tomolith.blocks import format_bytes
        from tomolith.learn.predict import plan_prediction

        section = study.recipe.predict
        bundle = _bundle(study)
        planned = study.planned_scans()
        needed = 0
        for scan_id in self._scans(study):
            scan = planned[scan_id]
            if not _is_made_here(study):
                bundle.check_matches(scan.as_volume(), study.schema)
            plan = plan_prediction(scan.grid, bundle, section, dtype=scan.dtype)
            needed = max(needed, plan.projected_bytes)
        n_scans = len(self._scans(study))
        return (
            f"{n_scans} scans; memory {format_bytes(needed)} projected, budget {section.memory}",
        )

    def run(self, study: Study) -> str:
        """Segment every chosen scan."""
        from tomolith.learn.bundle import ModelBundle
        from tomolith.learn.predict import predict

        section = study.recipe.predict
        settings = only(PredictSettings, section)
        bundle = ModelBundle.load(study.model_folder())
        n_voxels = 0
        for scan_id in self._scans(study):
            scan = study.scan(scan_id)
            bundle.check_matches(scan.image, study.schema)
            labels = predict(scan, bundle, settings, name=section.labels)
            n_voxels += labels.grid.n_voxels
        return f"{len(self._scans(study))} scans, {n_voxels:,} voxels"

    def _scans(self, study: Study) -> tuple[str, ...]:
        return study.chosen_scans(study.recipe.predict.scans, key="predict.scans")


def _is_made_here(study: Study) -> bool:
    """Tell whether a step of this recipe makes the model."""
    sections = (study.recipe.train, study.recipe.ensemble)
    return study.recipe.predict.model in [s.model for s in sections if s is not None]


def _bundle(study: Study) -> ModelBundle:
    """Return the model, or where it is still to be trained one of the same size."""
    from tomolith.learn.bundle import ModelBundle

    recipe = study.recipe
    if not _is_made_here(study):
        return ModelBundle.load(study.model_folder())
    if recipe.ensemble is not None and recipe.predict.model == recipe.ensemble.model:
        return planned_ensemble(study)
    return planned_model(study)
