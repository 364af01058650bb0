"""The step ``phantom``: simulated scans with exact labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.app.study import PlannedScan, Study
from tomolith.core import Grid
from tomolith.phantom import make_phantom, phantom_ids


class PhantomStep:
    """Simulate scans of a lithium cell with exact labels."""

    name = "phantom"
    summary = "Simulate scans of a lithium cell with exact labels."
    function = "tomolith.phantom:make_phantom"
    after = ()

    def scan_ids(self, study: Study) -> tuple[str, ...]:
        """Return the identifiers of the simulated scans."""
        return phantom_ids(study.recipe.phantom)

    def planned(self, study: Study) -> dict[str, PlannedScan]:
        """Return what each scan will be, by its id."""
        settings = study.recipe.phantom
        size = settings.voxel_size_um
        grid = Grid(settings.shape_zyx, (size, size, size))
        return {i: PlannedScan(grid, np.dtype(settings.dtype)) for i in self.scan_ids(study)}

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return nothing: a phantom is made from its settings alone."""
        return ()

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the simulated scans."""
        return tuple(study.scan_path(scan_id) / "zarr.json" for scan_id in self.scan_ids(study))

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be simulated."""
        settings = study.recipe.phantom
        shape = " × ".join(str(n) for n in settings.shape_zyx)
        return tuple(f"{scan_id}: simulated volume {shape}" for scan_id in self.scan_ids(study))

    def run(self, study: Study) -> str:
        """Simulate all scans."""
        scan_ids = self.scan_ids(study)
        for scan_id in scan_ids:
            path = study.scan_path(scan_id)
            make_phantom(study.recipe.phantom, path, scan_id=scan_id, schema=study.schema)
        return f"{len(scan_ids)} simulated scan{'s' * (len(scan_ids) != 1)}"
