"""The metadata of a scan: NGFF 0.5 under ``ome``, our own under ``tomolith``.

Source: OME-NGFF specification 0.5, sections 2.1 to 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.core import ClassSchema, Grid, IntensityStats, Provenance
from tomolith.errors import IntegrityError, ReadError
from tomolith.store.atomic import write_text
from tomolith.store.pyramid import Level
from tomolith.store.seal import read_document, seal

NGFF_VERSION = "0.5"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """What tomolith notes about one group: a scan, a label map or an extra.

    Parameters
    ----------
    kind
        ``"scan"``, ``"labels"`` or ``"extra"``.
    grid
        Grid of the full-size array. Its voxel size may be ``None``, which NGFF
        cannot say: there the scale is 1 without a unit.
    provenance
        What made it.
    complete
        True once everything is on disk.
    stats
        Intensity statistics of a scan: one entry, or one per section.
    n_invalid
        Number of voxels of a scan whose source was NaN or Inf.
    schema
        Classes of a label map.
    channels
        Names of the channels of an extra; ``None`` where it has no channel axis.
    """

    kind: str
    grid: Grid
    provenance: Provenance
    complete: bool = False
    stats: tuple[IntensityStats, ...] = ()
    n_invalid: int = 0
    schema: ClassSchema | None = None
    channels: tuple[str, ...] | None = None

    def finished(self) -> Record:
        """Return the record of the completed group."""
        return replace(self, complete=True)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        grid = self.grid
        return {
            "format": FORMAT_VERSION,
            "kind": self.kind,
            "complete": self.complete,
            "shape_zyx": list(grid.shape_zyx),
            "voxel_size_um": None if grid.voxel_size_um is None else list(grid.voxel_size_um),
            "origin_um": list(grid.origin_um),
            "sections": grid.sections,
            "provenance": self.provenance.to_dict(),
            "stats": [entry.to_dict() for entry in self.stats],
            "n_invalid": self.n_invalid,
            "classes": None if self.schema is None else self.schema.to_dict(),
            "channels": None if self.channels is None else list(self.channels),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Read what :meth:`to_dict` wrote."""
        size, classes = values["voxel_size_um"], values["classes"]
        grid = Grid(
            _three(values["shape_zyx"]),
            None if size is None else _three(size),
            _three(values["origin_um"]),
            values["sections"],
        )
        return cls(
            kind=values["kind"],
            grid=grid,
            provenance=Provenance.from_dict(values["provenance"]),
            complete=bool(values["complete"]),
            stats=tuple(IntensityStats.from_dict(entry) for entry in values["stats"]),
            n_invalid=int(values["n_invalid"]),
            schema=None if classes is None else ClassSchema.from_dict(classes),
            channels=None if values["channels"] is None else tuple(values["channels"]),
        )


def _three(values: Sequence[Any]) -> tuple[Any, Any, Any]:
    z, y, x = values
    return z, y, x


def write_group(path: Path, record: Record, ome: dict[str, Any]) -> None:
    """Write the metadata of the group at ``path`` in one atomic, synced write."""
    own = {**record.to_dict(), "check": ""}
    attributes = {"ome": {"version": NGFF_VERSION, **ome}, "tomolith": own}
    write_text(path / "zarr.json", seal(_group(attributes)))


def write_plain_group(path: Path, ome: dict[str, Any]) -> None:
    """Write the metadata of a group that only holds others."""
    attributes = {"ome": {"version": NGFF_VERSION, **ome}} if ome else {}
    write_text(path / "zarr.json", seal(_group(attributes)))


def read_record(path: Path) -> Record:
    """Read the record of the group at ``path``.

    Raises
    ------
    ReadError
        There is no group of tomolith.
    IntegrityError
        Its metadata are damaged.
    """
    own = read_document(path / "zarr.json").get("attributes", {}).get("tomolith", {})
    if "kind" not in own:
        raise ReadError(
            "this group was not written by tomolith",
            where=path,
            mend="import it: give its path as 'path' of a scan in the section 'import'",
        )
    try:
        return Record.from_dict(own)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"the metadata of tomolith cannot be read ({error!r})",
            where=path / "zarr.json",
            mend="run the step that made it again",
        ) from error


