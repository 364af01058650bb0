"""What would make a training fail, found before any step runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from tomolith.core import ClassSchema
from tomolith.errors import RecipeError, TomolithError
from tomolith.label.filters import check_pairs
from tomolith.learn.comparison.run import Run
from tomolith.learn.gap import check_gap
from tomolith.learn.losses import LOSSES
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import has_depth
from tomolith.learn.own_trainer import own_trainer
from tomolith.learn.settings import TrainSettings
from tomolith.learn.train import check_patch


def check_training(settings: TrainSettings, schema: ClassSchema, *, system: str = "") -> None:
    """Refuse a network, a loss, a patch or classes that cannot be trained; no data are read.

    Parameters
    ----------
    settings
        Of the training.
    schema
        The classes to learn.
    system
        What the training is called in a comparison, for messages.

    Raises
    ------
    RecipeError
        A name, option or class is unknown or refused, or the patch does not fit the network.
    MissingExtraError
        The network is of a library that is not installed.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> check_training(TrainSettings(network="unet", patch_px=60), PRESETS["li-binary"])
    Traceback (most recent call last):
    tomolith.errors.RecipeError: patch_px is 60...
    """
    losses = {"train.loss": settings.loss, "train.matphase.ugsm_loss": settings.matphase.ugsm_loss}
    for key, loss in losses.items():
        with _located(key, system):
            LOSSES.build(loss).prepare(schema.names, [1] * len(schema))
    with _located("train.clean_labels", system):
        check_pairs(settings.clean_labels, schema)
    with _located("train.network", system):
        own_trainer(settings)
        network = _weightless(settings, len(schema))
    with _located("train.patch_px", system):
        check_patch(settings.patch_px, int(network.divisor))
    # of a comparison all systems have one split
    where = f"{'compare.' * bool(system)}train.split.gap"
    check_gap(settings, is_3d=has_depth(network), where=where)


def check_runs(runs: Sequence[Run], schema: ClassSchema) -> None:
    """Refuse a comparison of which any training would fail when its turn comes.

    Parameters
    ----------
    runs
        Of the comparison.
    schema
        The classes to learn.

    Raises
    ------
    RecipeError
        As for :func:`check_training`; or an ensemble averages what has no weights, is 3-D, or
        sees more or fewer slices at a time.
    MissingExtraError
        A network is of a library that is not installed.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> from tomolith.learn.comparison.settings import CompareSettings
    >>> runs = CompareSettings(systems=["unet", "otsu"]).runs(TrainSettings())
    >>> check_runs(runs, PRESETS["li-binary"])
    """
    first = {run.system: run for run in reversed(runs)}
    by_name = {run.name: run for run in runs}
    for system in dict.fromkeys(run.system for run in runs):
        run = first[system]
        members = [by_name[name] for name in run.members]
        for member in members:
            if why := _unfit(member, members[0], by_name):
                raise RecipeError(
                    f"the member '{member.system}' {why}; an ensemble averages networks that see "
                    "the same slices",
                    where=f"compare.systems, '{system}'",
                    mend="take it out of 'members'",
                )
        if not run.is_classical and not run.is_ensemble:
            check_training(run.train, schema, system=system)


def _unfit(member: Run, like: Run, by_name: Mapping[str, Run]) -> str:
    """Say why a run cannot be averaged with another; nothing where it can."""
    if member.is_classical:
        return "is no network"
    if has_depth(NETWORKS.load(member.method.name)):
        return "sees cubes of a volume"
    seen, wanted = (_slices_seen(run, by_name) for run in (member, like))
    return "" if seen == wanted else f"sees {seen} slices on either side, '{like.system}' {wanted}"


def _slices_seen(run: Run, by_name: Mapping[str, Run]) -> int:
    """Return how many slices on either side a network sees; an ensemble those of its members."""
    while run.is_ensemble:
        run = by_name[run.members[0]]
    return run.train.context_slices


def _weightless(settings: TrainSettings, n_classes: int) -> nn.Module:
    """Build a network without memory for its weights; as usual where that does not work."""
    asked = settings.network, settings.in_channels, n_classes
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                built: nn.Module = NETWORKS.build(*asked)
        except Exception:  # what a network cannot do without values is no error of the recipe
            built = NETWORKS.build(*asked)
    return built


@contextmanager
def _located(key: str, system: str) -> Iterator[None]:
    """Say of an error which key, of which system, it is about."""
    try:
        yield
    except TomolithError as error:
        where = error.where or key
        if system:
            where = f"compare.systems, '{system}', {where}"
        raise type(error)(
            error.found, expected=error.expected, where=where, mend=error.mend
        ) from error
