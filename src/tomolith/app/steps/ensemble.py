"""The step ``ensemble``: trained models averaged into one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tomolith.app.recipe import only
from tomolith.app.steps.base import fingerprint
from tomolith.app.steps.train import training_examples
from tomolith.app.study import Study
from tomolith.label.splits import Split
from tomolith.learn.ensemble_settings import EnsembleSettings

if TYPE_CHECKING:
    from tomolith.learn.bundle import ModelBundle


class EnsembleStep:
    """Average trained models into one."""

    name = "ensemble"
    summary = "Average trained models into one."
    function = "tomolith.learn.ensemble:ensemble"
    after = ("phantom", "reconstruct", "import", "train")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the fingerprints of the members' descriptions."""
        return tuple(fingerprint(folder / "model.yaml") for folder in _folders(study))

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the files of the model."""
        folder = study.root / "models" / study.recipe.ensemble.model
        return tuple(folder / name for name in ("weights.safetensors", "model.yaml"))

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be averaged; every member that is already trained is opened."""
        section = study.recipe.ensemble
        planned_ensemble(study)
        if section.search is None:
            weights = ", ".join(f"{w:g}" for w in section.member_weights)
            return (f"{', '.join(section.members)} with the weights {weights}",)
        return (f"{', '.join(section.members)}; weights with the best {section.search}",)

    def run(self, study: Study) -> str:
        """Make the ensemble, and leave it under ``models/``."""
        from tomolith.learn.bundle import ModelBundle
        from tomolith.learn.ensemble import ensemble

        section = study.recipe.ensemble
        folders = _folders(study)
        splits = _splits(folders) if study.recipe.train else []
        result = ensemble(
            [ModelBundle.load(folder) for folder in folders],
            only(EnsembleSettings, section),
            study.root / "models" / section.model,
            examples=training_examples(study) if splits else [],
            splits=splits,
        )
        parts = [
            f"{weight:.3g} {member}"
            for weight, member in zip(result.weights, section.members, strict=True)
        ]
        iou = result.bundle.scores.get("validation_iou")
        score = "" if iou is None else f", validation mean IoU {iou:.3f}"
        return " + ".join(parts) + score


def planned_ensemble(study: Study) -> ModelBundle:
    """Return the ensemble, its members that are still to be trained with random weights.

    Raises
    ------
    ReadError
        A member is no model, and no step of this recipe trains it.
    MismatchError
        The members do not fit together.
    InputError
        A member cannot be averaged, or no weights can be searched.
    """
    from dataclasses import replace

    from tomolith.app.steps.train import planned_model
    from tomolith.learn.bundle import ModelBundle
    from tomolith.learn.ensemble import check_fusion, join_models

    section, train = study.recipe.ensemble, study.recipe.train
    members = []
    for name, folder in zip(section.members, _folders(study), strict=True):
        if train is not None and name == train.model:
            members.append(planned_model(study))
        else:
            members.append(ModelBundle.load(folder))
    if train is not None and train.model in section.members:
        # the voxel size of what is still to be trained is not known here
        members = [replace(m, voxel_size_um=None, sections=False) for m in members]
    check_fusion(members, section)
    even = [1.0] * len(members)
    return join_models(members, even if section.search else section.member_weights)


def _folders(study: Study) -> list[Path]:
    return [study.named_model(member) for member in study.recipe.ensemble.members]


def _splits(folders: list[Path]) -> list[Split]:
    """Return the split of every member; none where one of them has lost its own."""
    paths = [folder / "split.json" for folder in folders]
    if not all(path.is_file() for path in paths):
        return []
    return [Split.from_dict(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
