"""The weighted mean of several networks: E-Net of the TransforCNN paper."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tomolith.config import Component
from tomolith.core.plane import AXES
from tomolith.learn.networks import NETWORKS
from tomolith.learn.networks.blocks import check_counts, check_input
from tomolith.learn.optimise import has_depth

Member = str | Mapping[str, Any]


@runtime_checkable
class HasMembers(Protocol):
    """A network whose prediction is a weighted mean, of members or of passes with other dropout.

    Examples
    --------
    >>> isinstance(NETWORKS.build(Component(name="mcd_unet"), 1, 3), HasMembers)
    True
    """

    weights: tuple[float, ...]
    """Of the members, with sum 1."""

    def of_members(self, image: Tensor) -> list[Tensor]:
        """Return the log-probabilities (B, n_classes, H, W) of each member, normalised."""


class Ensemble(nn.Module):
    """E-Net: the weighted mean of the probabilities of several networks, in one pass.

    ``logits = log(sum_i w_i softmax(logits_i))``, so that their softmax is the weighted mean
    (a probability below 1e-38 counts as 1e-38, so that logits stay finite).
    Source: E-Net of the TransforCNN paper (Methods), 0.2 U-Net + 0.8 TransforCNN.

    Parameters
    ----------
    in_channels, n_classes
        Channels of the input, and of the logits.
    members
        The networks: names, or mappings of a name and its options.
    weights
        One for each member, above 0; they are divided by their sum.
    planes
        Slices of which plane each member learnt from, where these differ. For whoever predicts a
        volume (:meth:`~tomolith.learn.bundle.ModelBundle.by_plane`): a call shows all members the
        same image.

    Raises
    ------
    ValueError
        No member, another number of weights or planes than of members, a weight that is not above
        0, or a 3-D member.
    InputError
        On a call: sides that are not multiples of ``divisor``, the least that suits all members.

    Examples
    --------
    >>> net = Ensemble(1, 3, members=[{"name": "unet", "depth": 2}, "transforcnn"])
    >>> net(torch.zeros(1, 1, 64, 96)).exp().sum(dim=1).allclose(torch.ones(1, 64, 96))
    True
    """

    def __init__(
        self,
        in_channels: int,
        n_classes: int,
        *,
        members: Sequence[Member] = ("unet", "transforcnn"),
        weights: Sequence[float] = (0.2, 0.8),
        planes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        check_counts(in_channels, n_classes)
        if planes and (len(planes) != len(members) or not set(planes) <= set(AXES)):
            raise ValueError(f"{len(members)} members have the planes {list(planes)}")
        if not members or len(weights) != len(members) or not all(w > 0 for w in weights):
            raise ValueError(
                f"{len(members)} members have the weights {list(weights)}; "
                "each member needs one above 0"
            )
        self.in_channels, self.n_classes = in_channels, n_classes
        self.weights = tuple(float(w) / math.fsum(weights) for w in weights)
        self.members = nn.ModuleList(
            NETWORKS.build(Component.of(member), in_channels, n_classes) for member in members
        )
        if any(has_depth(member) for member in self.members):
            raise ValueError("a member sees cubes of a volume; all members have to see slices")
        self.divisor = math.lcm(*(int(member.divisor) for member in self.members))
        self.context_px = max(int(member.context_px) for member in self.members)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits (B, n_classes, H, W) of ``image`` (B, in_channels, H, W)."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        # in fp32: half precision would round small probabilities away
        parts = [
            weight * _top(member(image)).float().softmax(dim=1)
            for member, weight in zip(self.members, self.weights, strict=True)
        ]
        mean = functools.reduce(torch.add, parts)
        return mean.clamp(min=torch.finfo(torch.float32).tiny).log()

    def of_members(self, image: Tensor) -> list[Tensor]:
        """Return the log-probabilities (B, n_classes, H, W) of each member, normalised."""
        check_input(image, in_channels=self.in_channels, divisor=self.divisor)
        # in fp32: half precision would round small probabilities away
        found = (_top(member(image)).float() for member in self.members)
        return [nn.functional.log_softmax(logits, dim=1) for logits in found]


def _top(logits: Tensor) -> Tensor:
    """Return the logits of the top level, of a member that in training gives those of all."""
    return logits[:, 0] if logits.ndim == 5 else logits


class MembersApart(nn.Module):
    """Gives the log-probabilities of every member, one after another along the channels.

    Examples
    --------
    >>> net = Ensemble(1, 3, members=["unet", "unet"], weights=[1, 1])
    >>> MembersApart(net)(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 6, 32, 32])
    """

    def __init__(self, network: HasMembers) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return log-probabilities (B, members * n_classes, H, W)."""
        return torch.cat(self.network.of_members(image), dim=1)
