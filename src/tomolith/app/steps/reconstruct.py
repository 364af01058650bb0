"""The step ``reconstruct``: projections to scans of the study."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tomolith.app.simulated import LABELS, carry_labels, phantom_facts, phantom_scan_id
from tomolith.app.steps.base import fingerprint
from tomolith.app.study import PlannedScan, Study
from tomolith.config import progress, require, settings_hash
from tomolith.errors import InputError, RecipeError, TomolithError
from tomolith.prepare.raw_projections import (
    ProjectionFacts,
    ProjectionSource,
    open_projections,
)
from tomolith.prepare.reconstruct import ReconstructSettings, planned_grid, reconstruct_scan
from tomolith.store.scan import Scan


class ReconstructStep:
    """Reconstruct scans from projections."""

    name = "reconstruct"
    summary = "Reconstruct scans from projections."
    function = "tomolith.prepare.reconstruct:reconstruct_scan"
    after = ("phantom",)

    def settings(self, study: Study) -> ReconstructSettings:
        """Return the section; every scan has an id of its own.

        Raises
        ------
        RecipeError
            An id is used twice, here or by the steps ``phantom`` and ``import``.
        """
        settings = study.recipe.reconstruct
        assert isinstance(settings, ReconstructSettings)
        seen = [source.id for source in settings.scans]
        if study.recipe.import_:
            seen += [source.id for source in study.recipe.import_.scans]
        if study.recipe.phantom:
            seen += study.recipe.phantom.scan_ids
        twice = sorted({i for i in seen if seen.count(i) > 1} & {s.id for s in settings.scans})
        if twice:
            raise RecipeError(
                f"the scan id '{twice[0]}' is used twice",
                where=study.recipe_path,
                mend="give each scan an id of its own",
            )
        return settings

    def scan_ids(self, study: Study) -> tuple[str, ...]:
        """Return the identifiers of the reconstructed scans."""
        return tuple(source.id for source in self.settings(study).scans)

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return fingerprints of the projections."""
        return tuple(fingerprint(Path(source.path)) for source in self.settings(study).scans)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the reconstructed scans."""
        return tuple(study.scan_path(scan_id) / "zarr.json" for scan_id in self.scan_ids(study))

    def planned(self, study: Study) -> dict[str, PlannedScan]:
        """Return what each scan will be, by its id; every file is opened."""
        settings = self.settings(study)
        planned = {}
        for source in settings.scans:
            grid = planned_grid(_facts(source, study), settings, where=source.path)
            planned[source.id] = PlannedScan(grid, np.dtype(np.float32))
        return planned

    def describe(self, study: Study) -> tuple[str, ...]:
        """Open every file of projections, but those that the phantom has yet to make."""
        require("algotom", extra="recon")
        lines = []
        for source in self.settings(study).scans:
            facts = _facts(source, study)
            pixel = "unknown" if facts.pixel_um is None else f"{facts.pixel_um[1]:g} µm"
            degrees = math.degrees(float(np.ptp(facts.theta_rad)))
            lines.append(
                f"{source.id}: {len(facts.theta_rad)} projections of {facts.n_rows} × "
                f"{facts.n_columns} pixels, {degrees:.4g} degrees, pixel {pixel}"
                + (", simulated" if facts.simulated else "")
            )
        return tuple(lines)

    def run(self, study: Study) -> str:
        """Reconstruct the scans that are not there yet or whose projections have changed."""
        settings = self.settings(study)
        n_new, axes = 0, []
        with progress("reconstruct", total=len(settings.scans)) as bar:
            for source in settings.scans:
                shared = settings.model_copy(update={"scans": ()})
                key = settings_hash(source, shared, fingerprint(Path(source.path)))
                path, simulated = study.scan_path(source.id), phantom_scan_id(source, study)
                if _make_way(path, study, key=key, made=LABELS if simulated else ()):
                    scan = reconstruct_scan(source, path, settings=settings, key=key)
                    n_new += 1
                    if source.centre is None:
                        axes.append(f"{source.id}: {scan.provenance.inputs[1]}")
                if simulated:
                    carry_labels(study.scan(simulated), study.scan(source.id))
                bar.advance(note=source.id)
        return "; ".join([f"{len(settings.scans)} scans, {n_new} of them new", *axes])


def _facts(source: ProjectionSource, study: Study) -> ProjectionFacts:
    if phantom_scan_id(source, study):
        return phantom_facts(source, study)
    with open_projections(source) as raw:
        return raw


def _make_way(path: Path, study: Study, *, key: str, made: tuple[str, ...]) -> bool:
    """Tell whether the scan must be made; refuse where that would lose a label map.

    Parameters
    ----------
    made
        Label maps that this step makes itself.

    Raises
    ------
    InputError
        The stored scan carries label maps that no step of the recipe makes.
    """
    try:
        scan = Scan.open(path)
    except TomolithError:
        return True  # absent, unfinished or damaged
    if scan.provenance.settings_hash == key:
        return False
    ours = {"otsu", *made} | ({study.recipe.predict.labels} if study.recipe.predict else set())
    ours |= {study.recipe.refine.labels} if study.recipe.refine else set()
    foreign = sorted(set(scan.label_names()) - ours)
    if foreign:
        raise InputError(
            f"the projections of '{scan.id}' or their settings have changed, and reconstructing "
            f"again would remove the label map{'s' * (len(foreign) > 1)} {', '.join(foreign)}",
            where=path,
            mend="export or move the label maps away, then delete the scan",
        )
    return True
