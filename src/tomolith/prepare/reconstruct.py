"""The step ``reconstruct``: projections to a scan of attenuation, some detector rows at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from tomolith.blocks.memory import format_bytes, parse_bytes
from tomolith.config import Settings, progress, require
from tomolith.core import Box, Grid, Provenance
from tomolith.core.box import Triple
from tomolith.errors import InputError, MemoryBudgetError, TomolithError
from tomolith.prepare.back_projection import BackProjector, Filter, Padding, projected_bytes
from tomolith.prepare.corrections import Rings, find_centre, remove_rings
from tomolith.prepare.raw_projections import (
    ProjectionFacts,
    ProjectionSource,
    RawProjections,
    open_projections,
)
from tomolith.store.array import StoredArray
from tomolith.store.atomic import clean_stale, remove_tree
from tomolith.store.intensity import sample_stats
from tomolith.store.layout import Layout
from tomolith.store.marks import Marks
from tomolith.store.removal import remove_scan
from tomolith.store.scan import Scan

_MARKS = ".reconstruct"
_SHARD_ROWS = 32


class ReconstructSettings(Settings):
    """Section ``reconstruct``: the projections, and how they become volumes."""

    scans: tuple[ProjectionSource, ...] = Field(
        min_length=1, description="The scans, one file of projections each."
    )
    filter: Filter = Field("hann", description="Smoothing window on the ramp filter.")
    padding: Padding = Field(
        "zeros",
        description="What projections are continued with: zeros where the whole object is seen, "
        "edge where it is wider than the detector.",
    )
    rings: Rings | None = Field(
        None, description="Ring removal; left out: none. It also changes true values."
    )
    crop_yx: tuple[int, int] | None = Field(
        None,
        description="Voxels (y, x) that are kept around the rotation axis; left out: as wide as "
        "the detector.",
    )
    memory: str = Field("4GiB", description="Memory budget; it decides how many rows go at once.")

    @field_validator("memory")
    @classmethod
    def _memory_is_bytes(cls, value: str) -> str:
        try:
            parse_bytes(value)
        except InputError as error:
            raise ValueError(error.expected) from None
        return value

    @field_validator("crop_yx")
    @classmethod
    def _crop_is_positive(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and min(value) < 1:
            raise ValueError("two numbers of voxels, at least 1")
        return value


def planned_grid(raw: ProjectionFacts, settings: ReconstructSettings, *, where: str) -> Grid:
    """Return the grid of the volume that is made of projections.

    Raises
    ------
    InputError
        ``crop_yx`` is wider than the detector.
    """
    n_y, n_x = settings.crop_yx or (raw.n_columns, raw.n_columns)
    if max(n_y, n_x) > raw.n_columns:
        raise InputError(
            f"'crop_yx' asks for {n_y} × {n_x} voxels",
            expected=f"at most the {raw.n_columns} columns of the detector",
            where=where,
        )
    size = None if raw.pixel_um is None else (raw.pixel_um[0], raw.pixel_um[1], raw.pixel_um[1])
    return Grid((raw.n_rows, n_y, n_x), size)


def reconstruct_scan(
    source: ProjectionSource, destination: Path, *, settings: ReconstructSettings, key: str = ""
) -> Scan:
    """Reconstruct one scan by filtered back-projection, with algotom.

    Flat and dark fields are averaged; dead pixels take their neighbours' values. A killed run
    leaves a scan that is not complete; with the same ``key`` the next call goes on where it
    stopped.

    Parameters
    ----------
    source
        The recipe's entry of this scan.
    destination
        Folder of the scan, ``<study>/scans/<id>.zarr``.
    settings
        The recipe's section; its ``scans`` do not matter here.
    key
        Hash of source and settings. Empty: an unfinished run starts anew.

    Returns
    -------
    the finished scan, float32: linear attenuation in 1/cm (per voxel where the pixel size is
    stated to be unknown). Its provenance names the file, the rotation axis and the unit.

    Raises
    ------
    InputError
        The projections cannot be used (see :func:`~tomolith.prepare.raw_projections.
        open_projections`), or the rotation axis lies outside the detector.
    MissingExtraError
        algotom is not installed.
    MemoryBudgetError
        Not even one detector row fits.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import h5py, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with h5py.File(folder / "a.h5", "w") as file:
    ...     file["exchange/data"] = np.full((8, 2, 9), 60.0)
    ...     file["exchange/data_white"] = np.full((1, 2, 9), 110.0)
    ...     file["exchange/data_dark"] = np.full((1, 2, 9), 10.0)
    ...     file["exchange/theta"] = np.arange(8) * 22.5
    >>> source = ProjectionSource(id="a", path=str(folder / "a.h5"), centre=4, pixel_size_um=2)
    >>> settings = ReconstructSettings(scans=(source,))
    >>> scan = reconstruct_scan(source, folder / "a.zarr", settings=settings)
    >>> scan.grid.shape_zyx, scan.provenance.inputs[1:]
    ((2, 9, 9), ('axis at column 4', 'attenuation in 1/cm'))
    """
    require("algotom.rec.reconstruction", extra="recon")
    with open_projections(source) as raw:
        grid = planned_grid(raw, settings, where=source.path)
        n_rows = _rows_at_once(raw, grid, settings)
        centre = _centre(raw, source)
        projector = BackProjector(
            raw.theta_rad,
            raw.n_columns,
            centre,
            grid.shape_zyx[1:],
            settings.filter,
            settings.padding,
        )
        work = _Work(raw, projector, settings.rings)
        made = Provenance.now("reconstruct", inputs=_facts(raw, source, centre), settings_hash=key)
        scan = _begin(destination, grid, made, n_rows=n_rows)
        _fill(scan, work, Marks(destination / _MARKS, key), n_rows=n_rows)
    try:
        scan.set_stats(sample_stats(scan.image)[0])
    except InputError as error:
        remove_scan(destination)
        raise InputError(
            f"the reconstruction is empty: {error.found}",
            where=source.path,
            mend="check 'centre', and that the flat fields belong to the projections",
        ) from error
    scan.finish()
    remove_tree(destination / _MARKS)
    return scan


@dataclass(frozen=True)
class _Work:
    """What is done to some detector rows."""

    raw: RawProjections
    projector: BackProjector
    rings: Rings | None

    def slices(self, first: int, last: int) -> np.ndarray:
        """Return slices (row, y, x): attenuation in 1/cm, or per voxel."""
        sinograms = self.raw.read(first, last)
        if self.rings:
            sinograms = remove_rings(sinograms, self.rings)
        slices = self.projector.slices(sinograms)
        if self.raw.pixel_um is not None:
            slices /= np.float32(self.raw.pixel_um[1] * 1e-4)
        return slices


def _centre(raw: RawProjections, source: ProjectionSource) -> float:
    """Return the column of the rotation axis."""
    if source.centre is None:
        row = raw.n_rows // 2
        return find_centre(raw.read(row, row + 1)[0], raw.theta_rad)
    if not 1 <= source.centre <= raw.n_columns - 2:
        raise InputError(
            f"the rotation axis is at column {source.centre:g} ('centre')",
            expected=f"a column from 1 to {raw.n_columns - 2}",
            where=source.path,
        )
    return source.centre


def _facts(raw: RawProjections, source: ProjectionSource, centre: float) -> tuple[str, ...]:
    unit = "per voxel" if raw.pixel_um is None else "in 1/cm"
    facts = (Path(source.path).name, f"axis at column {centre:g}", f"attenuation {unit}")
    return (*facts, raw.simulated) if raw.simulated else facts


def _rows_at_once(raw: RawProjections, grid: Grid, settings: ReconstructSettings) -> int:
    """Return how many detector rows fit the memory budget."""
    budget = parse_bytes(settings.memory)
    n_angles, n_pixels = len(raw.theta_rad), math.prod(grid.shape_zyx[1:])
    # float32: a row as read, and corrected out of place; its slice set, scaled and written
    row_bytes = 4 * (5 * n_angles * raw.n_columns + 4 * n_pixels)
    fixed_bytes = projected_bytes(n_angles, raw.n_columns)
    n_rows = (budget - fixed_bytes) // row_bytes
    if n_rows < 1:
        raise MemoryBudgetError(
            f"the memory budget is {settings.memory}",
            expected=f"at least {format_bytes(fixed_bytes + row_bytes)} for one detector row of "
            f"{raw.n_columns} columns and {n_angles} angles",
            mend="raise 'reconstruct.memory', or make 'crop_yx' smaller",
        )
    fitting = (n for n in (_SHARD_ROWS, _SHARD_ROWS // 2, n_rows) if n <= n_rows)
    return min(next(fitting), raw.n_rows)


def _begin(destination: Path, grid: Grid, made: Provenance, *, n_rows: int) -> Scan:
    """Return the unfinished scan of a killed run with the same key, or a new one."""
    chunk = min(n_rows, _SHARD_ROWS // 2)
    shard = max(n_rows // chunk, 1) * chunk
    layout = Layout((chunk, 256, 256), (shard, 1024, 1024)).cut(grid.shape_zyx)
    if made.settings_hash and (destination / "zarr.json").is_file():
        try:
            scan = Scan.open(destination, unfinished=True)
        except TomolithError:
            scan = None  # too broken to go on with
        if (
            scan is not None
            and not scan.is_complete
            and (scan.grid, scan.layout) == (grid, layout)
            and scan.provenance.settings_hash == made.settings_hash
            and scan.provenance.inputs == made.inputs
        ):
            clean_stale(destination)
            return scan
    return Scan.create(destination, grid, np.float32, provenance=made, layout=layout)


def _fill(scan: Scan, work: _Work, marks: Marks, *, n_rows: int) -> None:
    """Reconstruct and write slab by slab: whole shards, synced before they are marked."""
    array = scan.image.array
    assert isinstance(array, StoredArray)
    shape: Triple = scan.grid.shape_zyx
    slabs = list(scan.grid.box.tiles((array.layout.shard_zyx[0], *shape[1:])))
    with progress(f"reconstruct {scan.id}", total=len(slabs)) as bar:
        for slab in slabs:
            first, last = slab.start_zyx[0], slab.stop_zyx[0]
            name = f"{first}-{last}"
            if not marks.is_done(name):
                slices = work.slices(first, last)
                for shard in slab.tiles(array.layout.shard_zyx):
                    array[shard.slices] = slices[shard.relative_to(slab).slices]
                array.sync(Box(slab.start_zyx, slab.stop_zyx))
                marks.done(name)
            bar.advance()
