"""``tomolith info``: describe a file that tomolith can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tomolith.errors import ReadError
from tomolith.store.readers import open_raw
from tomolith.store.scan import Scan


def describe(path: Path, *, dataset: str | None = None) -> Iterator[str]:
    """Yield what is known about an image, a stored scan or a model folder.

    Raises
    ------
    TomolithError
        The path is missing, damaged or of no supported kind.
    """
    if (path / "model.yaml").is_file():
        yield from _describe_model(path)
        return
    raw = open_raw(path, dataset=dataset)
    size = raw.voxel_size_um
    yield f"path        {path}"
    yield f"reader      {raw.reader}"
    yield f"shape       {' × '.join(str(n) for n in raw.array.shape)} (z, y, x)"
    yield f"type        {raw.array.dtype}"
    voxel = "not stated" if size is None else " × ".join(f"{s:g}" for s in size) + " µm (z, y, x)"
    yield f"voxel size  {voxel}"
    if size is None and raw.size_note:
        yield f"            {raw.size_note}"
    for line in raw.description:
        yield f"            {line}"
    raw.close()
    if raw.reader == "ome-zarr":
        yield from _describe_scan(path)


def _describe_scan(path: Path) -> Iterator[str]:
    """Yield what tomolith stores beside the image; nothing for other software's OME-Zarr."""
    try:
        scan = Scan.open(path)
    except ReadError:
        return
    yield f"labels      {', '.join(scan.label_names()) or 'none'}"
    yield f"made by     {scan.provenance.step}, tomolith {scan.provenance.code_version}"


def _describe_model(path: Path) -> Iterator[str]:
    from tomolith.learn.bundle import ModelBundle

    bundle = ModelBundle.load(path)
    size = bundle.voxel_size_um
    yield f"path        {path}"
    yield f"network     {bundle.network.name}"
    yield f"classes     {', '.join(bundle.schema.names)}"
    yield f"patch       {bundle.patch_px} px"
    yield f"voxel size  {'unknown' if size is None else size}"
    for name, value in bundle.scores.items():
        yield f"score       {name} {'absent' if value is None else f'{value:.4f}'}"
