"""Which error bars are drawn from what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tomolith.config import Settings

Source = Literal["confusion", "probabilities", "ensemble", "boundary"]


class UncertaintySettings(Settings):
    """Where the 95 % intervals of the measured numbers come from.

    Examples
    --------
    >>> UncertaintySettings(sources=["boundary"]).sources
    ('boundary',)
    """

    sources: tuple[Source, ...] = Field(
        ("confusion", "probabilities", "ensemble", "boundary"),
        description="What may be drawn on, where it is there; empty: no intervals.",
    )
    subsets: tuple[Literal["train", "validation", "test"], ...] = Field(
        ("test",), description="Held-out slices that `confusion` and `probabilities` learn from."
    )
    ensemble: tuple[str, ...] = Field(
        (), description="Label maps of other trainings, in each scan, beside the one measured."
    )
    n_draws: int = Field(400, ge=50, le=100_000, description="Draws of the bootstrap.")
    seed: int = Field(0, ge=0, description="Of the bootstrap.")
