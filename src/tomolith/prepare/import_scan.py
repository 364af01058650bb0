"""The step ``import``: copy a scan of any format into the study, checked and complete.

Grey values are kept as they are (uint8, int8, uint16, int16, float32). What has no
place among these is converted only where nothing is lost: bool to uint8, float16 and
wider integers to float32 if every value survives, float64 to float32 by rounding.
"""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from tomolith.config import Settings, progress
from tomolith.core import Box, Grid, IntensityStats, LabelMap, Provenance, Volume
from tomolith.errors import InputError, MismatchError, ReadError, RecipeError, TomolithError
from tomolith.prepare.grey_values import ConvertedArray
from tomolith.store.array import StoredArray
from tomolith.store.atomic import clean_stale, remove_tree
from tomolith.store.intensity import sample_stats
from tomolith.store.marks import Marks
from tomolith.store.readers.open_raw import natural_key
from tomolith.store.removal import remove_scan
from tomolith.store.scan import Scan

_SLAB_BYTES = 256 * 2**20
_MARKS = ".import"


class LabelSource(Settings):
    """Labels that come with a scan."""

    path: str = Field(description="File, folder or pattern; '{stem}' as in the scan's path.")
    values: dict[int | str, str] | None = Field(
        None, description="Value or '#rrggbb' in the file to class name; left out: the schema's."
    )
    dataset: str | None = Field(None, description="Name of the dataset in an HDF5 file.")
    slices: tuple[int, ...] | None = Field(
        None, description="Page k of the file belongs to this slice (from 0); all if left out."
    )


class ScanSource(Settings):
    """One entry of ``scans``: where a scan comes from.

    Examples
    --------
    >>> ScanSource(id="cell-7", path="cell-7.tif", voxel_size_um=1.3).voxel_size_um
    (1.3, 1.3, 1.3)
    """

    id: str = Field(description="Name of the scan; '{stem}' stands for each file's own name.")
    path: str = Field(description="File, folder, or pattern such as 'slices/*.tif'.")
    kind: Literal["volume", "images"] = Field(
        "volume", description="'images' where the slices are independent 2-D images."
    )
    voxel_size_um: tuple[float, float, float] | Literal["unknown"] | None = Field(
        None, description="One number or [z, y, x] in µm, or 'unknown'; left out: the file's own."
    )
    dataset: str | None = Field(None, description="Name of the dataset in an HDF5 file.")
    invalid: Literal["refuse", "mask"] = Field(
        "refuse", description="NaN and Inf: refuse the scan, or replace them and remember where."
    )
    labels: LabelSource | None = Field(None, description="Labels of this scan, where there are.")

    @field_validator("voxel_size_um", mode="before")
    @classmethod
    def _one_number_for_all(cls, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and value != "unknown"):
            raise ValueError("a number, [z, y, x] in µm without a unit, or 'unknown'")
        sizes = [value] if isinstance(value, int | float) else value
        if isinstance(sizes, list | tuple) and not all(
            isinstance(size, int | float) and 0 < size < math.inf for size in sizes
        ):
            raise ValueError("a positive number, [z, y, x] in µm, or 'unknown'")
        return (value, value, value) if isinstance(value, int | float) else value

    @field_validator("id")
    @classmethod
    def _id_is_a_name(cls, value: str) -> str:
        plain = value.replace("{stem}", "stem")
        if not plain or plain.startswith(".") or not all(c.isalnum() or c in "-_." for c in plain):
            raise ValueError("letters, digits, '-', '_', '.' and '{stem}'")
        return value

    def expand(self) -> tuple[ScanSource, ...]:
        """Return one source per file where the id holds ``{stem}``, else this one.

        Files are in natural order: ``t2`` comes before ``t10``.

        Raises
        ------
        RecipeError
            The labels use ``{stem}`` and the id does not.
        ReadError
            No file matches the pattern.

        Examples
        --------
        >>> [source.id for source in ScanSource(id="a", path="a.tif").expand()]
        ['a']
        """
        if "{stem}" not in self.id:
            if self.labels is not None and "{stem}" in self.labels.path:
                raise RecipeError(
                    f"the labels of scan '{self.id}' use '{{stem}}'",
                    mend="write '{stem}' in 'id' too: then each file is a scan of its own",
                )
            return (self,)
        found = glob.glob(self.path)  # noqa: PTH207 -- Path.glob takes no absolute pattern
        if not found:
            raise ReadError("no file matches the pattern", where=self.path, mend="correct 'path'")
        return tuple(self._for_file(file) for file in sorted(map(Path, found), key=natural_key))

    def _for_file(self, file: Path) -> ScanSource:
        stem = file.stem
        labels = self.labels
        if labels is not None:
            labels = labels.model_copy(update={"path": labels.path.replace("{stem}", stem)})
        scan_id = self.id.replace("{stem}", re.sub(r"[^\w.-]+", "-", stem))
        update = {"id": scan_id, "path": str(file), "labels": labels}
        return self.model_copy(update=update)


