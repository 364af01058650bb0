"""Plan maps on disk: float32 TIFF with pixel size, and a list of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile

from tomolith.errors import ReadError
from tomolith.measure.colocalisation import GrowthMap
from tomolith.measure.plan_maps import PlanMaps
from tomolith.measure.quantities.base import QuantityMap
from tomolith.measure.quantities.frame import PlanKey
from tomolith.measure.rows import SERIES
from tomolith.store.atomic import disk_errors, replacing, write_text

FOLDER = "maps"
INDEX = "index.json"


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One line of the list of maps.

    Parameters
    ----------
    scan, map
        Which scan, and the name of the map.
    file
        Relative to the folder of the measurements.
    unit
        ``um`` or ``1``.
    class_name
        The class that was projected; empty for the map of a quantity.
    axes
        Names of the axes along rows and columns.
    pixel_um
        Size of a pixel along rows and columns; ``None`` where it is unknown.
    """

    scan: str
    map: str
    file: str
    unit: str
    class_name: str
    axes: tuple[str, str]
    pixel_um: tuple[float, float] | None


def write_maps(
    scan: str, plan: PlanMaps, maps: Sequence[QuantityMap], measurements: Path
) -> tuple[MapEntry, ...]:
    """Write the maps of one scan to ``maps/<scan>/<name>.tif``, each whole or not at all.

    Thickness (the sum along the axis) and density (the mean) of every class but the background,
    and ``maps`` beside them. Without a voxel size there are densities only. Columns without any
    label are NaN.

    Parameters
    ----------
    scan
        Name of the scan.
    plan, maps
        Of :func:`~tomolith.measure.quantify.measure_scan`.
    measurements
        Folder of the measurements.

    Returns
    -------
    tuple of MapEntry
        For :func:`write_index`.

    Raises
    ------
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import PRESETS, Grid
    >>> from tomolith.measure.quantities import Frame
    >>> counts = np.array([[[1, 0]], [[2, 3]]], np.int32)
    >>> grid = Grid((1, 3, 2), (1.0, 2.0, 0.5))
    >>> plan = PlanMaps(PRESETS["li-binary"], grid, Frame.half_depth((1, 3, 2)), counts)
    >>> folder = Path(tempfile.mkdtemp())
    >>> [entry.file for entry in write_maps("t0", plan, (), folder)]
    ['maps/t0/thickness_lithium.tif', 'maps/t0/density_lithium.tif']
    >>> tifffile.imread(folder / "maps/t0/thickness_lithium.tif").tolist()
    [[4.0, 6.0]]
    """
    named = [*_of_classes(plan), *((found, "") for found in maps)]
    return tuple(_write(scan, plan, found, name, measurements) for found, name in named)


def write_growth(
    growth: GrowthMap, plan: PlanMaps, key: PlanKey | None, measurements: Path
) -> MapEntry:
    """Write ``maps/series/growth_places.tif``: the index into ``PLACES`` of each column.

    Parameters
    ----------
    growth
        Of :func:`~tomolith.measure.colocalisation.growth_map`.
    plan
        Of any scan of the series, whole: how its plan lies.
    key
        Which rectangle of the plan ``growth`` shows; ``None`` for the whole. NaN around it.
    measurements
        Folder of the measurements.
    """
    found = growth.as_map()
    if key is not None:
        values = np.full(plan.counts.shape[1:], np.nan, np.float32)
        values[key[0] : key[1], key[2] : key[3]] = found.values
        found = replace(found, values=values)
    return _write(SERIES, plan, found, "", measurements)


def _write(
    scan: str, plan: PlanMaps, found: QuantityMap, class_name: str, measurements: Path
) -> MapEntry:
    sizes, (u, v) = plan.grid.voxel_size_um, plan.frame.plan_axes
    pixel_um = None if sizes is None else (sizes[u], sizes[v])
    file = f"{FOLDER}/{scan}/{found.name}.tif"
    _write_tiff(measurements / file, found, pixel_um)
    axes = ("zyx"[u], "zyx"[v])
    return MapEntry(scan, found.name, file, found.unit, class_name, axes, pixel_um)


def write_index(entries: Sequence[MapEntry], measurements: Path) -> None:
    """Write ``maps/index.json``, and remove maps of earlier runs that it does not list."""
    lines = []
    for entry in entries:
        values = asdict(entry)
        values["class"] = values.pop("class_name")
        lines.append(values)
    write_text(measurements / FOLDER / INDEX, json.dumps(lines, indent=1) + "\n")
    wanted = {measurements / entry.file for entry in entries}
    with disk_errors(measurements):
        for path in (measurements / FOLDER).glob("*/*.tif*"):
            if path not in wanted:
                path.unlink(missing_ok=True)
        for folder in (measurements / FOLDER).glob("*/"):
            if not any(folder.iterdir()):
                folder.rmdir()


def read_index(measurements: Path) -> tuple[MapEntry, ...]:
    """Return what :func:`write_index` wrote; nothing where there are no maps.

    Raises
    ------
    ReadError
        The list is damaged.
    """
    path = measurements / FOLDER / INDEX
    if not path.exists():
        return ()
    try:
        return tuple(
            MapEntry(
                class_name=line.pop("class"),
                axes=tuple(line.pop("axes")),
                pixel_um=None if (size := line.pop("pixel_um")) is None else tuple(size),
                **line,
            )
            for line in json.loads(path.read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(
            f"the list of maps cannot be read: {error!r}",
            where=path,
            mend="run the step 'measure' again",
        ) from error


def _of_classes(plan: PlanMaps) -> Iterator[tuple[QuantityMap, str]]:
    unknown = ~plan.is_analysed
    for c in plan.schema.classes:
        if c.role == "background":
            continue
        end = re.sub(r"[^\w-]+", "_", c.name)
        if plan.grid.is_physical:
            thickness = plan.thickness_um(c.name)
            yield _map(f"thickness_{end}", "um", thickness, unknown), c.name
        yield _map(f"density_{end}", "1", plan.density(c.name), unknown), c.name


def _map(
    name: str, unit: str, values: npt.NDArray[np.float64], unknown: npt.NDArray[np.bool_]
) -> QuantityMap:
    kept = values.astype(np.float32)
    kept[unknown] = np.nan
    return QuantityMap(name, unit, kept)


def _write_tiff(path: Path, found: QuantityMap, pixel_um: tuple[float, float] | None) -> None:
    """Write one page; ImageJ counts pixels per the unit that the description names."""
    lines = ["ImageJ=1.54f", "images=1", f"map={found.name}", f"value_unit={found.unit}"]
    if pixel_um is not None:
        lines.append("unit=um")
    rows_um, columns_um = pixel_um or (1.0, 1.0)
    with replacing(path) as temporary:
        tifffile.imwrite(
            temporary,
            found.values,
            photometric="minisblack",
            compression="zlib",  # maps of counts shrink to a tenth
            resolution=(1.0 / columns_um, 1.0 / rows_um),
            resolutionunit="NONE",
            description="\n".join(lines) + "\n",
            software="tomolith",
            metadata=None,
        )
