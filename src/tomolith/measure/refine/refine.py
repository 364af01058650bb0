"""Refine the label maps of scans, out of core."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tomolith.core import LabelMap
from tomolith.errors import InputError
from tomolith.measure.refine.build import build_stages
from tomolith.measure.refine.effects import Effect
from tomolith.measure.refine.given import Given
from tomolith.measure.refine.plan import LeftOut
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.refine.stages import Job, Stage, run_stage
from tomolith.measure.refine.time_model import Step
from tomolith.store.locks import lock
from tomolith.store.scan import Scan


@dataclass(frozen=True, slots=True)
class Refined:
    """What a refinement did.

    Parameters
    ----------
    maps
        The refined label maps, one per scan.
    effects
        How many voxels each operation changed, by scan, class before and class after.
    operations
        What was done, in its order.
    left_out
        What nobody asked for and could not be done, and why.
    n_voxels
        Voxels of all scans.
    """

    maps: tuple[LabelMap, ...]
    effects: tuple[Effect, ...]
    operations: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    n_voxels: int


def refine(
    scans: Sequence[Scan],
    settings: RefineSettings,
    *,
    source: str = "prediction",
    name: str = "refined",
    steps: Sequence[Step] | None = None,
) -> Refined:
    """Refine the label maps of one cell's scans, block by block, within a memory budget.

    The labels do not depend on block size, executor or number of workers, nor on where a run was
    killed and gone on with. The label map that is read stays as it is. Refined labels that were
    made from the same labels, with the same settings and code, and are whole, are kept.

    Parameters
    ----------
    scans
        The scans, in the order in which they were taken.
    settings
        What is done.
    source
        Name of the label map that is read.
    name
        Name of the refined label map. While it is unfinished it is called ``<name>.partial``.
    steps
        For time consistency: what the cell did from each scan to the next, one less than scans.

    Raises
    ------
    InputError
        An operation was asked for that classes or voxel size do not allow; no electrode is seen;
        the state of the cell is not known; the refined labels would replace those that are read.
    MismatchError
        Scans of one series lie on different grids.
    MemoryBudgetError
        Not even the smallest block fits ``settings.memory``.
    LockedError
        Another process makes the same label map.
    DiskError
        The disk is full, read-only or not permitted; run again to go on.
    IncompleteError
        Some blocks failed; run again to try these once more.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tomolith.core import PRESETS, Grid, Provenance
    >>> path = Path(tempfile.mkdtemp()) / "a.zarr"
    >>> scan = Scan.create(path, Grid((4, 8, 8), None), np.uint8, provenance=Provenance("doc"))
    >>> scan.image.array[:] = np.zeros((4, 8, 8), np.uint8)
    >>> scan.finish()
    >>> schema, made = PRESETS["li-binary"], Provenance("doc")
    >>> writer = scan.create_labels("prediction", schema, provenance=made)
    >>> labels = np.zeros((4, 8, 8), np.uint8)
    >>> labels[1, 4, 4] = 1
    >>> writer.array[:] = labels
    >>> writer.finish()
    >>> refine([scan], RefineSettings()).effects
    (Effect(scan='a', operation='min_size', before='lithium', after='background', n_voxels=1),)
    """
    if name == source:
        raise InputError(
            f"the refined labels are called '{name}', and would replace those that are read",
            where="refine.labels",
            mend="give 'labels' another name",
        )
    given = Given.of(scans, settings, source)
    plans = given.plans(settings)
    jobs = [Job(s, source, name, given.key(i, settings, steps)) for i, s in enumerate(scans)]
    groups = [list(range(len(jobs)))] if given.of_series else [[i] for i in range(len(jobs))]
    with ExitStack() as locks:
        for job in jobs:
            locks.enter_context(lock(job.folder, "refine"))
        for group in groups:
            stages = build_stages(given, group[0], plans[group[0]], settings=settings, steps=steps)
            _run([jobs[i] for i in group], stages)
        effects = [effect for job in jobs for effect in job.effects()]
    return Refined(
        tuple(scan.labels(name) for scan in scans),
        tuple(effects),
        plans[0].operations,
        plans[0].left_out,
        sum(scan.grid.n_voxels for scan in scans),
    )


def _run(jobs: Sequence[Job], stages: Sequence[Stage]) -> None:
    """Run what is not done of the stages of one scan, or of the scans of a series."""
    to_make = [job for job in jobs if not job.is_made()]
    for number, stage in enumerate(stages):
        last = number == len(stages) - 1
        waiting = [job for job in to_make if last or job.last_whole(len(stages)) < number]
        if stage.of_series and waiting:
            run_stage(stage, number, jobs, last=last)
        for job in waiting if not stage.of_series else ():
            run_stage(stage, number, [job], last=last)
    for job in jobs:
        job.drop(range(len(stages)))
