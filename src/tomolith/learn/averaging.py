"""Running averages of a network's weights: steadier than the weights after any one step."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class RunningAverage:
    """A copy of a network whose weights follow the trained ones, averaged over recent steps.

    Source: Polyak and Juditsky, SIAM J. Control Optim. 30 (1992), with exponential weights that
    start short, so that early averages do not remember the random start.

    Parameters
    ----------
    network
        The network that is trained.
    steps
        Length of the average; 0 follows exactly.

    Examples
    --------
    >>> layer = nn.Linear(1, 1)
    >>> average = RunningAverage(layer, steps=0)
    >>> _ = nn.init.constant_(layer.weight, 3.0)
    >>> average.update(layer, step=0)
    >>> average.network.weight.item()
    3.0
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._steps = steps

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step ``step`` (counted from 0)."""
        share = self._share(step)
        own, new = self.network.state_dict(), network.state_dict()
        names = [name for name in own if own[name].is_floating_point()]
        torch._foreach_lerp_([own[n] for n in names], [new[n] for n in names], share)
        for name in own.keys() - set(names):
            own[name].copy_(new[name])

    def _share(self, step: int) -> float:
        """Return the share of the new weights in the average after ``step``."""
        return 1.0 / (1 + min(self._steps, step / 9))

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the averages."""
        return {name: t.detach().cpu().clone() for name, t in self.network.state_dict().items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take up stored averages; nothing where there are none."""
        if weights:
            self.network.load_state_dict(dict(weights))
