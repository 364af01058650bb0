"""The step ``train``: a network from a few labelled slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tomolith.app.recipe import only
from tomolith.app.steps.base import fingerprint
from tomolith.app.study import Study
from tomolith.core.plane import turn
from tomolith.errors import InputError, RecipeError
from tomolith.label.split_checks import check_names, check_whole_scans
from tomolith.label.splits import LabelledScan, SliceRange, Split, named_parts
from tomolith.learn.planes import check_context, check_planes
from tomolith.learn.settings import TrainSettings

if TYPE_CHECKING:
    from tomolith.learn.bundle import ModelBundle
    from tomolith.learn.examples import Example
    from tomolith.learn.start import Start


class TrainStep:
    """Train a network on the labelled slices."""

    name = "train"
    summary = "Train a network on the labelled slices."
    function = "tomolith.learn.train:train"
    after = ("phantom", "reconstruct", "import")

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return the fingerprint of the model that is started from."""
        name = study.recipe.train.start_from
        return () if name is None else (fingerprint(study.named_model(name) / "model.yaml"),)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the files of the model."""
        folder = self._folder(study)
        return tuple(folder / name for name in ("weights.safetensors", "model.yaml", "split.json"))

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be trained."""
        section = study.recipe.train
        check_planned_training(study)
        scans = study.chosen_scans(section.scans, key="train.scans")
        n_labelled = len({*scans} - {*section.unlabelled_scans})
        line = (
            f"network {section.network.name}, loss {section.loss.name}, "
            f"labels '{section.labels}' of {n_labelled} scans"
            + f", plane {section.plane}" * (section.plane != "xy")
            + f", {section.in_channels} slices at a time" * (section.context_slices > 0)
            + f", from the weights of '{section.start_from}'" * (section.start_from is not None)
        )
        if section.unlabelled.method == "none":
            return (line,)
        others = f" and {len(section.unlabelled_scans)} more scans" * bool(section.unlabelled_scans)
        return (line, f"{section.unlabelled.method} on what is unlabelled in them{others}")

    def run(self, study: Study) -> str:
        """Train, and leave the model under ``models/``."""
        from tomolith.learn.train import train

        section = study.recipe.train
        examples = training_examples(study)
        result = train(
            examples,
            only(TrainSettings, section),
            self._folder(study),
            schema=study.schema,
            start=planned_start(study),
        )
        iou = result.bundle.scores.get("validation_iou")
        score = "no score" if iou is None else f"validation mean IoU {iou:.3f}"
        return f"{section.network.name}, {len(result.rows)} epochs, {score}"

    def _folder(self, study: Study) -> Path:
        return study.root / "models" / study.recipe.train.model


def check_planned_training(study: Study) -> None:
    """Refuse a training that would fail once earlier steps have run.

    Raises
    ------
    RecipeError
        The network, the loss, the patch, the plane or the split cannot be, or the model to start
        from is the one that is to be trained.
    InputError
        Slices across are to train, and voxels are no cubes; or slices between their neighbours,
        and scans hold sections.
    ReadError
        There is no model to start from.
    MismatchError
        It is of another kind, or has learnt from slices that are held out by name.
    MissingExtraError
        The network is of a library that is not installed.
    """
    from tomolith.learn.train_check import check_training

    section = study.recipe.train
    settings = only(TrainSettings, section)
    check_training(settings, study.schema)
    start = planned_start(study)
    if start is not None:
        start.check(settings, study.schema)
    without = _without_labels(study)
    chosen = study.chosen_scans(section.scans, key="train.scans")
    labelled = [i for i in chosen if i not in without]
    check_split(study, section, labelled)
    if start is not None and start.learnt:
        _check_named(study, section, start, labelled)


def planned_start(study: Study) -> Start | None:
    """Return the model whose weights are the first; ``None`` for random ones.

    Scans of another study may have the same names as those here, so of a model of another study it
    is not known which slices it has learnt from.

    Raises
    ------
    ReadError
        There is no model.
    RecipeError
        It is the one that is to be trained.
    """
    from tomolith.learn.start import Start

    section = study.recipe.train
    if section.start_from is None:
        return None
    folder, models = study.named_model(section.start_from).resolve(), study.root / "models"
    if folder == (models / section.model).resolve():
        raise RecipeError(
            f"the model to start from, '{section.start_from}', would be overwritten",
            where="train.start_from",
            mend="give the new one another name with 'train.model'",
        )
    return Start.load(folder, same_scans=folder.parent == models.resolve())