def read_listed_labels(path: Path) -> tuple[str, ...]:
    """Return the label maps listed at ``path`` (the group ``labels``), which may be absent.

    Its checksum is not looked at: other software may add label maps of its own.
    """
    if not (path / "zarr.json").is_file():
        return ()
    document = read_document(path / "zarr.json", unchecked=True)
    attributes = document.get("attributes")
    ome = attributes.get("ome") if isinstance(attributes, dict) else None
    listed = ome.get("labels") if isinstance(ome, dict) else None
    return tuple(str(name) for name in listed) if isinstance(listed, list) else ()


def multiscales(
    name: str, grid: Grid, levels: Sequence[Level], *, method: str, channels: bool = False
) -> dict[str, Any]:
    """Return the NGFF ``multiscales`` of a pyramid.

    A voxel of a level covers ``factor`` full-size ones, so its centre lies
    (factor - 1) / 2 of them further on.
    """
    known = grid.voxel_size_um is not None
    z, y, x = grid.voxel_size_um or (1.0, 1.0, 1.0)
    size = (1.0 if grid.sections else z, y, x)
    axes: list[dict[str, Any]] = [{"name": "c", "type": "channel"}] if channels else []
    for axis in "zyx":
        has_unit = known and not (axis == "z" and grid.sections)
        axes.append({"name": axis, "type": "space", **({"unit": "micrometer"} if has_unit else {})})
    datasets = []
    for level in levels:
        scale = [s * f for s, f in zip(size, level.factor_zyx, strict=True)]
        shift = [
            o + s * (f - 1) / 2
            for o, s, f in zip(grid.origin_um, size, level.factor_zyx, strict=True)
        ]
        transforms = [
            {"type": "scale", "scale": ([1.0] if channels else []) + scale},
            {"type": "translation", "translation": ([0.0] if channels else []) + shift},
        ]
        datasets.append({"path": str(level.index), "coordinateTransformations": transforms})
    entry = {"name": name, "axes": axes, "datasets": datasets, "type": method}
    return {"multiscales": [entry]}


def image_window(stats: Sequence[IntensityStats], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Return the NGFF ``omero`` entry that makes a grey image show with contrast."""
    low = min(entry.percentile(0.5) for entry in stats)
    high = max(entry.percentile(99.5) for entry in stats)
    least = min(entry.percentiles[0] for entry in stats)
    most = max(entry.percentiles[-1] for entry in stats)
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        least, most = float(info.min), float(info.max)
    if high <= low:
        low, high = least, max(most, least + 1)
    return omero(("grey",), ("FFFFFF",), {"min": least, "max": most, "start": low, "end": high})


def omero(names: Sequence[str], colours: Sequence[str], window: dict[str, float]) -> dict[str, Any]:
    """Return the NGFF ``omero`` entry of channels that share one contrast window."""
    channels = [
        {"label": name, "color": colour, "active": True, "window": window}
        for name, colour in zip(names, colours, strict=True)
    ]
    model = "color" if len(names) > 1 else "greyscale"
    return {"omero": {"channels": channels, "rdefs": {"model": model}}}


def image_label(schema: ClassSchema) -> dict[str, Any]:
    """Return the NGFF ``image-label`` entry: colours, and class names as properties.

    Background and *unlabelled* are transparent, so that the grey image shows through.
    """
    colours: list[dict[str, Any]] = []
    properties: list[dict[str, Any]] = []
    for c in schema.classes:
        alpha = 0 if c.role == "background" else 255
        colours.append({"label-value": c.value, "rgba": [*c.rgb, alpha]})
        properties.append({"label-value": c.value, "class": c.name, "role": c.role})
    colours.append({"label-value": schema.unlabelled, "rgba": [0, 0, 0, 0]})
    properties.append({"label-value": schema.unlabelled, "class": "unlabelled", "role": "other"})
    entry = {
        "version": NGFF_VERSION,
        "colors": colours,
        "properties": properties,
        "source": {"image": "../../"},
    }
    return {"image-label": entry}


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}
