"""TIFF stacks that Fiji, Dragonfly and Avizo open, with voxel size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from tomolith.config import progress
from tomolith.core import Box, ClassSchema, Grid, LabelMap, Volume
from tomolith.errors import InputError
from tomolith.store.atomic import replacing

_CLASSIC_BYTES = 2**32 - 2**25  # offsets have 32 bits; some room for the page headers


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
    n_slices = volume.grid.shape_zyx[0]
    size = volume.grid.n_voxels * _exported(volume.dtype).itemsize
    with (
        replacing(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=size > _CLASSIC_BYTES) as writer,
        progress(f"export {path.name}", total=n_slices) as bar,
    ):
        for z in range(n_slices):
            _write_slice(writer, volume, z, _description(volume.grid, schema) if z == 0 else None)
            bar.advance()


def _write_slice(
    writer: tifffile.TiffWriter, volume: Volume, z: int, description: str | None
) -> None:
    _, ny, nx = volume.grid.shape_zyx
    block = volume.read(Box((z, 0, 0), (z + 1, ny, nx)))[0]
    # ImageJ counts pixels per the unit of the description and wants no unit in the tag
    _, y_um, x_um = volume.grid.voxel_size_um or (1.0, 1.0, 1.0)
    writer.write(
        block.astype(_exported(volume.dtype), copy=False),
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
