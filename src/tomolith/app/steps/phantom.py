"""The step ``phantom``: simulated scans with exact labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.app.study import PlannedScan, Study
from tomolith.phantom import simulate_series


class PhantomStep:
    """Simulate a lithium cell through its cycle, or a cathode, with labels and true numbers."""

    name = "phantom"
    summary = "Simulate a lithium cell, or a cathode, with exact labels."
    function = "tomolith.phantom:simulate_series"
    after = ()

    def scan_ids(self, study: Study) -> tuple[str, ...]:
        """Return the identifiers of the simulated scans."""
        return study.recipe.phantom.scan_ids

    def planned(self, study: Study) -> dict[str, PlannedScan]:
        """Return what each scan will be, by its id."""
        settings = study.recipe.phantom
        dtype = np.dtype(settings.dtype)
        return {i: PlannedScan(grid, dtype) for i, grid in settings.grids.items()}

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return nothing: a phantom is made from its settings alone."""
        return ()

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the simulated scans and the table of true numbers."""
        grids = study.recipe.phantom.grids
        scans = tuple(study.scan_path(scan_id) / "zarr.json" for scan_id in grids)
        if any(grid.sections for grid in grids.values()):  # single patches
            return scans
        return (*scans, study.root / "phantom" / "truth.parquet")

    def describe(self, study: Study) -> tuple[str, ...]:
        """Say what would be simulated."""
        return tuple(
            f"{scan_id}: simulated {'patches' if grid.sections else 'volume'} "
            + " × ".join(str(n) for n in grid.shape_zyx)
            for scan_id, grid in study.recipe.phantom.grids.items()
        )

    def run(self, study: Study) -> str:
        """Simulate all scans."""
        scans = simulate_series(
            study.recipe.phantom,
            study.scans_folder,
            study.root / "phantom",
            schema=study.schema,
        )
        return f"{len(scans)} simulated scan{'s' * (len(scans) != 1)}"
