"""Results that are written beside a scan's image: label maps and extras.

A result is written at ``<name>.partial`` and renamed when whole, so that other software
never sees half of it. Each step of ``finish`` may be the last before a kill; calling
``finish`` again goes on from there.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.core.schema import COLOURS
from tomolith.errors import IncompleteError, InputError, IntegrityError, ReadError
from tomolith.store.array import StoredArray
from tomolith.store.atomic import remove_tree, rename, sync_tree
from tomolith.store.layout import Layout
from tomolith.store.metadata import (
    Record,
    image_label,
    multiscales,
    omero,
    read_listed_labels,
    read_record,
    write_group,
    write_plain_group,
)
from tomolith.store.pyramid import Reduce, build_level, plan_levels, reduce_mean, reduce_mode
from tomolith.store.removal import remove_leftovers, set_aside

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class LabelWriter:
    """One result while it is written.

    Parameters
    ----------
    final
        The folder that the finished result has.
    record
        What it is.

    Attributes
    ----------
    array
        The full-size array, written in whole shards: (z, y, x), or (c, z, y, x) for an
        extra with channels.
    """

    def __init__(self, final: Path, record: Record) -> None:
        self.final = final
        self.record = record
        self.array = StoredArray.open(self.path / "0", whole=self.is_finished)

    @classmethod
    def create(
        cls, final: Path, record: Record, *, dtype: npt.DTypeLike, layout: Layout
    ) -> LabelWriter:
        """Begin a result anew, dropping an unfinished one of the same name."""
        begun = _partial(final)
        remove_tree(begun)
        channels = () if record.channels is None else (len(record.channels),)
        fill = record.schema.unlabelled if record.schema else 0
        shape = channels + record.grid.shape_zyx
        StoredArray.create(begun / "0", shape, dtype, layout=layout, fill_value=fill)
        write_group(begun, record, {})  # last: what has none was not even begun
        return cls(final, record)

    @classmethod
    def resume(cls, final: Path) -> LabelWriter | None:
        """Return the writer of a result that was begun, or ``None``.

        Damage from a kill counts as not begun. A result that is whole but not yet
        listed counts as begun: ``finish`` lists it.
        """
        for folder in (_partial(final), final):
            try:
                record = read_record(folder)
                if folder == final and not _needs_listing(final, record):
                    return None
                return cls(final, record)
            except (ReadError, IntegrityError):
                continue
        return None

    @property
    def path(self) -> Path:
        """Where the result lies now."""
        begun = _partial(self.final)
        return begun if begun.is_dir() else self.final

    @property
    def is_finished(self) -> bool:
        """True once nothing is left to write."""
        return not _partial(self.final).is_dir()

    @property
    def layout(self) -> Layout:
        """Chunk and shard of the array; writers write whole shards."""
        return self.array.layout

    def finish(self) -> None:
        """Build the pyramid, sync, rename to the final name, and list it.

        Raises
        ------
        IncompleteError
            A shard was never written.
        DiskError
            The disk is full, read-only or not permitted.
        """
        begun = _partial(self.final)
        if begun.is_dir():
            if not self.record.complete:
                self._complete(begun)
            if self.final.is_dir():
                set_aside(self.final)
            rename(begun, self.final)
        self._list()
        remove_leftovers(self.final)
        self.array = StoredArray.open(self.final / "0")

    def _complete(self, folder: Path) -> None:
        missing = self.array.missing_files()
        if missing:
            raise IncompleteError(
                f"{len(missing)} of {len(self.array.shard_files())} parts were not written",
                where=missing[0],
                mend="run the same step again: it goes on where it stopped",
            )
        levels = plan_levels(self.record.grid)
        source = self.array
        for level in levels[1:]:
            target = StoredArray.create(
                folder / str(level.index),
                source.shape[:-3] + level.shape_zyx,
                source.dtype,
                layout=source.layout.cut(level.shape_zyx),
                fill_value=int(source.zarr.fill_value),
            )
            build_level(source, target, level, self._reduce())
            source = target
        sync_tree(folder)
        self.record = self.record.finished()
        write_group(folder, self.record, self._ome())

    def _reduce(self) -> Reduce:
        schema = self.record.schema
        if schema is None:
            return reduce_mean
        return partial(reduce_mode, values=(*schema.values, schema.unlabelled))

    def _ome(self) -> dict[str, Any]:
        record, name = self.record, self.final.name
        levels = plan_levels(record.grid)
        if record.schema is not None:
            scales = multiscales(name, record.grid, levels, method="mode")
            return {**scales, **image_label(record.schema)}
        names = record.channels
        scales = multiscales(name, record.grid, levels, method="mean", channels=names is not None)
        most = float(np.iinfo(self.array.dtype).max) if self.array.dtype.kind in "ui" else 1.0
        window = {"min": 0.0, "max": most, "start": 0.0, "end": most}
        shown = names or (name,)
        colours = [COLOURS[i % len(COLOURS)].removeprefix("#") for i in range(len(shown))]
        return {**scales, **omero(shown, colours, window)}

    def _list(self) -> None:
        folder, name = self.final.parent, self.final.name
        if self.record.schema is None:
            write_plain_group(folder, {})
            return
        others = [n for n in read_listed_labels(folder) if n != name and (folder / n).is_dir()]
        write_plain_group(folder, {"labels": [*others, name]})


def check_name(name: str) -> None:
    """Refuse names that would clash with our own or with other software.

    Raises
    ------
    InputError
        The name holds something else than letters, digits, '-' and '_'.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"the name '{name}'", expected="letters, digits, '-' and '_'")


def _partial(final: Path) -> Path:
    return final.with_name(f"{final.name}.partial")


def _needs_listing(final: Path, record: Record) -> bool:
    return record.schema is not None and final.name not in read_listed_labels(final.parent)
