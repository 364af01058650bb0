"""The recipe: one optional section per step; one YAML file describes a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tomolith.app.recipe_file import apply_overrides, expand_path, load_yaml
from tomolith.config import Settings, parse_settings
from tomolith.core import PRESETS, ClassSchema
from tomolith.errors import InputError, RecipeError
from tomolith.learn.comparison.settings import CompareSettings
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.settings import PredictSettings, TrainSettings
from tomolith.measure.electrochemistry.settings import CyclerSettings
from tomolith.measure.evaluate import EvaluateSettings
from tomolith.measure.quantify import MeasureSettings
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.verdict import VerdictSettings
from tomolith.phantom.cathode_settings import CathodeSettings
from tomolith.phantom.settings import PhantomSettings, by_preset
from tomolith.prepare.import_scan import ImportSettings
from tomolith.prepare.reconstruct import ReconstructSettings
from tomolith.report.settings import ReportSettings

S = TypeVar("S", bound=Settings)


def only(kind: type[S], section: S) -> S:
    """Return the settings of the step's function, without what the recipe adds to them."""
    return kind.model_validate({name: getattr(section, name) for name in kind.model_fields})


class TrainSection(TrainSettings):
    """Section ``train``: the settings of training, and what to train on."""

    model: str = Field("default", description="Name of the model, a folder under models/.")
    scans: tuple[str, ...] | None = Field(
        None, description="Scans to train on; all scans that carry the labels if left out."
    )
    labels: str = Field("truth", description="Name of the label map to learn from.")
    unlabelled_scans: tuple[str, ...] = Field(
        (), description="Scans that 'unlabelled' learns from beside these; of them only the image."
    )
    start_from: str | None = Field(
        None,
        description="Name of a model of this study, or path of a model folder, whose weights are "
        "the first; random ones if left out.",
    )

    @model_validator(mode="after")
    def _unlabelled_is_on(self) -> TrainSection:
        if self.unlabelled_scans and self.unlabelled.method == "none":
            raise ValueError("'unlabelled_scans' need a method: 'unlabelled: mean_teacher'")
        return self


class EnsembleSection(EnsembleSettings):
    """Section ``ensemble``: which models are averaged, and what the result is called."""

    model: str = Field("enet", description="Name of the ensemble, a folder under models/.")


class PredictSection(PredictSettings):
    """Section ``predict``: the settings of prediction, the model, and the scans."""

    model: str = Field(
        "default", description="Name of a model of this study, or path of a model folder."
    )
    scans: tuple[str, ...] | None = Field(
        None, description="Scans to segment; all scans of the study if left out."
    )
    labels: str = Field("prediction", description="Name under which the label map is stored.")


class RefineSection(RefineSettings):
    """Section ``refine``: the operations, and which label maps are refined."""

    source: str | None = Field(
        None, description="Name of the label map to refine; the predicted one if left out."
    )
    labels: str = Field("refined", description="Name under which the refined one is stored.")
    scans: tuple[str, ...] | None = Field(
        None, description="Scans to refine; all that are predicted if left out."
    )
    series: tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="The scans of each cell, in the order in which they were taken; if left out "
        "all are of one cell, and simulated ones of theirs.",
    )


class EvaluateSection(EvaluateSettings):
    """Section ``evaluate``: the metrics, and which label maps are compared."""

    truth: str = Field("truth", description="Name of the label map that is right.")
    refined: bool = Field(True, description="Also score the refined predictions, if there are.")


class MeasureSection(MeasureSettings):
    """Section ``measure``: the quantities, and which label maps are measured."""

    labels: str = Field(
        "prediction",
        description="Name of the label map to measure; the refined one where there is `refine`.",
    )
    series: tuple[str, ...] | None = Field(
        None,
        description="Scans of one cell in the order of time; all that are measured if left out, "
        "none for `[]`.",
    )
    cycler: CyclerSettings | None = Field(
        None, description="The cycler's file, and how its rests belong to the scans of the series."
    )
    maps: bool = Field(True, description="Write plan maps of every scan, as TIFF.")

    @model_validator(mode="after")
    def _cycler_has_a_series(self) -> MeasureSection:
        if self.cycler is not None and self.series == ():
            raise ValueError("'cycler' needs scans to compare with, and 'series' is []")
        return self


class CompareSection(CompareSettings):
    """Section ``compare``: the systems, and which scans and label maps they are compared on."""

    scans: tuple[str, ...] | None = Field(
        None, description="Scans to learn from and to test on; all with labels if left out."
    )
    labels: str | None = Field(
        None, description="Label map to learn from; that of the section `train` if left out."
    )
    truth: str | None = Field(
        None, description="Label map that is right; that of the section `evaluate` if left out."
    )


