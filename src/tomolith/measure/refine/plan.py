"""Stages, blocks and memory of a refinement, before anything is run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tomolith.blocks import (
    MemoryBudgetError,
    MemoryModel,
    choose_block,
    format_bytes,
    plan_blocks,
)
from tomolith.blocks.run import Executor
from tomolith.core import ClassSchema, Grid
from tomolith.core.box import Triple
from tomolith.errors import InputError
from tomolith.measure.refine.classes import lacking, refuse
from tomolith.measure.refine.faces import FACE_BYTES
from tomolith.measure.refine.settings import OPERATIONS, RefineSettings
from tomolith.measure.refine.stages import StagePlan
from tomolith.measure.refine.time_series import SLAB_SLICES
from tomolith.store.layout import Layout

# Resident size of the process with Zarr, SciPy, pandas and the command line loaded, and of what the
# allocator keeps of earlier passes, as measured on Linux and rounded up.
_LIBRARIES_BYTES = 400 * 2**20
_WHAT_VOXELS_TAKE = {"voxel": 4.0, "pieces": 30.0}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An operation that nobody asked for and that cannot be done, and why."""

    operation: str
    why: str


def chosen_operations(
    settings: RefineSettings, grid: Grid, schema: ClassSchema
) -> tuple[tuple[str, ...], tuple[LeftOut, ...]]:
    """Return the operations that will be done, in their order, and those that cannot be.

    Raises
    ------
    InputError
        An operation was asked for that classes or voxel size do not allow, or none is left.

    Examples
    --------
    >>> from tomolith.core import PRESETS
    >>> grid = Grid((4, 8, 8), None)
    >>> done, left_out = chosen_operations(RefineSettings(), grid, PRESETS["li-binary"])
    >>> done, [one.operation for one in left_out]
    (('min_size', 'fill_holes'), ['split', 'allowed'])
    """
    done, left_out = [], []
    for operation in OPERATIONS:
        wanted = settings.wanted(operation)
        if wanted is None:
            continue
        why = _why_not(operation, wanted, grid, schema)
        if why is None:
            done.append(operation)
        elif settings.is_asked_for(operation):
            raise refuse(schema, operation, why)
        else:
            left_out.append(LeftOut(operation, why))
    if not done:
        raise InputError(
            "there is nothing to refine",
            expected=f"at least one of {', '.join(OPERATIONS)}",
            where="refine",
            mend="; ".join(f"'{one.operation}': {one.why}" for one in left_out) or None,
        )
    return tuple(done), tuple(left_out)


def _why_not(operation: str, wanted: object, grid: Grid, schema: ClassSchema) -> str | None:
    if grid.sections and operation != "region":
        return "the scan holds independent 2-D images"
    if operation == "allowed" and not grid.is_physical:
        return "the voxel size is unknown, and so is a margin in µm"
    if operation in ("min_size", "fill_holes"):
        named = getattr(wanted, "classes", None)
        unknown = [name for name in named or () if name not in schema.names]
        if unknown and (operation == "min_size" or len(unknown) == len(named or ())):
            return f"no class '{unknown[0]}'"
    return lacking(schema, operation)


@dataclass(frozen=True, slots=True)
class RefinePlan:
    """How scans will be refined.

    Parameters
    ----------
    operations
        What is done, in its order.
    left_out
        What is not, and why.
    stages
        The blocks of each stage, by the operations that it does.
    """

    operations: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    stages: tuple[tuple[tuple[str, ...], StagePlan], ...]

    @property
    def projected_bytes(self) -> int:
        """Peak memory of the process."""
        return max(plan.projected_bytes for _, plan in self.stages)


