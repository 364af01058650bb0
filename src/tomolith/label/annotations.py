"""Labels made by other programs: checked against image and classes, mapped lazily."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tomolith.config import did_you_mean
from tomolith.core import ArrayLike, Box, ClassSchema, LabelMap, Provenance, Volume
from tomolith.core.box import Triple
from tomolith.errors import InputError, MismatchError, RecipeError
from tomolith.store.readers import RawImage, open_raw
from tomolith.store.readers.colour import colour_text
from tomolith.store.readers.lazy import LazyArray

Array = npt.NDArray[Any]
ValueMap = Mapping[int, str] | Mapping[str, str] | Mapping[int | str, str]

_SLAB_VOXELS = 2**24
_N_LISTED = 12


def read_labels(
    path: str | Path,
    schema: ClassSchema,
    *,
    image: Volume,
    values: ValueMap | None = None,
    slices: Sequence[int] | None = None,
    dataset: str | None = None,
) -> LabelMap:
    """Open labels of any supported format as the label map of an image.

    The whole file is looked through once, slab by slab, so that a stray value is
    found now and not after hours of training.

    Parameters
    ----------
    path
        A file, a folder of slices, or a glob pattern; also PNG, and RGB TIFF.
    schema
        The classes.
    image
        The image that the labels belong to.
    values
        Value in the file (or colour ``"#rrggbb"``) to the name of a class or
        ``"unlabelled"``. Left out: the file holds the values of the schema (for
        colours: its colours).
    slices
        Page ``k`` of the file belongs to slice ``slices[k]`` of the image; all
        other slices are unlabelled. Left out: one page per slice.
    dataset
        Name of the labels inside a file that holds several images.

    Raises
    ------
    MismatchError
        The labels have another shape than the image.
    InputError
        Values that no class has (each is listed with its number of voxels), or
        slices outside the image.
    RecipeError
        ``values`` names an unknown class or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import Grid, PRESETS
    >>> image = Volume(np.zeros((1, 2, 2), np.uint8), Grid((1, 2, 2), None, sections=True))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(folder + "/l.npy", np.array([[0, 200], [200, 9]]))
    ...     names = {0: "background", 200: "lithium", 9: "unlabelled"}
    ...     labels = read_labels(
    ...         folder + "/l.npy", PRESETS["li-binary"], image=image, values=names
    ...     )
    ...     labels.read(image.grid.box).tolist()
    [[[0, 1], [1, 255]]]
    """
    independent = image.grid.sections or slices is not None
    raw = open_raw(path, dataset=dataset, independent=independent, colour=True)
    try:
        _check_shape(raw.array.shape, path, image, slices)
        lookup = _lookup(values, schema, path, is_colour=raw.is_colour)
        mapped = MappedLabels(raw.array, lookup, unlabelled=schema.unlabelled)
        _check_values(mapped, raw, path, has_map=values is not None)
        array: ArrayLike = mapped
        if slices is not None:
            array = PlacedSlices(mapped, tuple(slices), image.grid.shape_zyx, schema.unlabelled)
    except BaseException:
        raw.close()
        raise
    made = Provenance.now("read-labels", inputs=(str(path),))
    return LabelMap(Volume(array, image.grid, made), schema)


class MappedLabels(LazyArray):
    """Labels of a file seen as class values.

    Parameters
    ----------
    source
        Values of the file.
    lookup
        Value of the file to class value.
    unlabelled
        What values outside ``lookup`` become.
    """

    def __init__(self, source: ArrayLike, lookup: Mapping[int, int], *, unlabelled: int) -> None:
        z, y, x = source.shape
        super().__init__((int(z), int(y), int(x)), np.uint8)
        self._source = source
        self._unlabelled = unlabelled
        known = sorted(lookup)
        self._known = np.array(known, dtype=np.float64)
        self._targets = np.array([lookup[k] for k in known], dtype=np.uint8)

    def _read(self, box: Box) -> Array:
        values = np.asarray(self._source[box.slices])
        places, is_known = self._places(values)
        return np.where(is_known, self._targets[places], np.uint8(self._unlabelled))

    @property
    def known(self) -> tuple[float, ...]:
        """Values that the lookup knows."""
        return tuple(self._known.tolist())

    def strays(self, box: Box) -> Counter[float]:
        """Count the values in ``box`` that the lookup does not know."""
        values = np.asarray(self._source[box.slices])
        _, is_known = self._places(values)
        if is_known.all():
            return Counter()
        found, counts = np.unique(values[~is_known], return_counts=True)
        return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    def _places(self, values: Array) -> tuple[Array, Array]:
        """Return where each value stands in the lookup, and whether it does."""
        if values.dtype.itemsize == 1:  # a table is much faster than a search
            every = np.arange(256).astype(np.uint8).view(values.dtype)
            places, is_known = self._search(every)
            codes = values.view(np.uint8)
            return places[codes], is_known[codes]
        return self._search(values)

    def _search(self, values: Array) -> tuple[Array, Array]:
        places = np.searchsorted(self._known, values)
        places = np.minimum(places, len(self._known) - 1)
        return places, self._known[places] == values


class PlacedSlices(LazyArray):
    """A few labelled slices at their places in a volume; the rest is unlabelled."""

    def __init__(
        self, pages: LazyArray, slices: Sequence[int], shape: Triple, unlabelled: int
    ) -> None:
        super().__init__(shape, np.uint8)
        self._pages = pages
        self._page_of = {z: k for k, z in enumerate(slices)}
        self._unlabelled = unlabelled

    def _read(self, box: Box) -> Array:
        out = np.full(box.shape_zyx, self._unlabelled, np.uint8)
        zs, ys, xs = box.slices
        for z in range(zs.start, zs.stop):
            if z in self._page_of:
                k = self._page_of[z]
                out[z - zs.start] = self._pages[k : k + 1, ys, xs][0]
        return out


def _check_shape(
    found: Sequence[int], path: str | Path, image: Volume, slices: Sequence[int] | None
) -> None:
    n_z, y, x = image.grid.shape_zyx
    name = ", ".join(image.provenance.inputs) or "the image"
    expected = (n_z if slices is None else len(slices), y, x)
    if tuple(found) != expected:
        per_slice = tuple(found)[1:] == (y, x)
        count = "'slices' has " + str(len(slices)) if slices is not None else f"{name} has"
        raise MismatchError(
            f"the labels have shape {_by(found)} (z, y, x)",
            expected=f"{_by(expected)}: {count}{'' if slices is None else ' entries, ' + name}"
            f" {'the shape ' if slices is None else 'has '}{_by(image.grid.shape_zyx)}",
            where=path,
            mend="say which slices are labelled, for example 'slices: [10, 20]'"
            if per_slice
            else "use labels made on this image, at its full size",
        )
    if slices is None:
        return
    outside = [z for z in slices if not 0 <= z < n_z]
    if outside or len(set(slices)) < len(slices):
        what = f"lie outside the image: {outside}" if outside else f"occur twice: {list(slices)}"
        raise InputError(
            f"entries of 'slices' {what}",
            expected=f"different numbers from 0 to {n_z - 1}",
            where=path,
        )


def _lookup(
    values: ValueMap | None, schema: ClassSchema, path: str | Path, *, is_colour: bool
) -> dict[int, int]:
    """Return value in the file to class value."""
    if values is None:
        if is_colour:
            return {int(c.colour[1:], 16): c.value for c in schema.classes}
        return {v: v for v in (*schema.values, schema.unlabelled)}
    if not values:
        raise RecipeError("'values' is empty", where=path, mend="leave it out or fill it")
    lookup = {}
    for key, name in values.items():
        source = _source_value(key, path, is_colour=is_colour)
        if source in lookup:
            raise RecipeError(f"'values' gives '{key}' twice", where=path)
        lookup[source] = _target(name, schema, path)
    return lookup


def _source_value(key: int | str, path: str | Path, *, is_colour: bool) -> int:
    text = str(key).strip()
    if is_colour and re.fullmatch(r"#[0-9A-Fa-f]{6}", text):
        return int(text[1:], 16)
    if not is_colour and re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    raise RecipeError(
        f"'values' has the key {key!r}, but the labels are {'coloured' if is_colour else 'grey'}",
        expected="colours such as '#00ff00' (in quotes)" if is_colour else "whole numbers",
        where=path,
    )


def _target(name: str, schema: ClassSchema, path: str | Path) -> int:
    if name == "unlabelled":
        return schema.unlabelled
    if name not in schema.names:
        names = (*schema.names, "unlabelled")
        raise RecipeError(
            f"'values' names the class '{name}'",
            expected=f"one of {', '.join(names)}",
            where=path,
            mend=did_you_mean(str(name), names),
        )
    return schema[name].value


def _check_values(mapped: MappedLabels, raw: RawImage, path: str | Path, *, has_map: bool) -> None:
    _, y, x = mapped.shape
    n_slab = max(1, _SLAB_VOXELS // (y * x))
    strays: Counter[float] = Counter()
    for box in Box.whole(mapped.shape).tiles((n_slab, y, x)):
        strays.update(mapped.strays(box))
    if not strays:
        return
    shown = [f"{_value_text(v, raw)} ({n} voxels)" for v, n in sorted(strays.items())[:_N_LISTED]]
    more = len(strays) - len(shown)
    known = [_value_text(k, raw) for k in mapped.known]
    add = f"add them to 'values', for example '{_value_text(min(strays), raw)}': unlabelled"
    raise InputError(
        f"the labels hold {len(strays)} unknown value{'s' * (len(strays) > 1)}: "
        + ", ".join(shown)
        + (f" and {more} more" if more else ""),
        expected=f"only {', '.join(known)}",
        where=path,
        mend=add if has_map else "say with 'values' which class each value means",
    )


def _value_text(value: float, raw: RawImage) -> str:
    if raw.is_colour:
        return colour_text(int(value))
    return str(int(value)) if float(value).is_integer() else str(value)


def _by(shape: Sequence[int]) -> str:
    return " × ".join(str(n) for n in shape)
