"""Settings of the step ``ensemble``; free of torch, so that a check starts quickly."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from tomolith.config import Settings

Goal = Literal["miou", "mdsc"]


class EnsembleSettings(Settings):
    """Which trained models are averaged, and with which weights.

    Parameters
    ----------
    members
        Names of models of the study, or paths of model folders.
    weights
        One for each member; they are divided by their sum, and a member of weight 0 is left
        out. The default is that of E-Net.
    search
        Instead of ``weights``: those with the best mean IoU (``"miou"``) or mean Dice
        (``"mdsc"``) on the validation slices.
    device
        For the search; ``"auto"`` takes a CUDA device where there is one.
    threads
        ``None``: all cores this process may use.

    Examples
    --------
    >>> EnsembleSettings(members=["a", "b", "c"], search="miou").search
    'miou'
    """

    members: tuple[str, ...] = Field(("unet", "transforcnn"), min_length=2, max_length=8)
    weights: tuple[float, ...] | None = None
    search: Goal | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _weights_fit(self) -> EnsembleSettings:
        if len(set(self.members)) < len(self.members):
            raise ValueError(f"members named once each, not {', '.join(self.members)}")
        if self.search is not None:
            if self.weights is not None:
                raise ValueError("either 'weights' or 'search', not both")
            return self
        weights = self.member_weights
        fit = len(weights) == len(self.members) and all(
            math.isfinite(w) and w >= 0 for w in weights
        )
        if not fit or not any(weights):
            raise ValueError(
                f"one weight of at least 0 for each of {len(self.members)} members "
                f"(not {list(weights)}), or 'search: miou'"
            )
        return self

    @property
    def member_weights(self) -> tuple[float, ...]:
        """The weights, where they are not searched."""
        return (0.2, 0.8) if self.weights is None else self.weights
