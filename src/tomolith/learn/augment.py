"""Augmentation of whole batches on tensors: one affine resampling, then grey values."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tomolith.learn.augment_settings import AugmentSettings
from tomolith.learn.losses.base import IGNORE

GREY_RANGE = 2.0  # of normalised images: the scan's percentiles lie at -1 and 1


def read_px(patch_px: int, settings: AugmentSettings) -> int:
    """Return the side of the region to read around a patch, so that turning it stays inside.

    Examples
    --------
    >>> read_px(128, AugmentSettings(preset="none", rotate_deg=0, zoom=(1, 1), shift_frac=0))
    128
    >>> read_px(128, AugmentSettings())
    228
    """
    turn = min(settings.rotate_deg, 45.0) * math.pi / 180
    reach = (math.cos(turn) + math.sin(turn)) / settings.zoom[0] + 2 * settings.shift_frac
    # beyond 1.78 patches the rare corner stays unlabelled instead: reading costs more than it gives
    return math.ceil(min(reach, math.sqrt(2) / 0.8 + 0.01) * patch_px / 2) * 2


def augment(
    image: Tensor, target: Tensor, settings: AugmentSettings, *, patch_px: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return randomly varied patches, cut from the middle of larger regions.

    Rotation, flips, crop, shift and zoom are one affine map per patch: grey values by bilinear
    interpolation, labels by the nearest pixel; what comes from outside the region is unlabelled.
    Then contrast, brightness, gamma, blur and noise.  Source: the TransforCNN paper (Methods)
    for the preset ``paper``; the removal of rows, part of the affine map, is the MatPhase paper's.

    All slices of a cube, or of a slice and its neighbours, are varied alike; half of these are also
    turned over along z, where ``settings.flip`` allows all directions.

    Parameters
    ----------
    image
        (B, C, R, R) normalised grey values; see :func:`read_px` for R. Of cubes (B, C, D, R, R).
    target
        (B, R, R) channel numbers, -1 where unlabelled. Of cubes (B, D, R, R).
    patch_px
        Side of the patches.
    rng
        Source of all randomness.

    Returns
    -------
    image (B, C, patch_px, patch_px), target (B, patch_px, patch_px); of cubes with D as given

    Examples
    --------
    >>> image, target = torch.zeros(2, 1, 48, 48), torch.zeros(2, 48, 48, dtype=torch.int64)
    >>> rng = torch.Generator().manual_seed(0)
    >>> image, target = augment(image, target, AugmentSettings(), patch_px=32, rng=rng)
    >>> image.shape, target.shape
    (torch.Size([2, 1, 32, 32]), torch.Size([2, 32, 32]))
    """
    image, target = move(image, target, settings, patch_px=patch_px, rng=rng)
    varied = vary_grey(image.flatten(1, -3), settings, rng)  # slices are varied as channels are
    return varied.reshape(image.shape), target


