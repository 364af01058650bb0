"""A small finished scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tomolith.core import PRESETS, Grid, Provenance
from tomolith.store.intensity import sample_stats
from tomolith.store.layout import Layout
from tomolith.store.scan import Scan

MakeScan = Callable[..., Scan]


@pytest.fixture
def make_scan(tmp_path: Path) -> MakeScan:
    """Return a function that writes a finished scan with one label map and several shards."""

    def make(
        name: str = "a", *, grid: Grid | None = None, dtype: str = "u2", labels: bool = True
    ) -> Scan:
        made = Provenance.now("test", seed=0)
        layout = Layout((2, 16, 16), (4, 32, 32)) if grid is None else None  # many shards
        grid = grid or Grid((10, 60, 50), (2.0, 0.5, 0.5))
        path = tmp_path / f"{name}.zarr"
        scan = Scan.create(path, grid, dtype, provenance=made, layout=layout)
        rng = np.random.default_rng(0)
        grey = rng.integers(0, 120, grid.shape_zyx).astype(dtype)
        scan.image.array[:] = grey
        scan.set_stats(sample_stats(scan.image)[0])
        if labels:
            writer = scan.create_labels("truth", PRESETS["li-operando"], provenance=made)
            writer.array[:] = (grey % 6).astype(np.uint8)
            writer.finish()
        scan.finish()
        return Scan.open(path)

    return make
