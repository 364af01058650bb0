"""OME-Zarr 0.4 and 0.5: full resolution of the multiscale image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tomolith.core.grid import Sizes
from tomolith.errors import InputError, ReadError
from tomolith.store.readers.base import KnownSizes, RawImage, shape_text, usable_dtype
from tomolith.store.readers.lazy import SourceArray
from tomolith.store.readers.units import length_um, unit_um

_MARKS = ("zarr.json", ".zgroup", ".zarray")


class OmeZarrReader:
    """OME-Zarr 0.4 and 0.5 (folders), full resolution."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` is a Zarr folder."""
        try:
            return any((path / mark).is_file() for mark in _MARKS)
        except OSError:
            return False

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Open level 0 of the multiscale image.

        ``dataset`` may name a group inside (``labels/truth``) or an array.

        Raises
        ------
        ReadError
            No image metadata, a wrong name inside, or damaged metadata.
        InputError
            More than one channel or time point.
        """
        import zarr

        try:
            node = zarr.open(str(path), mode="r")
            if dataset is not None:
                node = _inside(node, dataset, path)
            if isinstance(node, zarr.Array):
                return _plain(node, path)
            return _multiscale(node, path)
        except (ReadError, InputError):
            raise
        except Exception as error:  # damaged metadata can trip the library anywhere
            raise ReadError(
                f"the Zarr metadata cannot be read: {error}",
                where=path,
                mend="it may be incomplete: copy the whole folder again",
            ) from error


def _inside(node: Any, name: str, path: Path) -> Any:
    import zarr

    arrays = _arrays(node)
    if not isinstance(node, zarr.Group) or name not in node:
        raise ReadError(
            f"there is nothing called '{name}'",
            expected=f"one of {', '.join(arrays)}" if arrays else None,
            where=path,
        )
    return node[name]


def _plain(array: Any, path: Path) -> RawImage:
    return RawImage(
        _checked(array, ["?"] * (array.ndim - 2) + ["y", "x"], path),
        "ome-zarr",
        (f"Zarr array without image metadata, {_storage(array)}",),
        size_note="the array has no OME-Zarr metadata",
    )


def _multiscale(group: Any, path: Path) -> RawImage:
    attributes = dict(group.attrs)
    ome = attributes.get("ome", attributes)
    scales = ome.get("multiscales")
    if not scales:
        if "bioformats2raw.layout" in ome and "0" in group and "1" not in group:
            return _multiscale(group["0"], path)
        arrays = _arrays(group)
        raise ReadError(
            "the Zarr group has no OME-Zarr image metadata ('multiscales')",
            where=path,
            mend=f"name an array with 'dataset:', one of {', '.join(arrays)}"
            if arrays
            else "it holds no array; give the path of the image group",
        )
    scale = scales[0]
    level = scale["datasets"][0]
    array = group[level["path"]]
    axes = [a if isinstance(a, Mapping) else {"name": a} for a in scale.get("axes", ())]
    if len(axes) != array.ndim:
        raise ReadError(
            f"the metadata names {len(axes)} axes, the array has {array.ndim}", where=path
        )
    version = ome.get("version") or scale.get("version") or "?"
    sizes, origin, note = _space(axes, level, scale)
    n_levels = len(scale["datasets"])
    return RawImage(
        _checked(array, [str(a["name"]) for a in axes], path),
        "ome-zarr",
        (f"OME-Zarr {version}, {n_levels} level{'s' * (n_levels > 1)}, {_storage(array)}",),
        sizes,
        size_note=note,
        origin_um=origin,
    )


def _checked(array: Any, names: list[str], path: Path) -> SourceArray:
    dtype = usable_dtype(array.dtype, path)
    spatial = names[-2:] == ["y", "x"] and (len(names) < 3 or names[-3] in ("z", "c", "t", "?"))
    if array.ndim < 2 or not spatial or 0 in array.shape:
        raise ReadError(
            f"the image has axes ({', '.join(names)}) and shape {shape_text(array.shape)}",
            expected="axes that end in (z, y, x) or (y, x)",
            where=path,
        )
    leading = array.shape[:-2] if len(names) > 2 and names[-3] in "ct" else array.shape[:-3]
    if any(n > 1 for n in leading):
        found = ", ".join(f"{n} along {a}" for n, a in zip(array.shape, names, strict=True))
        raise InputError(
            f"the image has several channels or time points: {found}",
            expected="one axis of slices",
            where=path,
            mend="save each channel and time point as an image of its own",
        )
    return SourceArray(array, dtype)


def _space(
    axes: list[Mapping[str, Any]], level: Mapping[str, Any], scale: Mapping[str, Any]
) -> tuple[KnownSizes, Sizes, str]:
    """Return voxel size and origin in µm, and a note where the unit is missing."""
    factors, shift = [1.0] * len(axes), [0.0] * len(axes)
    for change in (
        *level.get("coordinateTransformations", ()),
        *scale.get("coordinateTransformations", ()),
    ):
        if change.get("type") == "scale" and "scale" in change:
            factors = [f * float(s) for f, s in zip(factors, change["scale"], strict=True)]
            shift = [o * float(s) for o, s in zip(shift, change["scale"], strict=True)]
        elif change.get("type") == "translation" and "translation" in change:
            moves = change["translation"]
            shift = [o + float(t) for o, t in zip(shift, moves, strict=True)]
    sizes: dict[str, float | None] = {}
    origin: dict[str, float] = {}
    for axis, factor, offset in zip(axes, factors, shift, strict=True):
        unit = axis.get("unit")
        sizes[axis["name"]] = length_um(factor, unit)
        origin[axis["name"]] = offset * (unit_um(unit) or 0.0)
    if "z" not in sizes:
        sizes["z"] = sizes.get("x")
    known = (sizes["z"], sizes.get("y"), sizes.get("x"))
    note = ""
    if None in known:
        factors_text = " × ".join(f"{f:g}" for f in factors)
        note = f"its axes have no unit of length (scale {factors_text})"
    return known, (origin.get("z", 0.0), origin.get("y", 0.0), origin.get("x", 0.0)), note


def _arrays(node: Any) -> list[str]:
    import zarr

    if not isinstance(node, zarr.Group):
        return []
    return sorted(name for name, item in node.members(max_depth=3) if isinstance(item, zarr.Array))


def _storage(array: Any) -> str:
    return f"{shape_text(array.shape)}, {array.dtype.str}, chunks {shape_text(array.chunks)}"