def move(
    image: Tensor, target: Tensor, settings: AugmentSettings, *, patch_px: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return patches moved by the affine maps of :func:`augment`, their grey values unvaried."""
    theta = _affine(len(image), image.shape[-1], settings, patch_px=patch_px, rng=rng)
    size = [len(image), 1, patch_px, patch_px]
    grid = functional.affine_grid(theta.to(image), size, align_corners=False)
    sides = (patch_px, patch_px)
    moved = functional.grid_sample(
        image.flatten(1, -3), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    image = moved.reshape(*image.shape[:-2], *sides)
    # labels shifted by one, so that the zeros from outside become -1
    labels = (target.reshape(len(target), -1, *target.shape[-2:]) - IGNORE).float()
    moved = functional.grid_sample(labels, grid, mode="nearest", align_corners=False)
    target = moved.reshape(*target.shape[:-2], *sides).round().long() + IGNORE
    is_cube = target.ndim == 4
    if settings.flip is True and (is_cube or image.shape[1] > 1):
        turned = torch.rand(len(image), generator=rng) < 0.5
        image[turned] = image[turned].flip(2 if is_cube else 1)
        if is_cube:
            target[turned] = target[turned].flip(1)
    return image, target


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=rng)


def _affine(
    n: int, region_px: int, settings: AugmentSettings, *, patch_px: int, rng: torch.Generator
) -> Tensor:
    """Return (n, 2, 3) maps from patch coordinates to region coordinates, both -1..1."""
    angle = _uniform(n, -settings.rotate_deg, settings.rotate_deg, rng) * math.pi / 180
    zoom = _log_uniform(n, settings.zoom, rng) / (1 - _uniform(n, 0, settings.crop_frac, rng))
    may_flip = torch.tensor([settings.flip in (True, way) for way in ("left-right", "up-down")])
    flip = 1 - 2 * (may_flip & (torch.rand(n, 2, generator=rng) < 0.5)).float()
    scale = patch_px / region_px / zoom
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], dim=1)
    rows = rows * flip[:, None, :]
    shift = _uniform(2 * n, -settings.shift_frac, settings.shift_frac, rng).view(n, 2, 1)
    theta = torch.cat([rows, shift * 2 * patch_px / region_px], dim=2)
    if settings.rows_removed:
        theta = theta @ _remove_rows(n, settings.rows_removed, patch_px=patch_px, rng=rng)
    return theta


def _remove_rows(n: int, most: int, *, patch_px: int, rng: torch.Generator) -> Tensor:
    """Return (n, 3, 3) maps that leave out up to ``most`` rows at the top of each patch."""
    removed = torch.randint(0, min(most, patch_px - 1) + 1, (n,), generator=rng) / patch_px
    maps = torch.eye(3).repeat(n, 1, 1)
    maps[:, 1, 1], maps[:, 1, 2] = 1 - removed, removed
    return maps


def _log_uniform(n: int, bounds: tuple[float, float], rng: torch.Generator) -> Tensor:
    return _uniform(n, math.log(bounds[0]), math.log(bounds[1]), rng).exp()


def vary_grey(image: Tensor, settings: AugmentSettings, rng: torch.Generator) -> Tensor:
    """Return patches (B, C, H, W) with the grey values varied as :func:`augment` does."""
    n = len(image)

    def per_patch(values: Tensor) -> Tensor:
        return values.view(n, 1, 1, 1).to(image)

    if settings.gamma != (1.0, 1.0):
        image = _gamma(image, per_patch(_log_uniform(n, settings.gamma, rng)))
    contrast = _uniform(n, 1 - settings.contrast_frac, 1 + settings.contrast_frac, rng)
    bright = settings.brightness_frac * GREY_RANGE
    image = image * per_patch(contrast) + per_patch(_uniform(n, -bright, bright, rng))
    if settings.blur_px > 0:
        sigma = _uniform(n, 0.0, settings.blur_px, rng)
        image = _blur(image, torch.where(torch.rand(n, generator=rng) < 0.5, sigma, 0.0))
    if settings.noise_frac > 0:
        sigma = _uniform(n, 0.0, settings.noise_frac * GREY_RANGE, rng)
        sigma = torch.where(torch.rand(n, generator=rng) < 0.5, sigma, 0.0)
        image = image + _noise(image, settings.noise_px, rng) * per_patch(sigma)
    return image


def _noise(image: Tensor, most_px: float, rng: torch.Generator) -> Tensor:
    """Return noise with a standard deviation of 1, of another grain for each patch."""
    noise = torch.randn(image.shape, generator=rng).to(image)
    if most_px == 0:
        return noise
    noise = _blur(noise, _uniform(len(image), 0.0, most_px, rng))
    return noise / noise.std(dim=(1, 2, 3), keepdim=True)


def _gamma(image: Tensor, gamma: Tensor) -> Tensor:
    """Bend the grey scale between -1 and 1; beyond, continue straight with the end's value."""
    inside = image.clamp(-1, 1)
    bent = ((inside + 1) / 2).clamp(min=1e-6) ** gamma * 2 - 1
    return bent + (image - inside)


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur each patch by its own Gaussian, as two one-dimensional convolutions."""
    n, channels, height, width = image.shape
    radius = max(1, math.ceil(3 * float(sigma.max())))
    at = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    sigma = sigma.to(image).clamp(min=1e-3)
    kernel = torch.exp(-0.5 * (at / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = functional.pad(image.reshape(1, n * channels, height, width), [radius] * 4, "replicate")
    flat = functional.conv2d(flat, kernel[:, None, :, None], groups=n * channels)
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=n * channels)
    return flat.view(n, channels, height, width)
