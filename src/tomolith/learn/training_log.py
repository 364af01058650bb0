"""``log.csv`` and TensorBoard's event file of a training."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from tomolith.learn.checkpoint import EpochRow
from tomolith.store.atomic import disk_errors, write_text


class TrainingLog:
    """Writes each epoch's row; ``log.csv`` is whole after every epoch.

    Events are written here and not by TensorBoard's own writer: that one writes in a thread,
    whose errors (a full disk) would end in a traceback.

    Parameters
    ----------
    folder
        Of the model.
    rows
        What earlier epochs did, where a training is continued.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted (from :meth:`add`).
    """

    def __init__(self, folder: Path, rows: Sequence[EpochRow]) -> None:
        self._csv = folder / "log.csv"
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._events = folder / "tensorboard" / name
        self._rows = list(rows)
        first = self._rows[-1].step + 1 if self._rows else 0
        # whatever a killed training wrote from this step on is void
        self._begin = [
            Event(step=first, file_version="brain.Event:2"),
            Event(step=first, session_log=SessionLog(status=SessionLog.START)),
        ]

    def add(self, row: EpochRow) -> None:
        """Add one epoch."""
        self._rows.append(row)
        text = io.StringIO()
        names = [f.name for f in fields(EpochRow)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(r) for r in self._rows)
        write_text(self._csv, text.getvalue())
        given = {name: getattr(row, name) for name in names[2:]}
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in given.items()
            if value is not None
        ]
        self._append([*self._begin, Event(step=row.step, summary=Summary(value=values))])
        self._begin = []

    def _append(self, events: Sequence[Event]) -> None:
        content = io.BytesIO()
        writer = RecordWriter(content)
        for event in events:
            event.wall_time = time.time()
            writer.write(event.SerializeToString())
        with disk_errors(self._events):
            self._events.parent.mkdir(parents=True, exist_ok=True)
            with self._events.open("ab") as file:
                file.write(content.getvalue())


def logged_seconds(folder: Path) -> float:
    """Return how long the finished training in ``folder`` took, over all starts."""
    with (folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return float(list(csv.DictReader(file))[-1]["seconds"])
