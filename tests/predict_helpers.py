"""A small scan and a small network for the tests of prediction; runs in subprocesses too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from tomolith.config import Component
from tomolith.core import PRESETS, Grid, IntensityStats, Normalisation, Provenance
from tomolith.learn.bundle import ModelBundle
from tomolith.learn.networks import NETWORKS
from tomolith.learn.settings import PredictSettings
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

SCHEMA = PRESETS["cathode-3phase"]
PATCH_PX = 32


def small_image(shape_zyx, dtype, seed=0):
    """Return smooth blobs with noise: all classes of the small network occur in it."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(shape_zyx[0], shape_zyx[1] // 8 + 2, shape_zyx[2] // 8 + 2))
    image = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, : shape_zyx[1], : shape_zyx[2]]
    image = 120 + 40 * image + rng.normal(scale=8, size=shape_zyx)
    return np.clip(np.rint(image), 0, 255).astype(dtype)


def small_scan(
    folder, shape_zyx=(6, 90, 100), dtype=np.uint8, *, sections=False, shard_zyx=(2, 32, 64)
):
    """Write a finished scan with shards small enough for several blocks."""
    path = Path(folder) / "small.zarr"
    grid = Grid(shape_zyx, None, sections=sections)
    depth = 1 if sections else shard_zyx[0]
    layout = Layout((1, 32, 32), (depth, *shard_zyx[1:]))
    scan = Scan.create(path, grid, dtype, provenance=Provenance("test"), layout=layout)
    image = small_image(shape_zyx, dtype)
    scan.image.array[:] = image
    parts = image if sections else [image]
    scan.set_stats([IntensityStats.of_sample(part) for part in parts])
    scan.finish()
    return scan


def small_bundle(network="unet", *, in_channels=1, seed=0):
    """Return an untrained network whose logits are spread enough to give every class."""
    options = {"channels": 4, "depth": 2} if network == "unet" else {"channels": 4, "units": 2}
    component = Component(name=network, options=options)
    torch.manual_seed(seed)
    module = NETWORKS.build(component, in_channels, len(SCHEMA))
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_var.uniform_(0.05, 0.3)
                part.weight.uniform_(0.8, 1.6)
                part.running_mean.normal_(0, 0.1)
        module.eval()
        # centre each class on a sample, so that none wins everywhere
        logits = module(torch.randn(8, in_channels, PATCH_PX, PATCH_PX))
        module.head.bias -= logits.mean(dim=(0, 2, 3))
    return ModelBundle(
        component,
        SCHEMA,
        None,
        False,
        Normalisation(),
        in_channels,
        PATCH_PX,
        weights=module.state_dict(),
    )


def small_settings(**changes):
    """Return settings that tests can afford: one thread, PyTorch, one block at a time."""
    chosen = {
        "backend": "torch",
        "device": "cpu",
        "threads": 1,
        "executor": "serial",
        "workers": 1,
        **changes,
    }
    return PredictSettings(**chosen)


def files_of(folder):
    """Return each file's hash; of zarr.json without what tells the time of day."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_dir():
            continue
        content = path.read_bytes()
        if path.name == "zarr.json":
            document = json.loads(content)
            own = document.get("attributes", {}).get("tomolith", {})
            own.pop("check", None)
            own.get("provenance", {}).pop("created_utc", None)
            content = json.dumps(document, sort_keys=True).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found
