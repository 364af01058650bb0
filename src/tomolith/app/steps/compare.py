"""The step ``compare``: several systems on the same slices."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.recipe import only
from tomolith.app.steps.train import check_split
from tomolith.app.study import Study
from tomolith.config import settings_hash
from tomolith.errors import InputError
from tomolith.label.split_checks import most_held_out
from tomolith.learn.comparison.run import Run
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.settings import TrainSettings


class CompareStep:
    """Train several systems and compare them on held-out slices."""

    name = "compare"
    summary = "Train several systems and compare them on held-out slices."
    function = "tomolith.learn.comparison.compare:compare"
    after = ("phantom", "reconstruct", "import")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the hash of what the section takes over from other sections."""
        return (settings_hash(_base(study), *label_names(study)),)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the tables, and the row and the model of every run."""
        tables = [study.measurements / f"compare.{end}" for end in ("parquet", "csv", "json")]
        for run in _runs(study):
            folder = study.root / "models" / run.name
            model = () if run.is_classical else ("weights.safetensors", "model.yaml")
            tables += [folder / name for name in ("compare.json", *model)]
        return tuple(tables)

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be trained."""
        check_planned_comparison(study)
        labels, truth = label_names(study)
        names = ", ".join(run.name for run in _runs(study))
        return (f"{names}; learns from '{labels}', scored against '{truth}'",)

    def run(self, study: Study) -> str:
        """Finish every run; write the table and the figures."""
        from tomolith.learn.comparison.compare import compare
        from tomolith.report.comparison import write_figures

        section = study.recipe.compare
        labels, truth = label_names(study)
        chosen = study.chosen_scans(section.scans, key="compare.scans")
        rows = compare(
            [study.scan(scan_id) for scan_id in chosen],
            only(CompareSettings, section),
            study.root,
            schema=study.schema,
            base=_base(study),
            labels=labels,
            truth=truth,
        )
        write_figures(study.root)
        means = {
            row.system: row.value
            for row in rows
            if (row.seed, row.quantity, row.convention, row.class_name)
            == ("all", "iou", "pooled", "")
            and row.value is not None
        }
        best = sorted(means, key=lambda system: -means[system])
        return "mean IoU: " + ", ".join(f"{system} {means[system]:.3f}" for system in best)


def check_planned_comparison(study: Study) -> None:
    """Refuse a comparison of which any system would fail when its turn comes.

    Raises
    ------
    RecipeError
        A network, loss or patch of a system, or the split, cannot be.
    InputError
        No slice is held out for the test, or sections are to be seen between their neighbours.
    MissingExtraError
        A network is of a library that is not installed.
    """
    from tomolith.learn.comparison.material import no_test_slice
    from tomolith.learn.train_check import check_runs

    section, base = study.recipe.compare, _base(study)
    check_runs(_runs(study), study.schema)
    common = section.widest(base)
    if not common.split.test and not common.split.test_frac:
        raise no_test_slice()
    check_split(study, common, study.chosen_scans(section.scans, key="compare.scans"))


def planned_bytes(study: Study) -> dict[str, int]:
    """Return the bytes that the labels and probabilities of all runs take at most, by scan.

    Only test slices count: what is empty takes next to nothing once compressed.
    """
    section, base = study.recipe.compare, _base(study)
    chosen = study.chosen_scans(section.scans, key="compare.scans")
    shapes = {i: scan.grid.shape_zyx for i, scan in study.planned_scans().items() if i in chosen}
    depths = {scan_id: shape[0] for scan_id, shape in shapes.items()}
    held = most_held_out(depths, section.common(base).split)
    per_run = [1 + len(study.schema) * run.has_probabilities for run in _runs(study)]
    per_voxel = sum(per_run) + max(per_run)  # an older one stays until the new one is whole
    return {i: held[i] * shape[1] * shape[2] * per_voxel for i, shape in shapes.items()}


def _runs(study: Study) -> tuple[Run, ...]:
    runs = study.recipe.compare.runs(_base(study))
    own = study.recipe.train.model if study.recipe.train else None
    for run in runs:
        if run.name == own:
            raise InputError(
                f"'compare' and 'train' would both write the model '{own}'",
                where=study.recipe_path,
                mend="call the system, or 'train.model', something else",
            )
    return runs


def _base(study: Study) -> TrainSettings:
    train = study.recipe.train
    return only(TrainSettings, train) if train else TrainSettings()


def label_names(study: Study) -> tuple[str, str]:
    """Return the label maps that are learnt from and scored against."""
    section, recipe = study.recipe.compare, study.recipe
    labels = section.labels or (recipe.train.labels if recipe.train else "truth")
    return labels, section.truth or (recipe.evaluate.truth if recipe.evaluate else "truth")
