"""How far a benchmark that trains is taken: its own length, or shortened; and where it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Extent:
    """How far a protocol is taken.

    Parameters
    ----------
    minutes
        Training time of each network; ``None``: the protocol's own epochs and seeds.
    threads
        Of the networks; ``None``: all cores.
    work
        Folder in which the study is kept, so that a run that was stopped goes on.
    quick
        Tiny data, seconds of training: only shows that the script runs.
    seeds
        Trainings of each network; ``None``: the protocol's, or one where it is shortened.
    systems
        The only ones of the protocol that are compared; empty: all.
    """

    minutes: float | None = None
    threads: int | None = None
    work: Path | None = None
    quick: bool = False
    seeds: int | None = None
    systems: tuple[str, ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether time ends the trainings, not the protocol."""
        return self.quick or self.minutes is not None

    @property
    def arguments(self) -> str:
        """What stands on the command line after the benchmark's name."""
        words = [
            f"--{key} {value:g}"
            for key in ("minutes", "threads", "seeds")
            if (value := getattr(self, key)) is not None
        ]
        if self.systems:
            words.append(f"--systems {','.join(self.systems)}")
        return " ".join(words)

    def page_name(self, benchmark: str) -> str:
        """Return what the page is called: after the systems, where these are not all.

        Examples
        --------
        >>> Extent(systems=("unet", "ynet")).page_name("table1_binary")
        'table1_binary-unet-ynet'
        """
        return "-".join((benchmark, *self.systems))

    @property
    def seed_words(self) -> str:
        """How many seeds a shortened run has, in words.

        Examples
        --------
        >>> Extent(minutes=1, seeds=3).seed_words
        '3 seeds'
        """
        return "one seed" if (self.seeds or 1) == 1 else f"{self.seeds} seeds"


def folder_name(words: str) -> str:
    """Return words as the name of a folder.

    Examples
    --------
    >>> folder_name("voxels of 2 µm, noise / 4")
    'voxels-of-2-µm--noise---4'
    """
    return "".join(c if c.isalnum() else "-" for c in words)


@contextmanager
def work_folder(extent: Extent, name: str) -> Iterator[Path]:
    """Give the folder in which the study lies; one that vanishes where none is named."""
    if extent.work is None:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)
        return
    folder = extent.work.resolve() / name
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
