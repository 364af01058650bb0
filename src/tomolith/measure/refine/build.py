"""The passes of a refinement, built from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tomolith.core import Box, LabelMap
from tomolith.core.box import Triple
from tomolith.errors import InputError
from tomolith.measure.quantities.frame import STRIPPING, Frame
from tomolith.measure.refine.allowed import Allowed
from tomolith.measure.refine.faces import Faces, find_faces
from tomolith.measure.refine.fill_holes import fill_holes_rules
from tomolith.measure.refine.given import Given
from tomolith.measure.refine.local import VoxelOperation, VoxelWork
from tomolith.measure.refine.min_size import min_size_rules
from tomolith.measure.refine.pieces import PieceRule, PieceWork
from tomolith.measure.refine.plan import RefinePlan
from tomolith.measure.refine.region import Region
from tomolith.measure.refine.settings import RefineSettings
from tomolith.measure.refine.split import HalfDepth, Split
from tomolith.measure.refine.stages import Stage, Work
from tomolith.measure.refine.time_model import Step
from tomolith.measure.refine.time_series import TimeModel, TimeWork, find_places


def build_stages(
    given: Given,
    index: int,
    plan: RefinePlan,
    *,
    settings: RefineSettings,
    steps: Sequence[Step] | None,
) -> list[Stage]:
    """Return the passes of the plan of a scan, in their order."""
    stages, of_first = [], given.reference_of(index)
    reference, ids = given.maps[of_first], (given.scans[index].id, given.scans[of_first].id)
    for names, stage_plan in plan.stages:
        if "time" in names:
            begin = partial(_begin_time, given, settings, _checked(steps, len(given.maps)))
        elif names[0] in ("min_size", "fill_holes"):
            begin = partial(_begin_pieces, names[0], settings)
        else:
            begin = partial(_begin_voxels, names, reference, ids, settings)
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
    given: Given,
    settings: RefineSettings,
    steps: Sequence[Step],
    maps: Sequence[LabelMap],
    cores: Sequence[Box],
    block_zyx: Triple,
) -> Work:
    follow = settings.wanted("time").follow
    places = find_places(
        maps, settings, follow=follow, block_zyx=block_zyx, scans=[s.id for s in given.scans]
    )
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
    ids: tuple[str, str],
    settings: RefineSettings,
    maps: Sequence[LabelMap],
    cores: Sequence[Box],
    block_zyx: Triple,
) -> Work:
    labelmap, operations = maps[0], []
    grid, schema = labelmap.grid, labelmap.schema
    faces = None
    if "allowed" in names or ("split" in names and settings.wanted("split").by == "nearest"):
        faces = _faces(labelmap, settings, block_zyx, ids[0])
    for name in names:
        operation: VoxelOperation
        if name == "region":
            operation = Region(settings.wanted("region"), grid, schema)
        elif name == "allowed":
            first = _faces(reference, settings, block_zyx, ids[1])
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


def _faces(labelmap: LabelMap, settings: RefineSettings, block_zyx: Triple, scan: str) -> Faces:
    return find_faces(
        labelmap,
        axis="zyx".index(settings.plan_axis),
        plating_high=settings.plating_side == "high",
        block_zyx=block_zyx,
        scan=scan,
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