def plan_refinement(
    grid: Grid,
    settings: RefineSettings,
    schema: ClassSchema,
    *,
    n_scans: int = 1,
    layouts: Sequence[Layout] = (),
    probabilities: bool = False,
) -> RefinePlan:
    """Plan a refinement: nothing is read, computed or written.

    Parameters
    ----------
    grid, schema
        Grid and classes of the label maps.
    n_scans
        Scans of the series, which time consistency holds in memory together.
    layouts
        Chunks and shards of the scans; none: the usual ones.
    probabilities
        Whether time consistency uses probabilities.

    Raises
    ------
    InputError
        An operation was asked for that classes or voxel size do not allow, or none is left.
    MemoryBudgetError
        The work does not fit ``settings.memory``; the message says what is needed.
    """
    operations, left_out = chosen_operations(settings, grid, schema)
    shard_zyx = _common_shard(layouts or [Layout.default(grid)])
    stages = []
    for names in _stages_of(operations):
        model = _memory_model(names, grid, settings, n_scans=n_scans, n_classes=len(schema))
        if "time" in names and probabilities:
            pixels = n_scans * (len(schema) + 1) * SLAB_SLICES
            model = MemoryModel(
                model.fixed_bytes,
                model.read_voxel_bytes,
                model.write_voxel_bytes,
                slice_pixel_bytes=model.slice_pixel_bytes + 2 * pixels,
            )
        stages.append((names, _plan_stage(model, grid, settings, shard_zyx)))
    return RefinePlan(operations, left_out, tuple(stages))


def _stages_of(operations: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Group what can be done in one pass over the blocks."""
    first = tuple(o for o in operations if o in ("region", "time"))
    second = tuple(o for o in operations if o in ("split", "allowed"))
    stages = [first, second] if "time" in first else [first + second]
    stages += [(o,) for o in operations if o in ("min_size", "fill_holes")]
    return [stage for stage in stages if stage]


def _common_shard(layouts: Sequence[Layout]) -> Triple:
    z, y, x = (math.lcm(*(layout.shard_zyx[axis] for layout in layouts)) for axis in range(3))
    return z, y, x


def _memory_model(
    names: tuple[str, ...], grid: Grid, settings: RefineSettings, *, n_scans: int, n_classes: int
) -> MemoryModel:
    u, v = (n for axis, n in zip("zyx", grid.shape_zyx, strict=True) if axis != settings.plan_axis)
    with_faces = bool({"time", "allowed", "split"} & set(names))
    fixed = _LIBRARIES_BYTES + (FACE_BYTES * u * v if with_faces else 0)
    if "time" in names:
        # labels before and after of every scan; of some slices codes, sums and ways back
        slab = SLAB_SLICES * n_scans * (8 + n_classes)
        return MemoryModel(fixed, 1.5 * n_scans, 1.5 * n_scans, slice_pixel_bytes=slab)
    if names[0] in ("min_size", "fill_holes"):
        return MemoryModel(fixed, 2.0, _WHAT_VOXELS_TAKE["pieces"])
    return MemoryModel(fixed, 2.0, _WHAT_VOXELS_TAKE["voxel"], slice_pixel_bytes=40 * SLAB_SLICES)


def _plan_stage(
    model: MemoryModel, grid: Grid, settings: RefineSettings, shard_zyx: Triple
) -> StagePlan:
    """Choose the blocks, and as many workers as fit."""
    shape, budget = grid.shape_zyx, settings.memory_bytes
    wanted = settings.workers if settings.executor == "threads" else 1
    least = settings.block_zyx or shard_zyx
    many = [_with_workers(model, n) for n in range(wanted, 0, -1)]
    fitting = [m for m in many if m.project_bytes(least, shape_zyx=shape) <= budget]
    chosen = (fitting or many[-1:])[0]
    if settings.block_zyx is None:
        block = choose_block(shape, shard_zyx, model=chosen, budget_bytes=budget)
    else:
        block = settings.block_zyx
    projected = chosen.project_bytes(block, shape_zyx=shape)
    if projected > budget:
        raise MemoryBudgetError(
            f"blocks of {block} voxels need {format_bytes(projected)}",
            expected=f"at most {settings.memory}",
            mend="leave out 'block_zyx', or raise 'memory'",
        )
    executor: Executor = settings.executor
    return StagePlan(
        plan_blocks(grid, shard_zyx=shard_zyx, block_zyx=block),
        block,
        executor,
        chosen.n_in_flight,
        projected,
    )


def _with_workers(model: MemoryModel, n: int) -> MemoryModel:
    return MemoryModel(
        model.fixed_bytes,
        model.read_voxel_bytes,
        model.write_voxel_bytes,
        model.slice_pixel_bytes,
        n,
    )
