"""The step ``phantom``: simulated scans with exact labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.app.study import PlannedScan, Study
from tomolith.core import Grid
from tomolith.phantom import simulate_series


class PhantomStep:
    """Simulate a lithium cell through its cycle: scans, exact labels, cycler file, true numbers."""

    name = "phantom"
    summary = "Simulate a lithium cell through its cycle, with exact labels."
    function = "tomolith.phantom:simulate_series"
    after = ()

    def scan_ids(self, study: Study) -> tuple[str, ...]:
        """Return the identifiers of the simulated scans."""
        return study.recipe.phantom.scan_ids

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
        """Return the simulated scans and the table of true numbers."""
        scans = (study.scan_path(scan_id) / "zarr.json" for scan_id in self.scan_ids(study))
        return (*scans, study.root / "phantom" / "truth.parquet")

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be simulated."""
        settings = study.recipe.phantom
        shape = " × ".join(str(n) for n in settings.shape_zyx)
        return tuple(f"{scan_id}: simulated volume {shape}" for scan_id in self.scan_ids(study))

    def run(self, study: Study) -> str:
        """Simulate all scans."""
        scans = simulate_series(
            study.recipe.phantom,
            study.scans_folder,
            study.root / "phantom",
            schema=study.schema,
        )
        return f"{len(scans)} simulated scan{'s' * (len(scans) != 1)}"
