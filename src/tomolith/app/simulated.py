"""Projections that the phantom of the same recipe simulates, and the labels that belong to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.app.study import Study
from tomolith.phantom import PhantomSettings
from tomolith.phantom.projections import SIMULATED, n_detector_columns
from tomolith.prepare.raw_projections import ProjectionFacts, ProjectionSource
from tomolith.store.scan import Scan

LABELS = ("truth", "hand")
"""Label maps of a simulated scan that a reconstruction on the same grid carries too."""


def phantom_scan_id(source: ProjectionSource, study: Study) -> str | None:
    """Return which scan of the recipe's phantom these are projections of; ``None`` for others."""
    settings = study.recipe.phantom
    if not isinstance(settings, PhantomSettings) or settings.projections is None:
        return None
    path = Path(source.path).resolve()
    is_of_phantom = path.parent == study.root / "phantom" and path.suffix == ".h5"
    return path.stem if is_of_phantom and path.stem in settings.scan_ids else None


def phantom_facts(source: ProjectionSource, study: Study) -> ProjectionFacts:
    """Return what the projections of a phantom scan are, or will be once they are simulated."""
    settings = study.recipe.phantom
    assert isinstance(settings, PhantomSettings) and settings.projections is not None
    size = settings.voxel_size_um
    return ProjectionFacts(
        theta_rad=np.radians(settings.projections.angles_deg(settings.shape_zyx)),
        n_rows=settings.shape_zyx[0],
        n_columns=n_detector_columns(settings.shape_zyx),
        pixel_um=None if source.pixel_size_um == "unknown" else (size, size),
        simulated=SIMULATED,
    )


def carry_labels(simulated: Scan, scan: Scan) -> None:
    """Give a reconstruction the labels of the simulated scan, where both lie on one grid."""
    if scan.grid != simulated.grid:
        return
    for name in set(LABELS) & set(simulated.label_names()) - set(scan.label_names()):
        labels = simulated.labels(name)
        writer = scan.create_labels(name, labels.schema, provenance=labels.volume.provenance)
        for box in scan.grid.box.tiles(scan.layout.shard_zyx):
            writer.array[box.slices] = labels.read(box)
        writer.finish()
