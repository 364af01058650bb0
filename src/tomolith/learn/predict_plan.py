"""Patches, blocks and memory of a prediction, before anything is run."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tomolith.blocks import (
    Block,
    MemoryBudgetError,
    MemoryModel,
    choose_block,
    format_bytes,
    plan_blocks,
)
from tomolith.core import Box, Grid
from tomolith.core.box import Triple
from tomolith.core.plane import Plane
from tomolith.errors import InputError
from tomolith.learn.backends import Choice, resolve
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.optimise import BatchShape, has_depth
from tomolith.learn.outputs import EXTRAS
from tomolith.learn.planes import PlanePatches, check_context, check_cubes, check_planes, union
from tomolith.learn.settings import PredictSettings
from tomolith.store.layout import Layout

# Resident size of the process with PyTorch, Zarr and the command line loaded, and of a
# converted OpenVINO network, as measured on Linux and rounded up.
_LIBRARIES_BYTES = 440 * 2**20
_OPENVINO_BYTES = 180 * 2**20
# What a 3-D network takes besides: the library that brings it, and workspaces of convolutions.
_CUBES_BYTES = 320 * 2**20
# Of the feature maps of one batch at most about half are alive at a time.
_ALIVE_FRAC = 0.5


@dataclass(frozen=True, slots=True)
class PredictPlan:
    """How a scan will be predicted.

    Parameters
    ----------
    planes
        The patches of each plane in which the scan is predicted.
    models
        What is shown each of these planes; the same model where there is but one.
    weights
        Of each plane's logits, in the mean.
    batch_shape
        Shape of every call of a network, (B, in_channels, H, W), or (B, in_channels, D, H, W).
    blocks
        Pieces of work, in volume order.
    block_zyx
        Voxels per block.
    projected_bytes
        Peak memory of the process, computed beforehand.
    """

    planes: tuple[PlanePatches, ...]
    models: tuple[ModelBundle, ...]
    weights: tuple[float, ...]
    batch_shape: BatchShape
    blocks: tuple[Block, ...]
    block_zyx: Triple
    projected_bytes: int

    def read_box(self, write: Box) -> Box:
        """Return the voxels that are needed to label those of ``write``."""
        return union([plane.read_box(write) for plane in self.planes])


def plan_prediction(
    grid: Grid,
    bundle: ModelBundle,
    settings: PredictSettings,
    *,
    layout: Layout | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> PredictPlan:
    """Plan a prediction: nothing is read, computed or written.

    Parameters
    ----------
    grid
        Grid of the scan.
    bundle
        The trained model.
    layout
        Chunks and shards of the scan; ``None``: the usual ones.
    dtype
        Element type of the scan.

    Raises
    ------
    InputError
        The scan is smaller than a patch, the network cannot take such patches, or the voxels are
        not cubes and other planes than those of the slices are asked for, or a 3-D network; or it
        holds sections, and the network sees a slice between its neighbours; or mutual
        information of models of several planes.
    MemoryBudgetError
        The work does not fit ``settings.memory``; the message says what is needed.
    """
    network = bundle.build_network()
    patch_px = settings.patch_px or bundle.patch_px
    shown = shown_models(bundle, settings)
    models, weights = zip(*shown.values(), strict=True)
    is_3d = has_depth(network)
    choice = resolve(settings, is_3d=is_3d)
    sides = (patch_px,) * (3 if is_3d else 2)
    batch_shape = (choice.batch_size, bundle.in_channels, *sides)
    planes = _planes(grid, network, settings, names=tuple(shown), batch_shape=batch_shape)
    halo_zyx = _largest_halo(planes)
    model = _memory_model(
        halo_zyx,
        settings,
        n_classes=len(bundle.schema),
        depth=patch_px if is_3d else 1,
        keeps_sums=tuple(shown) != ("xy",),
        dtype=np.dtype(dtype),
        fixed_bytes=_fixed_bytes(network, batch_shape, choice)
        + _sampling_bytes(settings, batch_shape, n_classes=len(bundle.schema)),
    )
    shard_zyx = (layout or Layout.default(grid)).shard_zyx
    if settings.block_zyx is None:
        block_zyx = choose_block(
            grid.shape_zyx, shard_zyx, model=model, budget_bytes=settings.memory_bytes
        )
    else:
        block_zyx = settings.block_zyx
    blocks = plan_blocks(grid, shard_zyx=shard_zyx, halo_zyx=halo_zyx, block_zyx=block_zyx)
    projected_bytes = model.project_bytes(block_zyx, shape_zyx=grid.shape_zyx)
    if projected_bytes > settings.memory_bytes:
        raise MemoryBudgetError(
            f"blocks of {block_zyx} voxels need {format_bytes(projected_bytes)}",
            expected=f"at most {settings.memory}",
            mend="leave out 'block_zyx', or raise 'memory'",
        )
    return PredictPlan(planes, models, weights, batch_shape, blocks, block_zyx, projected_bytes)


def shown_models(
    bundle: ModelBundle, settings: PredictSettings
) -> dict[Plane, tuple[ModelBundle, float]]:
    """Return the model that is shown each plane, and its weight in the mean of the logits.

    Raises
    ------
    InputError
        Mutual information of members that are shown different planes is asked for.
    """
    if settings.planes is not None:
        return dict.fromkeys(settings.planes, (bundle, 1.0))
    found = bundle.by_plane()
    if len(found) > 1 and settings.mutual_information:
        raise InputError(
            "mutual information is asked for, and the members are shown different planes, whose "
            "logits are averaged",
            where="predict.mutual_information",
            mend="leave it out, or show all members the same planes, as in 'planes: [xy]'",
        )
    return found


def _planes(
    grid: Grid,
    network: nn.Module,
    settings: PredictSettings,
    *,
    names: tuple[Plane, ...],
    batch_shape: BatchShape,
) -> tuple[PlanePatches, ...]:
    is_3d, in_channels, patch_px = has_depth(network), batch_shape[1], batch_shape[-1]
    check_context(grid, in_channels // 2, key="predict")
    if is_3d:
        check_cubes(grid, names, where="predict")
    check_planes(names, grid)
    divisor = int(getattr(network, "divisor", 1))
    if patch_px % divisor:
        raise InputError(
            f"patches of {patch_px} pixels",
            expected=f"a multiple of {divisor}, which this network needs",
            where="predict.patch_px",
            mend=f"set 'patch_px: {max(1, round(patch_px / divisor)) * divisor}'",
        )
    across = is_3d or any(name != "xy" for name in names)
    sides = grid.shape_zyx if across else grid.shape_zyx[1:]
    if min(sides) < patch_px:
        fits = min(sides) // divisor * divisor
        shape = " × ".join(map(str, sides))
        patch = " × ".join([str(patch_px)] * (3 if is_3d else 2))
        raise InputError(
            f"the scan has {'voxels' if across else 'slices'} of {shape} pixels, "
            f"smaller than a patch of {patch}",
            expected=f"patches of at most {fits} pixels here" if fits else None,
            mend=f"set 'patch_px: {fits}'" if fits else "give larger slices, or pad them",
        )
    return tuple(
        PlanePatches.of(
            name,
            grid.shape_zyx,
            patch_px=patch_px,
            overlap_frac=settings.overlap_frac,
            depth=patch_px if is_3d else 1,
            n_slices=in_channels,
        )
        for name in names
    )


def _largest_halo(planes: tuple[PlanePatches, ...]) -> Triple:
    z, y, x = (max(plane.halo_zyx[axis] for plane in planes) for axis in range(3))
    return z, y, x


def _memory_model(
    halo_zyx: Triple,
    settings: PredictSettings,
    *,
    n_classes: int,
    depth: int,
    keeps_sums: bool,
    dtype: np.dtype[Any],
    fixed_bytes: int,
) -> MemoryModel:
    mask_bytes = 1 if dtype.kind == "f" else 0  # only floats can be invalid
    n_extra = sum(
        n_classes if kind == "probabilities" else 1 for kind in EXTRAS if getattr(settings, kind)
    )
    n_channels = n_classes + settings.mutual_information
    # across the slices the sums of a whole block are held, and one of its slices besides
    sums = 4 * n_channels * 9 / 8 if keeps_sums else 0.0
    return MemoryModel(
        fixed_bytes=fixed_bytes,
        # the voxels, as much again in compressed chunks, and the mask of invalid ones
        read_voxel_bytes=2 * dtype.itemsize + mask_bytes,
        # each output, and what one of them takes while it is compressed: labels little
        write_voxel_bytes=1 + n_extra + (2 if n_extra else 1) + sums,
        # sums of logits of as many slices as a patch is deep; the best one so far, masks,
        # exponentials and entropy of one
        slice_pixel_bytes=4 * n_channels * depth + 10 + (16 if n_extra else 0),
        n_in_flight=settings.workers if settings.executor == "threads" else 1,
        halo_zyx=halo_zyx,
    )


def _fixed_bytes(network: nn.Module, batch_shape: BatchShape, choice: Choice) -> int:
    """Return what the process holds whatever the blocks are; ``network`` has all members in it."""
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    total = _LIBRARIES_BYTES + 3 * weights
    if choice.name == "openvino":
        total += _OPENVINO_BYTES
    if has_depth(network):
        total += _CUBES_BYTES
    if choice.device == "cpu":
        total += round(_ALIVE_FRAC * feature_bytes(network, batch_shape))
    return total


def _sampling_bytes(settings: PredictSettings, batch_shape: BatchShape, *, n_classes: int) -> int:
    """Return what averaging over flips, dropout and members holds: about six sets of shares."""
    if not (settings.flips or settings.mc_dropout or settings.mutual_information):
        return 0
    batch, _, *sides = batch_shape
    return 6 * 4 * batch * (n_classes + 1) * math.prod(sides)


def feature_bytes(network: nn.Module, batch_shape: BatchShape) -> int:
    """Return the size in fp32 of all feature maps of one batch, without computing them.

    Examples
    --------
    >>> feature_bytes(nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()), (2, 1, 16, 16))
    32768
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    total = 0

    def count(_module: nn.Module, _given: Any, out: Any) -> None:
        nonlocal total
        total += out.numel() * 4 if isinstance(out, torch.Tensor) else 0

    for module in shadow.modules():
        if not list(module.children()):
            module.register_forward_hook(count)
    with torch.inference_mode():
        shadow(torch.zeros(batch_shape, device="meta"))
    return total