class ImportSettings(Settings):
    """Section ``import``: the scans of the study."""

    scans: tuple[ScanSource, ...] = Field(
        min_length=1, description="The scans, each with its labels where there are."
    )


def import_scan(
    source: ScanSource,
    destination: Path,
    *,
    image: Volume,
    labels: LabelMap | None = None,
    key: str = "",
) -> Scan:
    """Copy an opened image, and labels as ``truth``, to a scan of the study.

    The copy goes slab by slab. A killed import leaves a scan that is not complete;
    with the same ``key`` the next call goes on where it stopped.

    Parameters
    ----------
    source
        The recipe's entry; of it only ``id``, ``path`` and ``invalid`` matter here.
    destination
        Folder of the scan, ``<study>/scans/<id>.zarr``.
    image
        The opened image (see :func:`tomolith.store.open_image.open_image`).
    labels
        The opened labels, on the grid of the image.
    key
        Hash of the source and the settings. Empty: an unfinished import starts anew.

    Raises
    ------
    InputError
        The image holds NaN or Inf and they are refused, has no contrast, or holds
        values that cannot be kept.
    MismatchError
        Image and labels differ in shape.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> grey = np.arange(256, dtype=">u2").reshape(1, 16, 16)
    >>> entry = ScanSource(id="a", path="a.tif", voxel_size_um="unknown")
    >>> folder = Path(tempfile.mkdtemp()) / "a.zarr"
    >>> scan = import_scan(entry, folder, image=Volume(grey, Grid((1, 16, 16), None)))
    >>> scan.image.dtype, scan.stats[0].mean
    (dtype('uint16'), 127.5)
    """
    if labels is not None and labels.grid.shape_zyx != image.grid.shape_zyx:
        raise MismatchError(
            f"the labels of scan '{source.id}' have shape {labels.grid.shape_zyx} (z, y, x)",
            expected=f"the image's shape {image.grid.shape_zyx}",
            mend="give the labels of this image, or name their 'slices'",
        )
    if Path(source.path).resolve() == destination.resolve():
        raise InputError(
            f"scan '{source.id}' would be written over its own source",
            where=destination,
            mend="copy the source to another folder, or give the scan another 'id'",
        )
    try:
        grey = Volume(ConvertedArray(image.array), image.grid)
        stats, n_not_finite = sample_stats(grey)
        if n_not_finite and source.invalid == "refuse":
            raise _invalid_error(grey)
        scan, marks = _begin(destination, grey, source=source, key=key)
    except InputError as error:
        raise _located(error, source) from error
    try:
        n_invalid = _copy(grey, scan, stats, marks=marks, mask=source.invalid == "mask")
    except ReadError as error:  # it may pass: what is copied is kept
        raise _located(error, source) from error
    except InputError as error:
        remove_scan(destination)
        raise _located(error, source) from error
    scan.set_stats(stats)
    scan.set_n_invalid(n_invalid)
    if labels is not None:
        _copy_labels(labels, scan)
    scan.finish()
    remove_tree(marks.folder)
    return scan


def _located(error: InputError, source: ScanSource) -> InputError:
    """Return the same error, naming the file unless it names one already."""
    where = error.where or source.path
    return type(error)(error.found, expected=error.expected, where=where, mend=error.mend)


def _begin(destination: Path, grey: Volume, *, source: ScanSource, key: str) -> tuple[Scan, Marks]:
    """Return the unfinished scan of a killed import with the same key, or a new one."""
    scan = _begun(destination, grey, key=key) if key else None
    if scan is None:
        made = Provenance.now("import", inputs=(Path(source.path).name,), settings_hash=key)
        scan = Scan.create(destination, grey.grid, grey.dtype, provenance=made)
    marks = Marks(destination / _MARKS, key)
    masks = grey.dtype.kind == "f" and source.invalid == "mask"
    if masks and (len(marks) == 0 or scan.invalid is None):
        scan.create_invalid()
    return scan, marks


def _begun(destination: Path, grey: Volume, *, key: str) -> Scan | None:
    """Return the unfinished scan of a killed import, if it can be gone on with."""
    if not (destination / "zarr.json").is_file():
        return None
    try:
        scan = Scan.open(destination, unfinished=True)
    except TomolithError:
        return None  # too broken to go on with
    fits = scan.grid == grey.grid and scan.image.dtype == grey.dtype
    if not fits or scan.is_complete or scan.provenance.settings_hash != key:
        return None
    clean_stale(destination)
    return scan


