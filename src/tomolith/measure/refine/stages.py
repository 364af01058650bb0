"""Passes over the blocks of one or several scans, each killed at any moment and gone on with.

A stage reads a label map of each scan and writes another: all but the last into the private folder
of the refinement, the last as the refined label map. Blocks are marked done when they are on the
disk; what a stage draws from a whole scan before its first block is drawn anew when it goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tomolith.blocks import Block, run_blocks
from tomolith.blocks.run import Executor
from tomolith.core import Box, ClassSchema, LabelMap, Provenance, Volume
from tomolith.core.box import Triple
from tomolith.errors import IntegrityError, ReadError
from tomolith.measure.refine.effects import Changes, Effect
from tomolith.store.array import StoredArray
from tomolith.store.atomic import clean_stale, remove_tree, write_text
from tomolith.store.integrity import verify_result
from tomolith.store.marks import Marks
from tomolith.store.metadata import read_record
from tomolith.store.removal import remove_leftovers
from tomolith.store.scan import LabelWriter, Scan

Bytes = npt.NDArray[np.uint8]
Work = Callable[[Box], tuple[list[Bytes], Changes]]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Blocks of a stage, how many are worked on at a time, and the peak memory."""

    blocks: tuple[Block, ...]
    block_zyx: Triple
    executor: Executor
    workers: int
    projected_bytes: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One pass.

    Parameters
    ----------
    name
        Name of its first operation.
    begin
        Given the label maps, the write boxes of all blocks and the voxels of a block, draws what is
        needed from whole scans and returns the work on a block.
    plan
        The blocks.
    of_series
        Whether all scans are worked on at once.
    """

    name: str
    begin: Callable[[Sequence[LabelMap], Sequence[Box], Triple], Work]
    plan: StagePlan
    of_series: bool = False


class Job:
    """The refinement of one scan: where it stands, and where its parts lie.

    Parameters
    ----------
    scan
        The scan.
    source, name
        Names of the label map that is read, and of the one that is made.
    key
        Hash of all that the labels depend on.
    """

    def __init__(self, scan: Scan, source: str, name: str, key: str) -> None:
        self.scan, self.name, self.key = scan, name, key
        self.source = scan.labels(source)
        self.folder = scan.path.parent / ".tomolith" / f"{scan.id}.{name}"

    @property
    def schema(self) -> ClassSchema:
        """The classes."""
        return self.source.schema

    def is_made(self) -> bool:
        """Tell whether the refined labels are there, made under the key, and undamaged."""
        final = self.scan.path / "labels" / self.name
        try:
            if read_record(final).provenance.settings_hash != self.key:
                return False
        except (ReadError, IntegrityError):
            return False
        if LabelWriter.resume(final) is not None or not self._effects() or verify_result(final):
            return False
        remove_leftovers(final)
        return True

    def last_whole(self, n_stages: int) -> int:
        """Return the number of the last stage whose result is whole and in reach; -1 for none."""
        for number in range(n_stages - 2, -1, -1):
            folder = self.stage_folder(number)
            if folder.is_dir() and Marks(folder, self.key).is_done("whole"):
                return number
        return -1

    def labels_of(self, number: int) -> LabelMap:
        """Return the result of an earlier stage; -1 is what is read."""
        if number < 0:
            return self.source
        array = StoredArray.open(self.stage_folder(number) / "labels")
        return LabelMap(Volume(array, self.scan.grid), self.schema)

    def stage_folder(self, number: int) -> Path:
        """Return where a stage keeps its marks, and its labels where these are not the last."""
        return self.folder / f"stage-{number}"

    def keep_effects(self, number: int, found: list[tuple[str, int, int, int]]) -> None:
        """Write down what a stage changed."""
        kept = {**self._effects(), str(number): found}
        text = json.dumps({"key": self.key, "stages": kept})
        write_text(self.folder / "effects.json", text)

    def effects(self) -> list[Effect]:
        """Return what all stages changed."""
        names = {c.value: c.name for c in self.schema.classes}
        names[self.schema.unlabelled] = "unlabelled"
        return [
            Effect(self.scan.id, operation, names[before], names[after], n)
            for _, found in sorted(self._effects().items())
            for operation, before, after, n in found
        ]

    def _effects(self) -> dict[str, list[tuple[str, int, int, int]]]:
        try:
            kept = json.loads((self.folder / "effects.json").read_text(encoding="utf-8"))
            return dict(kept["stages"]) if kept["key"] == self.key else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def drop(self, stages: Iterable[int]) -> None:
        """Remove what stages kept beside the scan."""
        for number in stages:
            remove_tree(self.stage_folder(number))


def run_stage(stage: Stage, number: int, jobs: Sequence[Job], *, last: bool) -> None:
    """Run one stage on one scan, or on all scans of a series.

    Parameters
    ----------
    stage, number
        The stage, and its place among the stages.
    jobs
        The scans: one, or all of a series.
    last
        Whether this stage makes the refined label maps.

    Raises
    ------
    IncompleteError
        Some blocks failed.
    DiskError
        The disk is full, read-only or not permitted.
    """
    marks, plan = Marks(jobs[0].stage_folder(number), jobs[0].key), stage.plan
    all_done = all(marks.is_done(block.name) for block in plan.blocks)
    # killed between two scans that were finished: those that are made stay
    to_make = [job for job in jobs if not (last and all_done and job.is_made())]
    targets = _open_targets(to_make, number, marks, last=last)
    writer = _Writer(stage, number, jobs, targets)
    if not all_done:
        writer.begin()
    run_blocks(
        plan.blocks,
        writer,
        executor=plan.executor,
        workers=plan.workers,
        marks=marks,
        title=f"refine: {stage.name}",
    )
    changes = Changes.unpack(marks.detail(block.name) for block in plan.blocks)
    for i, job in enumerate(jobs):
        job.keep_effects(number, changes.of_scan(i))
    for job, target in zip(to_make, targets, strict=True):
        if isinstance(target, LabelWriter):
            target.finish()
        else:
            Marks(job.stage_folder(number), job.key).done("whole")
        if number:
            job.drop([number - 1])


class _Writer:
    """Works on a block and writes it."""

    def __init__(
        self,
        stage: Stage,
        number: int,
        jobs: Sequence[Job],
        targets: Sequence[LabelWriter | _Scratch],
    ) -> None:
        self._stage, self._number, self._jobs, self._targets = stage, number, jobs, targets
        self._work: Work | None = None

    def begin(self) -> None:
        """Draw what is needed from whole scans."""
        sources = [job.labels_of(self._number - 1) for job in self._jobs]
        plan = self._stage.plan
        cores = [block.write for block in plan.blocks]
        self._work = self._stage.begin(sources, cores, plan.block_zyx)

    def __call__(self, block: Block) -> str:
        assert self._work is not None
        found, changes = self._work(block.write)
        for target, labels in zip(self._targets, found, strict=True):
            target.array[block.write.slices] = labels
            target.array.sync(block.write)
        return changes.pack()


class _Scratch:
    """A label map between two stages."""

    def __init__(self, array: StoredArray) -> None:
        self.array = array


def _open_targets(
    jobs: Sequence[Job], number: int, marks: Marks, *, last: bool
) -> list[LabelWriter | _Scratch]:
    """Go on with what was begun, or begin anew and forget the marks."""
    if len(marks):
        found = [_resume(job, number, last=last) for job in jobs]
        if all(target is not None for target in found):
            return [target for target in found if target is not None]
    marks.clear()
    return [_create(job, number, last=last) for job in jobs]


def _resume(job: Job, number: int, *, last: bool) -> LabelWriter | _Scratch | None:
    if last:
        writer = job.scan.resume_labels(job.name)
        if writer is not None:
            clean_stale(writer.path)
        return writer
    path = job.stage_folder(number) / "labels"
    try:
        target = _Scratch(StoredArray.open(path, whole=False))
    except (ReadError, IntegrityError):
        return None
    clean_stale(path)
    return target


def _create(job: Job, number: int, *, last: bool) -> LabelWriter | _Scratch:
    if last:
        made_from = (f"scan {job.scan.id}", str(job.source.volume.provenance.settings_hash))
        provenance = Provenance.now("refine", inputs=made_from, settings_hash=job.key)
        return job.scan.create_labels(job.name, job.schema, provenance=provenance)
    array = StoredArray.create(
        job.stage_folder(number) / "labels",
        job.scan.grid.shape_zyx,
        np.uint8,
        layout=job.scan.layout,
        fill_value=job.schema.unlabelled,
    )
    return _Scratch(array)