def _check_named(
    study: Study, settings: TrainSettings, start: Start, chosen: Sequence[str]
) -> None:
    """Refuse to hold out by name what the model to start from has learnt from."""
    planned = {i: scan.grid for i, scan in study.planned_scans().items() if i in chosen}
    sections = any(grid.sections for grid in planned.values())
    scans = [
        LabelledScan(i, tuple(range(turn(grid.shape_zyx, settings.plane)[0])))
        for i, grid in planned.items()
    ]
    test, validation = (
        tuple(SliceRange(scan_id, z, z + 1) for scan_id, z in sorted(places))
        for places in named_parts(scans, settings.split)
    )
    parts = Split((), validation, test, plane=settings.plane)
    start.check_held_out(parts, gap=0 if sections else settings.split.gap)


def check_split(study: Study, settings: TrainSettings, chosen: Sequence[str]) -> None:
    """Refuse a split, plane or neighbouring slices that do not fit ``chosen`` scans, as planned."""
    split, plane = settings.split, settings.plane
    check_whole_scans(split, plane, chosen)
    if not (split.test or split.validation or plane != "xy" or settings.context_slices):
        return
    planned = study.planned_scans()
    grids = {i: planned[i].grid for i in chosen}
    for grid in grids.values():
        check_planes((plane,), grid, key="train.plane")
        check_context(grid, settings.context_slices, key="train.context_slices")
    check_names({i: turn(grid.shape_zyx, plane)[0] for i, grid in grids.items()}, split)


def planned_model(study: Study) -> ModelBundle:
    """Return a model of the size of the one to be trained, with random weights."""
    from tomolith.learn.bundle import ModelBundle
    from tomolith.learn.networks import NETWORKS

    section = study.recipe.train
    network = NETWORKS.build(section.network, section.in_channels, len(study.schema))
    return ModelBundle(
        section.network,
        study.schema,
        None,
        sections=False,
        normalisation=section.normalisation.normalisation(),
        in_channels=section.in_channels,
        patch_px=section.patch_px,
        weights=network.state_dict(),
        plane=section.plane,
    )


def training_examples(study: Study) -> list[Example]:
    """Return the scans that ``train`` learns from: labelled ones, then those without labels.

    Raises
    ------
    InputError
        No scan carries the labels, or a scan named in the recipe does not.
    """
    from tomolith.learn.examples import Example

    section = study.recipe.train
    examples = []
    without = _without_labels(study)
    for scan_id in study.chosen_scans(section.scans, key="train.scans"):
        if scan_id in without:
            continue
        scan = study.scan(scan_id)
        if section.labels not in scan.label_names():
            if section.scans:
                raise InputError(
                    f"the scan '{scan_id}' has no label map '{section.labels}'",
                    expected=f"one of {', '.join(scan.label_names()) or 'none'}",
                    where=scan.path,
                )
            continue
        labels = scan.labels(section.labels)
        examples.append(Example(scan_id, scan.image, labels, scan.stats, scan.invalid))
    if not examples:
        raise InputError(
            f"no scan has a label map '{section.labels}' to learn from",
            where=study.scans_folder,
            mend="give 'labels:' to at least one entry of 'import.scans'",
        )
    for scan_id in without:
        scan = study.scan(scan_id)
        examples.append(
            Example.without_labels(
                scan_id, scan.image, study.schema, stats=scan.stats, invalid=scan.invalid
            )
        )
    return examples


def _without_labels(study: Study) -> tuple[str, ...]:
    """Return the scans of which only the image is learnt from."""
    section = study.recipe.train
    if not section.unlabelled_scans:
        return ()
    both = sorted({*section.unlabelled_scans} & {*(section.scans or ())})
    if both:
        raise RecipeError(
            f"the scan '{both[0]}' stands under 'scans' and under 'unlabelled_scans'",
            where="train",
            mend="name it in one of the two",
        )
    return tuple(study.chosen_scans(section.unlabelled_scans, key="train.unlabelled_scans"))
