"""TIFF stacks that Fiji, Dragonfly and Avizo open, with voxel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from tomolith.config import progress
from tomolith.core import ClassSchema, Grid, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.store.atomic import replacing

_CLASSIC_BYTES = 2**32 - 2**25  # offsets have 32 bits; some room for the page headers
_SLAB_SLICES = 16  # as deep as a chunk: each is then read once
_SLAB_BYTES = 256 * 2**20


def export_tiff(source: Volume | LabelMap, path: Path) -> None:
    """Write an image or a label map as one uncompressed multi-page TIFF, slice by slice.

    Below 4 GiB it is a classic TIFF with ImageJ's metadata; larger ones are BigTIFF with
    the same description, which Fiji (Bio-Formats), Dragonfly and Avizo read. Label maps
    keep their values and name the classes in the description.

    Parameters
    ----------
    source
        Axes (z, y, x).
    path
        File to write, replaced if it exists.

    Raises
    ------
    InputError
        ``path`` does not end with ``.tif`` or ``.tiff``.
    DiskError
        The disk is full, read-only or not permitted; nothing is left at ``path``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> export_tiff(Volume(np.zeros((2, 3, 4), np.uint8), Grid((2, 3, 4), (2.0, 0.5, 0.5))), path)
    >>> tifffile.imread(path).shape
    (2, 3, 4)
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(f"'{path.name}' is no name of a TIFF", expected="a name ending with .tif")
    volume = source.volume if isinstance(source, LabelMap) else source
    schema = source.schema if isinstance(source, LabelMap) else None
    nz, ny, nx = volume.grid.shape_zyx
    size = volume.grid.n_voxels * _exported(volume.dtype).itemsize
    n_at_once = max(1, min(_SLAB_SLICES, _SLAB_BYTES // (ny * nx * volume.dtype.itemsize)))
    slabs = list(volume.grid.box.tiles((n_at_once, ny, nx)))
    with (
        replacing(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=size > _CLASSIC_BYTES) as writer,
        progress(f"export {path.name}", total=nz) as bar,
    ):
        for slab in slabs:
            for k, page in enumerate(volume.read(slab)):
                first = slab.start_zyx[0] + k == 0
                text = _description(volume.grid, schema) if first else None
                _write_page(writer, page, volume.grid, text)
                bar.advance()


def _write_page(
    writer: tifffile.TiffWriter, page: npt.NDArray[Any], grid: Grid, description: str | None
) -> None:
    # ImageJ counts pixels per the unit of the description and wants no unit in the tag
    _, y_um, x_um = grid.voxel_size_um or (1.0, 1.0, 1.0)
    writer.write(
        page.astype(_exported(page.dtype), copy=False),
        photometric="minisblack",  # no palette: other software would turn values into colours
        resolution=(1.0 / x_um, 1.0 / y_um),
        resolutionunit="NONE",
        description=description,
        software="tomolith",
        metadata=None,
    )


def _exported(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """ImageJ knows uint8, uint16 and float32; other types become float32, exactly."""
    return dtype if dtype.str[1:] in ("u1", "u2", "f4") else np.dtype(np.float32)


def _description(grid: Grid, schema: ClassSchema | None) -> str:
    """Return ImageJ's description: what the pages mean, pixel unit and slice distance."""
    n = grid.shape_zyx[0]
    lines = ["ImageJ=1.54f", f"images={n}", f"slices={n}", "loop=false"]
    if grid.voxel_size_um is not None:
        lines.append("unit=um")
        if not grid.sections:
            lines.append(f"spacing={grid.voxel_size_um[0]!r}")
    if schema is not None:
        lines += [f"class_{c.value}={c.name}" for c in schema.classes]
        lines.append(f"class_{schema.unlabelled}=unlabelled")
    return "\n".join(lines) + "\n"
