"""What held-out slices tell of a label map, for the error bars of what is measured in it."""

from __future__ import annotations

from dataclasses import replace

from tomolith.app.study import Study
from tomolith.measure.held_out import HeldOut, read_held_out

FILE = "held_out.json"
REFINED = ", refined"
_FALLBACK = "model"


def system_name(study: Study) -> str:
    """Return what the predictions are called in the table of scores."""
    recipe = study.recipe
    if recipe.ensemble and recipe.predict.model == recipe.ensemble.model:
        return recipe.ensemble.model
    return recipe.train.network.name if recipe.train else _FALLBACK


def held_out_counts(study: Study, labels: str) -> HeldOut | None:
    """Return the held-out slices of whatever made ``labels``; ``None`` where none were scored.

    Parameters
    ----------
    study
        Its step ``evaluate`` left the counts, its section ``measure`` says which subsets count.
    labels
        Name of the label map that is measured.

    Raises
    ------
    ReadError
        The counts are damaged.
    """
    recipe, path = study.recipe, study.measurements / FILE
    if recipe.evaluate is None or recipe.predict is None or not path.exists():
        return None
    systems = {recipe.predict.labels: system_name(study)}
    if recipe.refine is not None:
        systems[recipe.refine.labels] = f"{system_name(study)}{REFINED}"
    subsets = recipe.measure.uncertainty.subsets
    records = [
        r for r in read_held_out(path) if r.system == systems.get(labels) and r.subset in subsets
    ]
    if not records:
        return None
    slices = sorted((s for r in records for s in r.slices), key=lambda s: (s.scan, s.z))
    return replace(records[0], slices=tuple(slices))
