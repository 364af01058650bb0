"""The step ``import``: scans and labels of any supported format into the study."""

from __future__ import annotations

from pathlib import Path

from tomolith.app.steps.base import fingerprint
from tomolith.app.study import PlannedScan, Study
from tomolith.config import progress, settings_hash
from tomolith.core import LabelMap, Volume
from tomolith.errors import InputError, RecipeError, TomolithError
from tomolith.label.annotations import read_labels
from tomolith.prepare.import_scan import ImportSettings, ScanSource, import_scan
from tomolith.store.open_image import open_image
from tomolith.store.scan import Scan


class ImportStep:
    """Copy scans and labels into the study."""

    name = "import"
    summary = "Copy scans and labels into the study."
    function = "tomolith.prepare.import_scan:import_scan"
    after = ()

    def sources(self, study: Study) -> tuple[ScanSource, ...]:
        """Return one source per scan, patterns expanded."""
        settings = study.recipe.import_
        assert isinstance(settings, ImportSettings)
        sources = tuple(one for source in settings.scans for one in source.expand())
        seen = [source.id for source in sources]
        twice = sorted({scan_id for scan_id in seen if seen.count(scan_id) > 1})
        if twice:
            raise RecipeError(
                f"the scan id '{twice[0]}' is used twice",
                where=study.recipe_path,
                mend="give each scan an id of its own, for example 'id: \"a-{stem}\"'",
            )
        return sources

    def scan_ids(self, study: Study) -> tuple[str, ...]:
        """Return the identifiers of the imported scans."""
        return tuple(source.id for source in self.sources(study))

    def inputs(self, study: Study) -> tuple[str, ...]:
        """Return fingerprints of the source files."""
        paths = [s.path for s in self.sources(study)]
        paths += [s.labels.path for s in self.sources(study) if s.labels]
        return tuple(fingerprint(Path(path)) for path in paths)

    def outputs(self, study: Study) -> tuple[Path, ...]:
        """Return the imported scans."""
        return tuple(study.scan_path(scan_id) / "zarr.json" for scan_id in self.scan_ids(study))

    def planned(self, study: Study) -> dict[str, PlannedScan]:
        """Return what each scan will be, by its id; every source is opened."""
        return {source.id: _planned(source) for source in self.sources(study)}

    def describe(self, study: Study) -> tuple[str, ...]:
        """Open every source and its labels."""
        lines = []
        for source in self.sources(study):
            image, labels = _open(source, study)
            size = image.grid.voxel_size_um
            voxel = "unknown" if size is None else " × ".join(f"{s:g}" for s in size) + " µm"
            kind = "sections" if image.grid.sections else "volume"
            shape = " × ".join(str(n) for n in image.grid.shape_zyx)
            known = ", labels" if labels else ""
            lines.append(f"{source.id}: {kind} {shape}, {image.dtype}, voxel {voxel}{known}")
        return tuple(lines)

    def run(self, study: Study) -> str:
        """Import the scans that are not there yet or whose source has changed."""
        sources = self.sources(study)
        n_new = 0
        with progress("import", total=len(sources)) as bar:
            for source in sources:
                n_new += self._import_if_changed(source, study)
                bar.advance(note=source.id)
        return f"{len(sources)} scans, {n_new} of them new"

    def _import_if_changed(self, source: ScanSource, study: Study) -> bool:
        files = [source.path, *([source.labels.path] if source.labels else [])]
        key = settings_hash(source, study.schema.to_dict(), [fingerprint(Path(f)) for f in files])
        path = study.scan_path(source.id)
        if not _make_way(path, study, key=key):
            return False
        image, labels = _open(source, study)
        import_scan(source, path, image=image, labels=labels, key=key)
        return True


def _make_way(path: Path, study: Study, *, key: str) -> bool:
    """Tell whether the scan must be imported; refuse where that would lose a label map.

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
    ours = {"truth", "otsu"} | ({study.recipe.predict.labels} if study.recipe.predict else set())
    ours |= {study.recipe.refine.labels} if study.recipe.refine else set()
    foreign = sorted(set(scan.label_names()) - ours)
    if foreign:
        raise InputError(
            f"the source of '{scan.id}' has changed, and importing it again would remove the "
            f"label map{'s' * (len(foreign) > 1)} {', '.join(foreign)}",
            where=path,
            mend="export or move the label maps away, then delete the scan",
        )
    return True


def _planned(source: ScanSource) -> PlannedScan:
    image = _open_image(source)
    return PlannedScan(image.grid, image.dtype)


def _open_image(source: ScanSource) -> Volume:
    return open_image(
        Path(source.path),
        voxel_size_um=source.voxel_size_um,
        dataset=source.dataset,
        kind=source.kind,
    )


def _open(source: ScanSource, study: Study) -> tuple[Volume, LabelMap | None]:
    image = _open_image(source)
    if source.labels is None:
        return image, None
    labels = read_labels(
        Path(source.labels.path),
        study.schema,
        values=source.labels.values,
        slices=source.labels.slices,
        dataset=source.labels.dataset,
        image=image,
    )
    return image, labels
