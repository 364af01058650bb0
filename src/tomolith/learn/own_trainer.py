"""Which networks are not trained by ``train`` itself, and what these cannot learn from."""

from __future__ import annotations

from tomolith.config import Component
from tomolith.errors import RecipeError
from tomolith.learn.networks import NETWORKS
from tomolith.learn.optimise import has_depth
from tomolith.learn.settings import TrainSettings

CUBE_TRAINER = "tomolith.learn.cubes:train"  # of 3-D networks


def own_trainer(settings: TrainSettings) -> str | None:
    """Return the import string of the training that the network has of its own, if it has one.

    Raises
    ------
    RecipeError
        The network or an option is unknown; or it has one and cannot learn from what is unlabelled
        or see neighbouring slices, or sees cubes where a plane is chosen; or is an ensemble of
        which a member has one.

    Examples
    --------
    >>> own_trainer(TrainSettings(network="resnet18_centre"))
    'tomolith.learn.pixels:train'
    """
    network = NETWORKS.load(settings.network.name)
    own: str | None = getattr(network, "trainer", CUBE_TRAINER if has_depth(network) else None)
    _refuse_members_trained_apart(settings.network)
    if own is not None and settings.unlabelled.method != "none":
        raise RecipeError(
            f"the network '{settings.network.name}' has a training of its own, which learns from "
            "labels alone",
            where="train.unlabelled",
            mend="leave it out, or take another network",
        )
    if has_depth(network) and settings.plane != "xy":
        raise RecipeError(
            f"the network '{settings.network.name}' sees cubes, which lie in all planes at once, "
            f"and is to learn from the plane {settings.plane}",
            where="train.plane",
            mend="leave it out, or take a network that sees slices",
        )
    if own is not None and settings.context_slices:
        raise RecipeError(
            f"the network '{settings.network.name}' sees "
            f"{'cubes' if has_depth(network) else 'one slice'}, and is to see slices between "
            "their neighbours",
            where="train.context_slices",
            mend="leave it out, or take another network, such as 'unet'",
        )
    return own


def _refuse_members_trained_apart(network: Component) -> None:
    """Refuse to train at once what has to be trained member by member."""
    for member in NETWORKS.given(network).get("members", ()):
        name = Component.of(member).name
        if getattr(NETWORKS.load(name), "trainer", None) is not None:
            raise RecipeError(
                f"the member '{name}' of the network '{network.name}' has a training of its own",
                expected="members that are trained alike",
                where="train.network",
                mend=f"train '{name}' alone, and average the trained models with 'ensemble'",
            )
