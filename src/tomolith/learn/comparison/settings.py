"""Settings of the step ``compare``; free of torch, so that a check starts quickly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from tomolith.config import Component, Settings, did_you_mean, parse_settings
from tomolith.errors import RecipeError
from tomolith.learn.comparison.run import CLASSICAL, ENSEMBLE, THRESHOLDS, Run, run_name
from tomolith.learn.ensemble_settings import EnsembleSettings
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import PredictSettings, TrainSettings
from tomolith.measure.rows import TRUTH

if TYPE_CHECKING:
    from tomolith.learn.classical.forest import ForestSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# these differ from run to run, and so mean nothing for all of them
_OF_A_RUN = ("network", "seed")
# and no system may have its own of these: all learn from and are tested on the same slices
_COMMON = ("split", *_OF_A_RUN)


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("each seed once: the same seed gives the same training")
    return seeds


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), AfterValidator(_each_once)
]


class SystemSettings(Settings):
    """One system of a comparison; in a recipe also its name alone.

    Parameters
    ----------
    name
        What it is called; a registered name needs no ``method``.
    method
        A registered network, ``otsu``, ``multi_otsu``, ``random_forest``, or ``ensemble`` of
        systems named before it; a name, or a mapping of the name and its options.
    train
        Keys of the section ``train`` that this system has otherwise; each replaces the whole key.
    seeds
        One training each; ``None``: those of the comparison.

    Examples
    --------
    >>> SystemSettings.model_validate("unet").component.name
    'unet'
    >>> mean = {"name": "ensemble", "members": ["unet", "transforcnn"]}
    >>> SystemSettings.model_validate({"name": "e-net", "method": mean}).members
    ('unet', 'transforcnn')
    """

    name: str
    method: Component | None = None
    train: dict[str, Any] = Field(default_factory=dict)
    seeds: Seeds | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _fits_a_folder(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("letters, digits, '-' and '_'")
        if value == TRUTH:
            raise ValueError(f"another name: the table calls the true amounts '{TRUTH}'")
        return value

    @property
    def component(self) -> Component:
        """The method, by default that of the system's own name."""
        return self.method or Component(name=self.name)

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the systems that it averages; empty where it is no ensemble."""
        members = self.component.options.get("members", ())
        if self.component.name != ENSEMBLE or not isinstance(members, list | tuple):
            return ()
        return tuple(map(str, members))

    @property
    def has_chance(self) -> bool:
        """Whether another seed gives another result."""
        return self.component.name not in THRESHOLDS


class TimingSettings(Settings):
    """How latency is measured.

    Parameters
    ----------
    patch_px
        Side of the patches; raised to the next multiple of a network's divisor.
    max_batch
        Largest batch tried, doubling from 1.
    seconds
        Time measured for each batch size, after a warm-up.
    rounds
        So many times all systems are measured, one after the other; the fastest round counts.
        A classical method, which is fitted anew for it, makes its rounds in one go.

    Examples
    --------
    >>> TimingSettings().patch_px
    128
    """

    patch_px: int = Field(128, ge=8)
    max_batch: int = Field(32, ge=1)
    seconds: float = Field(1.0, gt=0)
    rounds: int = Field(2, ge=1)


class CompareSettings(Settings):
    """Which systems are compared, and how.

    Parameters
    ----------
    systems
        Each a name alone, or a section of its own.
    seeds
        Trainings of each system, unless it names its own. Three give a mean with its standard
        deviation.
    train
        Keys of the section ``train`` that differ for all systems.
    patch_px
        Side in pixels of the patches of the mean over patches.
    timing
        How latency is measured.
    backend, precision, device, threads
        As in the section ``predict``; for the labels and for the latency.
    n_samples
        Test slices that are pictured side by side with the truth.

    Examples
    --------
    >>> settings = CompareSettings(systems=["unet", "otsu"], seeds=[0, 1])
    >>> [run.name for run in settings.runs(TrainSettings())]
    ['unet-s0', 'unet-s1', 'otsu']
    """

    systems: tuple[SystemSettings, ...] = Field(min_length=1)
    seeds: Seeds = (0,)
    train: dict[str, Any] = Field(default_factory=dict)
    patch_px: int = Field(128, ge=1)
    timing: TimingSettings = TimingSettings()
    backend: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["auto", "fp32", "mixed", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1)
    n_samples: int = Field(3, ge=0, le=20)

    @field_validator("train")
    @classmethod
    def _holds_for_all(cls, value: dict[str, Any]) -> dict[str, Any]:
        own = sorted(value.keys() & set(_OF_A_RUN))
        if own:
            raise ValueError(
                f"it has '{own[0]}', which it cannot set for all: the network of a system is its "
                "'method', and 'seeds' stand beside 'systems'"
            )
        return value

    @model_validator(mode="after")
    def _systems_fit(self) -> CompareSettings:
        known: dict[str, tuple[int, ...]] = {}
        taken: dict[str, str] = {}
        for system in self.systems:
            if system.name in known:
                raise ValueError(f"two systems are called '{system.name}'")
            _check_members(system, known, self.seeds)
            own = sorted(system.train.keys() & set(_COMMON))
            if own:
                raise ValueError(
                    f"'{system.name}' has its own '{own[0]}'; the network is its 'method', 'seeds' "
                    "stand beside it, and the split under 'compare.train'"
                )
            known[system.name] = self._seeds_of(system)
            for name in (run_name(system.name, seed) for seed in known[system.name] or (None,)):
                if name in taken:
                    raise ValueError(
                        f"a run of '{taken[name]}' and one of '{system.name}' would both be called "
                        f"'{name}'; give one of the systems another name"
                    )
                taken[name] = system.name
        return self

    def _seeds_of(self, system: SystemSettings) -> tuple[int, ...]:
        return (system.seeds or self.seeds) if system.has_chance else ()

    @property
    def predict(self) -> PredictSettings:
        """The settings that a network is run with."""
        return PredictSettings(
            backend=self.backend,
            precision=self.precision,
            device=self.device,
            threads=self.threads,
        )

    def common(self, base: TrainSettings) -> TrainSettings:
        """Return the settings of training that all systems share.

        Raises
        ------
        RecipeError
            A key of ``train`` is unknown, or its value not acceptable; or slices of another plane
            than xy are to train.
        """
        return _changed(base, self.train, where="compare.train")

    def widest(self, base: TrainSettings) -> TrainSettings:
        """Return the common settings with the slices that any system sees; raises as ``runs``."""
        most = max(run.train.context_slices for run in self.runs(base))
        return self.common(base).model_copy(update={"context_slices": most})

    def runs(self, base: TrainSettings) -> tuple[Run, ...]:
        """Return every training, in order; ``base`` is what ``train`` changes.

        Raises
        ------
        RecipeError
            A method, an option or a key of ``train`` is unknown, or a value not acceptable.
        """
        common = self.common(base)
        found: list[Run] = []
        for system in self.systems:
            where = f"compare.systems, '{system.name}'"
            method = system.component
            _check_method(method, where)
            settings = _changed(common, system.train, where=f"{where}.train")
            for seed in self._seeds_of(system) or (None,):
                changes: dict[str, Any] = {"seed": settings.seed if seed is None else seed}
                if method.name not in (*CLASSICAL, ENSEMBLE):
                    changes["network"] = method
                members = tuple(run_name(member, seed) for member in system.members)
                train = settings.model_copy(update=changes)
                found.append(Run(system.name, seed, method, train, members))
        return tuple(found)


def _check_members(
    system: SystemSettings, known: Mapping[str, Sequence[int]], seeds: Sequence[int]
) -> None:
    """Refuse an ensemble of what is not there, or has no chance, or has other seeds."""
    if system.component.name != ENSEMBLE:
        return
    if len(system.members) < 2:
        raise ValueError(f"'{system.name}' needs 'members': two or more systems named before it")
    for member in system.members:
        missing = [s for s in system.seeds or seeds if s not in known.get(member, ())]
        if member not in known:
            raise ValueError(
                f"'{system.name}' has the member '{member}', which no system before it is called; "
                f"{did_you_mean(member, known)}"
            )
        if missing:
            raise ValueError(
                f"'{system.name}' has the seed {missing[0]}, which its member '{member}' has not"
            )


def _check_method(method: Component, where: str) -> None:
    names = {*CLASSICAL, ENSEMBLE, *NETWORKS.names()}
    if method.name not in names:
        raise RecipeError(
            f"unknown system '{method.name}'",
            expected=f"one of {', '.join(sorted(names))}",
            where=where,
            mend=did_you_mean(method.name, names),
        )
    if method.name in CLASSICAL:
        classical_options(method, where=where)
    if method.name == ENSEMBLE:
        ensemble_options(method, where=where)


class OtsuOptions(Settings):
    """Options of ``otsu`` and ``multi_otsu``.

    Parameters
    ----------
    median_px
        Side of the median filter that goes before, an odd number; 1 for none.

    Examples
    --------
    >>> OtsuOptions().median_px
    3
    """

    median_px: int = Field(3, ge=1)

    @field_validator("median_px")
    @classmethod
    def _has_a_middle(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("an odd number, so that the filter has a middle")
        return value


def ensemble_options(method: Component, *, where: str = "compare.systems") -> EnsembleSettings:
    """Return the options of an ensemble; ``RecipeError`` where one is wrong."""
    return parse_settings(EnsembleSettings, method.options, where=where)


def classical_options(
    method: Component, *, where: str = "compare.systems"
) -> OtsuOptions | ForestSettings:
    """Return the options of a classical method; ``RecipeError`` where one is wrong."""
    from tomolith.learn.classical.forest import ForestSettings  # takes half a second

    if method.name == "random_forest":
        return parse_settings(ForestSettings, method.options, where=where)
    return parse_settings(OtsuOptions, method.options, where=where)


def _changed(base: TrainSettings, changes: Mapping[str, Any], *, where: str) -> TrainSettings:
    values = {name: getattr(base, name) for name in TrainSettings.model_fields}
    settings = parse_settings(TrainSettings, {**values, **changes}, where=where)
    _check_plane(settings, where)
    return settings


def _check_plane(settings: TrainSettings, where: str) -> None:
    if settings.plane != "xy":
        raise RecipeError(
            f"slices of the plane {settings.plane} are to train",
            expected="xy: a comparison labels and scores single slices of z",
            where=where,
            mend="set 'compare: {train: {plane: xy}}'; for other planes take 'train', 'ensemble' "
            "and 'evaluate'",
        )
