"""One training of one system of a comparison; free of torch, so that a check starts quickly."""

from __future__ import annotations

from dataclasses import dataclass

from tomolith.config import Component
from tomolith.learn.settings import TrainSettings

THRESHOLDS = ("otsu", "multi_otsu")
CLASSICAL = (*THRESHOLDS, "random_forest")
ENSEMBLE = "ensemble"


def run_name(system: str, seed: int | None) -> str:
    """Return what a run of a system is called, after its seed where chance has a part in it.

    Examples
    --------
    >>> run_name("unet", 0), run_name("otsu", None)
    ('unet-s0', 'otsu')
    """
    return system if seed is None else f"{system}-s{seed}"


@dataclass(frozen=True, slots=True)
class Run:
    """One training (or fit) of one system.

    Parameters
    ----------
    system
        Name of the system.
    seed
        ``None`` where there is no chance in it.
    method
        The network or classical method, with options.
    train
        All settings of its training.
    members
        Runs that it averages, by name.
    """

    system: str
    seed: int | None
    method: Component
    train: TrainSettings
    members: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the run: of its folder under ``models/``, and part of its label map's."""
        return run_name(self.system, self.seed)

    @property
    def labels(self) -> str:
        """Name of its label map."""
        return f"compare-{self.name}"

    @property
    def is_classical(self) -> bool:
        """Whether it is fitted anew where it is needed, and has no weights."""
        return self.method.name in CLASSICAL

    @property
    def has_probabilities(self) -> bool:
        """Whether it says how sure it is."""
        return self.method.name not in THRESHOLDS

    @property
    def is_ensemble(self) -> bool:
        """Whether it averages other runs."""
        return self.method.name == ENSEMBLE
