"""Voxel size from the metadata of TIFF files: OME, ImageJ, or none."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from tomolith.store.readers.base import KnownSizes
from tomolith.store.readers.units import length_um, unit_um

UNKNOWN: KnownSizes = (None, None, None)


def tiff_sizes(tif: Any, n_pages: int) -> tuple[KnownSizes, str]:
    """Return the voxel size in µm and a note where it is missing or doubtful.

    A bare TIFF resolution is a print resolution (72 dpi), never a voxel size.
    """
    if tif.is_ome:
        return _ome(tif.ome_metadata, n_pages)
    if tif.is_imagej:
        return _imagej(tif, n_pages)
    resolution = tif.pages.first.tags.get("XResolution")
    if resolution is not None and _ratio(resolution.value) not in (None, 0.0, 1.0):
        return UNKNOWN, "its TIFF resolution is a print resolution, no voxel size"
    return UNKNOWN, "the TIFF file does not state it"


def _ome(text: str, n_pages: int) -> tuple[KnownSizes, str]:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return UNKNOWN, "its OME metadata cannot be read"
    pixels = next((e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"), None)
    if pixels is None:
        return UNKNOWN, "its OME metadata has no 'Pixels'"
    sizes = []
    for axis in "ZYX":
        value = pixels.get(f"PhysicalSize{axis}")
        # the OME schema makes µm the default unit of PhysicalSize
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        sizes.append(_length(value, unit))
    return _with_z(sizes[0], sizes[1], sizes[2], n_pages)


def _imagej(tif: Any, n_pages: int) -> tuple[KnownSizes, str]:
    meta = tif.imagej_metadata or {}
    page = tif.pages.first
    unit = str(meta.get("unit", "")).strip()
    per_unit = [_ratio(page.tags[k].value) if k in page.tags else None for k in _RESOLUTIONS]
    if unit_um(unit) is None:
        said = f"its ImageJ unit is '{unit}'" if unit else "its ImageJ calibration has no unit"
        return UNKNOWN, f"{said}, no unit of length"
    x, y = (length_um(1 / r, unit) if r else None for r in per_unit)
    spacing = meta.get("spacing")
    z = length_um(abs(float(spacing)), unit) if spacing is not None else None
    if spacing is None and x == unit_um(unit):
        z = x  # ImageJ leaves out a spacing of exactly one unit
    return _with_z(z, y, x, n_pages)


_RESOLUTIONS = ("XResolution", "YResolution")


def _with_z(
    z: float | None, y: float | None, x: float | None, n_pages: int
) -> tuple[KnownSizes, str]:
    if x is None or y is None:
        return (z, y, x), "the file does not state it for every axis"
    if z is None and n_pages == 1:
        return (x, y, x), ""  # one section: its thickness is taken as the pixel size
    if z is None:
        return (z, y, x), f"the file states {y:g} µm in y and {x:g} µm in x, but no z spacing"
    return (z, y, x), ""


def _ratio(value: Any) -> float | None:
    top, bottom = value if isinstance(value, tuple) else (value, 1)
    return top / bottom if top and bottom else None


def _length(value: str | None, unit: str | None) -> float | None:
    try:
        return None if value is None else length_um(float(value), unit)
    except ValueError:
        return None