class Recipe(Settings):
    """A study: its name, its classes, and one optional section per step.

    Examples
    --------
    >>> recipe = Recipe.model_validate({"name": "cell-7", "classes": "li-binary", "train": {}})
    >>> recipe.schema_.names
    ('background', 'lithium')
    >>> recipe.active_steps
    ('train',)
    """

    name: str = Field(description="Name of the study; used in titles.")
    study: str = Field(".", description="Folder of the results, relative to the recipe.")
    classes: str | list[Any] = Field(
        description=f"Class schema: a preset ({', '.join(PRESETS)}), or a list of names or of "
        "{name, value, colour, role}."
    )
    phantom: Annotated[PhantomSettings | CathodeSettings, BeforeValidator(by_preset)] | None = (
        Field(None, description="A simulated lithium cell, or a simulated cathode.")
    )
    reconstruct: ReconstructSettings | None = None
    import_: ImportSettings | None = Field(None, alias="import")
    train: TrainSection | None = None
    ensemble: EnsembleSection | None = None
    predict: PredictSection | None = None
    refine: RefineSection | None = None
    evaluate: EvaluateSection | None = None
    measure: MeasureSection | None = None
    verdict: VerdictSettings | None = None
    compare: CompareSection | None = None
    report: ReportSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _measure_what_is_refined(cls, values: Any) -> Any:
        sections = values if isinstance(values, dict) else {}
        refine, measure = sections.get("refine"), sections.get("measure")
        if not isinstance(refine, dict) or not isinstance(measure, dict) or "labels" in measure:
            return values
        return {**values, "measure": {"labels": refine.get("labels", "refined"), **measure}}

    @field_validator("name")
    @classmethod
    def _name_is_text(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("a name of at least one letter")
        return value

    @property
    def schema_(self) -> ClassSchema:
        """The class schema of the study."""
        return ClassSchema.from_recipe(self.classes)

    def section(self, step: str) -> Settings | None:
        """Return the settings of ``step``; ``None`` where the recipe leaves it out."""
        section: Settings | None = getattr(self, "import_" if step == "import" else step)
        return section

    @property
    def active_steps(self) -> tuple[str, ...]:
        """Steps that the recipe has a section for, in the order in which they run."""
        return tuple(step for step in section_names() if self.section(step) is not None)


def section_names() -> tuple[str, ...]:
    """Return the names of the recipe's sections, in the order in which steps run."""
    outer = {"name", "study", "classes"}
    fields = Recipe.model_fields.items()
    return tuple(field.alias or name for name, field in fields if name not in outer)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and validate a recipe file; relative paths become absolute.

    Parameters
    ----------
    path
        The YAML file.
    overrides
        ``section.key=value`` strings, applied before validation.

    Raises
    ------
    RecipeError
        Anything in the file is unknown, missing or not acceptable.
    """
    values = apply_overrides(load_yaml(path), overrides)
    for step in section_names():
        if step in values and values[step] is None:  # 'report:' alone means all defaults
            values[step] = {}
    _expand_paths(values, path.resolve().parent)
    recipe = parse_settings(Recipe, values, where=str(path))
    try:
        _ = recipe.schema_
    except InputError as error:
        raise RecipeError(
            f"'classes': {error.found}", expected=error.expected, where=path, mend=error.mend
        ) from None
    _check(recipe, path)
    return recipe


def _expand_paths(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of the inputs absolute, in place."""
    sections = [s for s in (values.get("reconstruct"), values.get("import")) if isinstance(s, dict)]
    for entry in [e for s in sections if isinstance(s.get("scans"), list) for e in s["scans"]]:
        if not isinstance(entry, dict):
            continue
        labels = entry.get("labels")
        for holder in (entry, labels):
            if isinstance(holder, dict) and isinstance(holder.get("path"), str):
                holder["path"] = expand_path(holder["path"], folder)
    measure = values.get("measure")
    cycler = measure.get("cycler") if isinstance(measure, dict) else None
    if isinstance(cycler, dict) and isinstance(cycler.get("path"), str):
        cycler["path"] = expand_path(cycler["path"], folder)
    ensemble = values.get("ensemble")
    if isinstance(ensemble, dict) and isinstance(ensemble.get("members"), list):
        ensemble["members"] = [
            expand_path(m, folder) if isinstance(m, str) and "/" in m else m
            for m in ensemble["members"]
        ]
    train = values.get("train")
    if isinstance(train, dict) and "/" in str(train.get("start_from", "")):
        train["start_from"] = expand_path(str(train["start_from"]), folder)
    predict = values.get("predict")
    if isinstance(predict, dict) and "/" in str(predict.get("model", "")):
        predict["model"] = expand_path(str(predict["model"]), folder)


def _check(recipe: Recipe, path: Path) -> None:
    """Refuse combinations of sections that cannot work together."""
    if not recipe.active_steps:
        raise RecipeError(
            "the recipe has no step", expected=f"one of {', '.join(section_names())}", where=path
        )
    if recipe.compare:  # its systems change keys of 'train': find what is wrong before a run
        base = only(TrainSettings, recipe.train) if recipe.train else TrainSettings()
        recipe.compare.runs(base)
    if recipe.evaluate and not recipe.predict:
        raise RecipeError(
            "'evaluate' has no predictions to score", where=path, mend="add 'predict:'"
        )
    if recipe.verdict and not recipe.measure:
        raise RecipeError(
            "'verdict' has no measurements to judge", where=path, mend="add 'measure:'"
        )
    _check_rules(recipe, path)
    _check_ensemble(recipe, path)
    _check_refined_name(recipe, path)
    if not recipe.predict:
        return
    _check_prediction_name(recipe, path)
    if "/" in recipe.predict.model:
        return
    made = [f"'{s.model}'" for s in (recipe.train, recipe.ensemble) if s]
    if not made:
        raise RecipeError(
            f"'predict' asks for the model '{recipe.predict.model}', which no step trains",
            where=path,
            mend="add 'train:', or give 'predict.model' the path of a model folder",
        )
    if f"'{recipe.predict.model}'" not in made:
        raise RecipeError(
            f"'predict.model' is '{recipe.predict.model}'",
            expected=f"the model that is made here, {' or '.join(made)}, or a folder",
            where=path,
        )


def _check_rules(recipe: Recipe, path: Path) -> None:
    """Refuse rules about numbers that the section ``measure`` will not give."""
    if recipe.verdict is None or recipe.measure is None:
        return
    from tomolith.measure.planned_numbers import check_rules, planned_numbers

    numbers = planned_numbers(
        recipe.measure,
        recipe.schema_,
        cycler=recipe.measure.cycler is not None,
        series=recipe.measure.series != (),
    )
    check_rules(recipe.verdict.rules, numbers, where=f"{path}, verdict.rules")


def _check_ensemble(recipe: Recipe, path: Path) -> None:
    """Refuse an ensemble that would replace a model, or search without labels."""
    if recipe.ensemble is None:
        return
    taken = {*recipe.ensemble.members, *([recipe.train.model] if recipe.train else [])}
    if recipe.ensemble.model in taken:
        raise RecipeError(
            f"'ensemble.model' is '{recipe.ensemble.model}', and would replace that model",
            expected=f"a name other than {', '.join(sorted(taken))}",
            where=path,
        )
    if recipe.ensemble.search and not recipe.train:
        raise RecipeError(
            "'ensemble.search' needs validation slices, and there is no section 'train'",
            where=path,
            mend="add 'train:' with the split of the members, or give 'ensemble.weights'",
        )


def _check_refined_name(recipe: Recipe, path: Path) -> None:
    """Refuse to write refined labels over those that something else made."""
    if recipe.refine is None:
        return
    taken = {"truth", "hand", "otsu"} | ({recipe.refine.source} if recipe.refine.source else set())
    taken |= {recipe.train.labels} if recipe.train else set()
    taken |= {recipe.evaluate.truth} if recipe.evaluate else set()
    taken |= {recipe.predict.labels if recipe.predict else "prediction"}
    if recipe.refine.labels in taken:
        raise RecipeError(
            f"'refine.labels' is '{recipe.refine.labels}', and would replace these labels",
            expected=f"a name other than {', '.join(sorted(taken))}",
            where=path,
        )


def _check_prediction_name(recipe: Recipe, path: Path) -> None:
    """Refuse to write predictions over labels that something else made."""
    taken = {"truth", "hand", "otsu"}
    taken |= {recipe.train.labels} if recipe.train else set()
    taken |= {recipe.evaluate.truth} if recipe.evaluate else set()
    assert recipe.predict is not None
    if recipe.predict.labels in taken:
        raise RecipeError(
            f"'predict.labels' is '{recipe.predict.labels}', and would replace these labels",
            expected=f"a name other than {', '.join(sorted(taken))}",
            where=path,
        )