def _copy(
    grey: Volume, scan: Scan, stats: Sequence[IntensityStats], *, marks: Marks, mask: bool
) -> int:
    """Copy the grey values; return how many were not finite and were replaced."""
    array, invalid, converted = scan.image.array, scan.invalid, grey.array
    assert isinstance(array, StoredArray)
    assert isinstance(converted, ConvertedArray)
    itemsize = max(converted.source_dtype.itemsize, converted.dtype.itemsize)
    slabs = list(grey.grid.box.tiles(_slab_zyx(grey.grid, scan, itemsize)))
    n_invalid = 0
    with progress(f"import {scan.id}", total=len(slabs)) as bar:
        for slab in slabs:
            name = _mark_name(slab)
            if not marks.is_done(name):
                block = grey.read(slab)
                bad = _not_finite(block)
                if bad is not None and not mask:
                    raise _invalid_error(grey)
                if bad is not None:
                    block = np.where(bad, _fill_values(stats, slab, block.dtype), block)
                _write(array, slab, block)
                if invalid is not None:
                    _write(invalid, slab, np.zeros(block.shape, bool) if bad is None else bad)
                marks.done(name, "0" if bad is None else str(np.count_nonzero(bad)))
            n_invalid += int(marks.detail(name))
            bar.advance()
    return n_invalid


def _mark_name(slab: Box) -> str:
    """Return a name with both corners: slabs of another size are other slabs."""
    ends = zip(slab.start_zyx, slab.stop_zyx, strict=True)
    return ",".join(f"{start}-{stop}" for start, stop in ends)


def _slab_zyx(grid: Grid, scan: Scan, itemsize: int) -> tuple[int, int, int]:
    """Return a block of whole shards: whole slices where they fit, for they are read fastest."""
    z, y, x = scan.layout.shard_zyx
    _, ny, nx = grid.shape_zyx
    if z * y * nx * itemsize > _SLAB_BYTES:
        return z, y, x
    if z * ny * nx * itemsize > _SLAB_BYTES:
        return z, y, nx
    return z, ny, nx


def _write(array: StoredArray, slab: Box, block: np.ndarray) -> None:
    """Write shard by shard, so that memory does not grow with the slab, and sync."""
    for shard in slab.tiles(array.layout.shard_zyx):
        array[shard.slices] = block[shard.relative_to(slab).slices]
    array.sync(slab)


def _not_finite(block: np.ndarray) -> np.ndarray | None:
    """Return where ``block`` is NaN or Inf; ``None`` if nowhere."""
    if block.dtype.kind != "f":
        return None
    bad = ~np.isfinite(block)
    return bad if bad.any() else None


def _fill_values(stats: Sequence[IntensityStats], slab: Box, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the median of the scan, or of each section, shaped to spread over the slab."""
    zs = range(slab.start_zyx[0], slab.stop_zyx[0])
    medians = [stats[0 if len(stats) == 1 else z].percentile(50) for z in zs]
    return np.asarray(medians, dtype).reshape(-1, 1, 1)


def _invalid_error(grey: Volume) -> InputError:
    """Read the whole image and return the error that counts what is not finite in it."""
    n_nan = n_inf = 0
    first: tuple[int, ...] | None = None
    for z in range(grey.grid.shape_zyx[0]):
        _, ny, nx = grey.grid.shape_zyx
        block = grey.read(Box((z, 0, 0), (z + 1, ny, nx)))
        n_nan += int(np.count_nonzero(np.isnan(block)))
        n_inf += int(np.count_nonzero(np.isinf(block)))
        if first is None and n_nan + n_inf:
            first = (z, *(int(k) for k in np.argwhere(~np.isfinite(block[0]))[0]))
    return InputError(
        f"the image holds {n_nan} NaN and {n_inf} Inf, the first at {first} (z, y, x)",
        expected="finite grey values",
        mend="repair the image, or write 'invalid: mask' to replace them and remember where",
    )


def _copy_labels(labels: LabelMap, scan: Scan) -> None:
    writer = scan.create_labels("truth", labels.schema, provenance=labels.volume.provenance)
    invalid = scan.invalid
    for slab in labels.grid.box.tiles(_slab_zyx(labels.grid, scan, 1)):
        values = labels.read(slab)
        if invalid is not None:  # nothing is known there: neither to learn from nor to score
            unlabelled = np.asarray(labels.schema.unlabelled, values.dtype)
            values = np.where(invalid[slab.slices] != 0, unlabelled, values)
        _write(writer.array, slab, values)
    writer.finish()
