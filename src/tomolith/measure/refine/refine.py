"""Refine the label maps of scans, out of core."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tomolith.config import settings_hash
from tomolith.core import Box, LabelMap
from tomolith.core.box import Triple
from tomolith.core.provenance import code_version
from tomolith.errors import InputError
from tomolith.measure.quantities.frame import STRIPPING, Frame
from tomolith.measure.refine.allowed import Allowed
from tomolith.measure.refine.effects import Effect
from tomolith.measure.refine.faces import Faces, find_faces
from tomolith.measure.refine.fill_holes import fill_holes_rules
from tomolith.measure.refine.local import VoxelOperation, VoxelWork
from tomolith.measure.refine.min_size import min_size_rules
from tomolith.measure.refine.pieces import PieceRule, PieceWork
from tomolith.measure.refine.plan import LeftOut, RefinePlan, plan_refinement
from tomolith.measure.refine.region import Region
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.refine.split import HalfDepth, Split
from tomolith.measure.refine.stages import Job, Stage, Work, run_stage
from tomolith.measure.refine.time_model import Step
from tomolith.measure.refine.time_series import TimeModel, TimeWork, check_series, find_places
from tomolith.store.array import StoredArray
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
    made from the same labels and settings, and are whole, are kept.

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
    given = _Given.of(scans, settings, source)
    plans = given.plans(settings)
    jobs = [Job(s, source, name, given.key(i, settings, steps)) for i, s in enumerate(scans)]
    groups = [list(range(len(jobs)))] if given.of_series else [[i] for i in range(len(jobs))]
    with ExitStack() as locks:
        for job in jobs:
            locks.enter_context(lock(job.folder, "refine"))
        for group in groups:
            stages = _stages(given, group[0], plans[group[0]], settings=settings, steps=steps)
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


@dataclass(frozen=True, slots=True)
class _Given:
    """The label maps that are read, and what the labels of each scan depend on.

    Parameters
    ----------
    maps, scans
        One each per scan.
    of_series
        Whether time consistency makes the scans depend on each other.
    reference
        Place of the scan that shows the stripping electrode before it was stripped.
    shares
        Probabilities, where they are used.
    """

    scans: tuple[Scan, ...]
    maps: tuple[LabelMap, ...]
    of_series: bool
    reference: int
    shares: tuple[StoredArray, ...] | None

    @classmethod
    def of(cls, scans: Sequence[Scan], settings: RefineSettings, source: str) -> _Given:
        """Open what is read."""
        maps, time = tuple(scan.labels(source) for scan in scans), settings.wanted("time")
        ids = [scan.id for scan in scans]
        shares = None
        if time is not None:
            check_series(maps, ids)
            shares = _shares(scans, source, time.evidence, len(maps[0].schema))
        allowed, reference = settings.wanted("allowed"), 0
        if allowed is not None and allowed.reference is not None:
            if allowed.reference not in ids:
                raise InputError(
                    f"'refine.allowed.reference' names the scan '{allowed.reference}'",
                    expected=f"one of {', '.join(ids)}",
                )
            reference = ids.index(allowed.reference)
        return cls(tuple(scans), maps, time is not None, reference, shares)

    def reference_of(self, index: int) -> int:
        """Return the place of the reference of a scan: itself, where that lies on another grid."""
        same = self.maps[index].grid == self.maps[self.reference].grid
        return self.reference if same else index

    def plans(self, settings: RefineSettings) -> list[RefinePlan]:
        """Return the plan of each scan."""
        return [
            plan_refinement(
                labelmap.grid,
                settings,
                labelmap.schema,
                n_scans=len(self.maps) if self.of_series else 1,
                layouts=[s.layout for s in self.scans] if self.of_series else [scan.layout],
                probabilities=self.shares is not None,
            )
            for scan, labelmap in zip(self.scans, self.maps, strict=True)
        ]

    def key(self, index: int, settings: RefineSettings, steps: Sequence[Step] | None) -> str:
        """Return the hash of all that a voxel's label depends on; blocks are not among it."""
        how = {"memory", "executor", "workers", "block_zyx"}
        indices = range(len(self.maps)) if self.of_series else {index, self.reference_of(index)}
        read = [
            [
                self.scans[i].id,
                self.maps[i].grid.shape_zyx,
                self.maps[i].grid.voxel_size_um,
                self.maps[i].volume.provenance.identity(),
                self.maps[i].schema.to_dict(),
            ]
            for i in sorted(indices)
        ]
        return settings_hash(
            code_version(),
            settings.model_dump(mode="json", exclude=how),
            read,
            self.scans[index].id,
            list(steps or ()),
            self.shares is not None,
        )


