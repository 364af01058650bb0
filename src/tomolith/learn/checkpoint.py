"""The state of an unfinished training, so that a kill costs at most one epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from tomolith.errors import IntegrityError
from tomolith.learn.weights import load_into, read_tensors, write_tensors


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One line of ``log.csv``: what an epoch did."""

    epoch: int
    step: int
    train_loss: float
    validation_loss: float
    validation_iou: float
    lr: float
    seconds: float
    unlabelled_loss: float | None = None


@dataclass(slots=True)
class Progress:
    """How far a training has come; changed by the trainer alone.

    Parameters
    ----------
    epoch, step
        Finished epochs and optimiser steps.
    seconds
        Time spent, over all starts.
    rows
        What each finished epoch did.
    best_epoch, best_iou, best_scores, best_weights
        Of the best validation so far.
    average
        Running averages of the weights.
    stopped
        Why it ended: ``"epochs"``, ``"time"`` or ``"patience"``; empty while it goes on.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    rows: list[EpochRow] = field(default_factory=list)
    best_epoch: int = 0
    best_iou: float = -1.0
    best_scores: dict[str, float | None] = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict, repr=False)
    average: dict[str, Tensor] = field(default_factory=dict, repr=False)
    stopped: str = ""


def write_checkpoint(
    path: Path,
    progress: Progress,
    *,
    key: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write all that is needed to go on after this epoch, atomically.

    Parameters
    ----------
    key
        Hash of settings and data; a checkpoint continues only the same training.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted.
    """
    tensors = {f"network.{name}": t for name, t in network.state_dict().items()}
    tensors |= {f"best.{name}": t for name, t in progress.best_weights.items()}
    tensors |= {f"average.{name}": t for name, t in progress.average.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": t for name, t in state.items()}
    write_tensors(path, tensors, about={"key": key, **_plain(progress)})


def _plain(progress: Progress) -> dict[str, object]:
    """Return all but the tensors, as plain values for JSON."""
    names = [name for name in Progress.__slots__ if name not in ("best_weights", "average")]
    values = {name: getattr(progress, name) for name in names}
    return {**values, "rows": [asdict(row) for row in progress.rows]}


def read_checkpoint(
    path: Path, *, key: str, network: nn.Module, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Put a checkpoint into ``network`` and ``optimizer``; ``None`` where there is none.

    A checkpoint with another ``key`` belongs to a training with other settings or data and is
    left alone; the next checkpoint replaces it.

    Raises
    ------
    IntegrityError
        The file is damaged, or is a pickle.
    MismatchError
        It has the same key and yet another architecture.
    """
    if not path.is_file():
        return None
    tensors, about = read_tensors(path)
    if about.pop("key", None) != key:
        return None
    load_into(network, _part(tensors, "network."), where=path)
    try:
        optimizer.load_state_dict(
            {**optimizer.state_dict(), "state": _optimizer_state(_part(tensors, "optimizer."))}
        )
        rows = [EpochRow(**row) for row in about.pop("rows")]
        best, average = _part(tensors, "best."), _part(tensors, "average.")
        return Progress(**about, rows=rows, best_weights=best, average=average)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"the checkpoint lacks or misstates something: {error}",
            where=path,
            mend=f"delete {path.name}; the training then starts anew",
        ) from error


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _optimizer_state(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = tensor
    return state
