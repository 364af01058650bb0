"""``log.csv`` and TensorBoard's event files of a training."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from tomolith.learn.checkpoint import EpochRow
from tomolith.store.atomic import disk_errors, write_text


class TrainingLog:
    """Writes each epoch's row; ``log.csv`` is whole after every epoch.

    Parameters
    ----------
    folder
        Of the model.
    rows
        What earlier epochs did, where a training is continued.
    """

    def __init__(self, folder: Path, rows: Sequence[EpochRow]) -> None:
        self._folder = folder
        self._rows = list(rows)

    def __enter__(self) -> TrainingLog:
        with disk_errors(self._folder):
            first = self._rows[-1].step + 1 if self._rows else 0
            self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=first)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()

    def add(self, row: EpochRow) -> None:
        """Add one epoch."""
        self._rows.append(row)
        text = io.StringIO()
        names = [f.name for f in fields(EpochRow)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(r) for r in self._rows)
        write_text(self._folder / "log.csv", text.getvalue())
        for name in names[2:]:
            self._board.add_scalar(name, getattr(row, name), row.step)
        self._board.flush()