def _shares(
    scans: Sequence[Scan], source: str, evidence: str, n_classes: int
) -> tuple[StoredArray, ...] | None:
    """Return the probabilities of every scan; ``None`` where labels speak for themselves."""
    if evidence == "labels":
        return None
    name = f"probabilities/{source}"
    without = [scan.id for scan in scans if not (scan.path / name / "zarr.json").is_file()]
    if without and evidence == "auto":
        return None
    if without:
        raise InputError(
            f"the scan '{without[0]}' has no probabilities of '{source}'",
            where="refine.time.evidence",
            mend="set 'predict.probabilities: true', or 'evidence: labels'",
        )
    found = tuple(scan.extra(name) for scan in scans)
    if any(array.shape[0] != n_classes for array in found):
        raise InputError(
            f"the probabilities of '{source}' are of {found[0].shape[0]} classes",
            expected=f"{n_classes} classes, as in the label map",
        )
    return found


def _stages(
    given: _Given,
    index: int,
    plan: RefinePlan,
    *,
    settings: RefineSettings,
    steps: Sequence[Step] | None,
) -> list[Stage]:
    """Return the passes of the plan of a scan, in their order."""
    stages, reference = [], given.maps[given.reference_of(index)]
    for names, stage_plan in plan.stages:
        if "time" in names:
            begin = partial(_begin_time, given, settings, _checked(steps, len(given.maps)))
        elif names[0] in ("min_size", "fill_holes"):
            begin = partial(_begin_pieces, names[0], settings)
        else:
            begin = partial(_begin_voxels, names, reference, settings)
        stages.append(Stage(names[-1], begin, stage_plan, of_series="time" in names))
    return stages


def _checked(steps: Sequence[Step] | None, n_scans: int) -> Sequence[Step]:
    if n_scans < 2:
        raise InputError(
            "time consistency of a single scan",
            expected="two or more scans of one cell",
            where="refine.time",
            mend="leave 'time' out, or name all scans of the cell",
        )
    if steps is None or len(steps) != n_scans - 1:
        raise InputError(
            "it is not known whether the cell was being charged or discharged",
            expected="which scans were taken while the cell charged",
            where="refine.time.charging",
            mend="list these scans under 'refine.time.charging'",
        )
    return steps


def _begin_time(
    given: _Given,
    settings: RefineSettings,
    steps: Sequence[Step],
    maps: Sequence[LabelMap],
    cores: Sequence[Box],
    block_zyx: Triple,
) -> Work:
    follow = settings.wanted("time").follow
    places = find_places(maps, settings, follow=follow, block_zyx=block_zyx)
    region = settings.wanted("region")
    return TimeWork(
        maps,
        TimeModel.of(settings, maps[0].schema, steps),
        places,
        shares=given.shares,
        region=Region(region, maps[0].grid, maps[0].schema) if region else None,
    )


def _begin_voxels(
    names: tuple[str, ...],
    reference: LabelMap,
    settings: RefineSettings,
    maps: Sequence[LabelMap],
    cores: Sequence[Box],
    block_zyx: Triple,
) -> Work:
    labelmap, operations = maps[0], []
    grid, schema = labelmap.grid, labelmap.schema
    faces = None
    if "allowed" in names or settings.wanted("split").by == "nearest":
        faces = _faces(labelmap, settings, block_zyx)
    for name in names:
        operation: VoxelOperation
        if name == "region":
            operation = Region(settings.wanted("region"), grid, schema)
        elif name == "allowed":
            first = _faces(reference, settings, block_zyx)
            assert faces is not None
            operation = Allowed(
                settings.wanted("allowed"),
                grid,
                schema,
                faces=faces,
                reference=first.of_side(STRIPPING),
            )
        else:
            operation = _split(labelmap, settings, faces)
        operations.append(operation)
    return VoxelWork(labelmap, operations)


def _split(labelmap: LabelMap, settings: RefineSettings, faces: Faces | None) -> Split:
    if faces is not None and settings.wanted("split").by == "nearest":
        return Split.nearest(labelmap.schema, faces, labelmap.grid)
    axis, shape = "zyx".index(settings.plan_axis), labelmap.grid.shape_zyx
    frame = Frame.half_depth(shape, axis=axis, plating_high=settings.plating_side == "high")
    return Split(labelmap.schema, frame, HalfDepth(frame, shape))


def _faces(labelmap: LabelMap, settings: RefineSettings, block_zyx: Triple) -> Faces:
    return find_faces(
        labelmap,
        axis="zyx".index(settings.plan_axis),
        plating_high=settings.plating_side == "high",
        block_zyx=block_zyx,
    )


def _begin_pieces(
    operation: str,
    settings: RefineSettings,
    maps: Sequence[LabelMap],
    cores: Sequence[Box],
    block_zyx: Triple,
) -> Work:
    wanted, schema = settings.wanted(operation), maps[0].schema
    rules: Sequence[PieceRule]
    if operation == "min_size":
        rules = min_size_rules(wanted, schema)
    else:
        rules = fill_holes_rules(wanted, schema)
    return PieceWork(operation, maps[0], rules, cores)
