"""Projections as an instrument left them, and the line integrals of attenuation in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from tomolith.config import Settings
from tomolith.errors import InputError, MismatchError, ReadError
from tomolith.prepare.angles import check_half_turn, theta_unit
from tomolith.prepare.corrections import line_integrals
from tomolith.store.readers import open_raw
from tomolith.store.readers.hdf5 import Hdf5Reader
from tomolith.store.readers.units import length_um

Floats = npt.NDArray[np.float32]

_TOLERANCE_FRAC = 0.01
_DETECTOR = "measurement/instrument/detector/actual_pixel_size_"
_OBJECTIVE = "measurement/instrument/detection_system/objective/resolution"


class ProjectionSource(Settings):
    """One entry of ``scans``: where the projections of a scan are.

    Examples
    --------
    >>> ProjectionSource(id="cell-7", path="cell-7.h5", centre=1023.5).pixel_size_um is None
    True
    """

    id: str = Field(description="Name of the scan.")
    path: str = Field(
        description="DXchange HDF5 file; or, with 'already_log', a TIFF of sinograms."
    )
    pixel_size_um: float | Literal["unknown"] | None = Field(
        None,
        description="Detector pixel at the object in µm; 'unknown': attenuation is then per voxel; "
        "left out: the file's own.",
    )
    centre: float | None = Field(
        None, ge=0, description="Column of the rotation axis, from 0; found by algotom if left out."
    )
    theta_unit: Literal["degrees", "radians"] | None = Field(
        None, description="Unit of 'exchange/theta', where the file is wrong or does not say."
    )
    theta_deg: tuple[float, float] | None = Field(
        None, description="First and last angle where the file has none; evenly in between."
    )
    already_log: bool = Field(
        False, description="The values are minus the logarithm of the transmission already."
    )

    @field_validator("id")
    @classmethod
    def _id_is_a_name(cls, value: str) -> str:
        if not value or value.startswith(".") or not all(c.isalnum() or c in "-_." for c in value):
            raise ValueError("letters, digits, '-', '_' and '.'")
        return value

    @field_validator("pixel_size_um")
    @classmethod
    def _size_is_positive(cls, value: float | str | None) -> float | str | None:
        if isinstance(value, float) and not 0 < value < math.inf:
            raise ValueError("a positive number in µm, or 'unknown'")
        return value


@dataclass(frozen=True)
class ProjectionFacts:
    """What is known of the projections of one scan without reading them.

    Parameters
    ----------
    theta_rad
        Angle of each projection; they cover half a turn.
    n_rows, n_columns
        Pixels of the detector.
    pixel_um
        Pixel (row, column) at the object in µm; ``None`` where it was stated to be unknown.
    simulated
        What the file says about having been simulated; empty for real data.
    """

    theta_rad: npt.NDArray[np.float64]
    n_rows: int
    n_columns: int
    pixel_um: tuple[float, float] | None
    simulated: str


@dataclass(frozen=True)
class RawProjections(ProjectionFacts):
    """Projections of one scan, opened lazily.

    Parameters
    ----------
    read
        ``read(first, last)`` returns the line integrals of these rows, axes (row, angle, column).
    """

    read: Callable[[int, int], Floats]


@contextmanager
def open_projections(source: ProjectionSource) -> Iterator[RawProjections]:
    """Open the projections of a scan, checked.

    Raises
    ------
    ReadError
        The file is missing, cut off, or lacks a dataset.
    MismatchError
        Datasets differ in shape, or unit or pixel size contradict the file.
    InputError
        The angles do not cover half a turn, or the pixel size is not known.
    """
    path = Path(source.path)
    if path.is_file() and Hdf5Reader().sniff(path):
        with _hdf5(path) as file:
            yield _open_exchange(file, source)
        return
    raw = open_raw(path)
    try:
        if not source.already_log:
            raise ReadError(
                "the file holds no flat fields",
                expected="DXchange HDF5 with projections, flat fields and dark fields",
                where=path,
                mend="give the HDF5 file, or write 'already_log: true' if these are sinograms of "
                "minus the logarithm of the transmission",
            )
        n_rows, n_angles, n_columns = raw.array.shape
        sizes = raw.known_size_um
        pixel = _pixel_um(source, (sizes[2], sizes[2]))

        def read(first: int, last: int) -> Floats:
            block = raw.array[first:last, 0:n_angles, 0:n_columns]
            return _finite(np.asarray(block, np.float32), source, first)

        theta = _theta(source, n_angles, None)
        yield RawProjections(theta, n_rows, n_columns, pixel, "", read)
    finally:
        raw.close()


@contextmanager
def _hdf5(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise ReadError(
            f"the HDF5 file cannot be opened: {error}",
            where=path,
            mend="it may be cut off or still being written: copy it again",
        ) from error
    with file:
        yield file


def _open_exchange(file: h5py.File, source: ProjectionSource) -> RawProjections:
    data = _images(file, "data", source)
    n_angles, n_rows, n_columns = data.shape
    fields = () if source.already_log else (_images(file, "data_white", source),)
    if fields:
        fields = (*fields, _images(file, "data_dark", source))
    for field in fields:
        if field.shape[1:] != data.shape[1:]:
            raise MismatchError(
                f"the images in '{field.name[1:]}' have {field.shape[1:]} pixels (row, column)",
                expected=f"{data.shape[1:]}, as in 'exchange/data'",
                where=source.path,
                mend="give a file whose flat and dark fields belong to the projections",
            )

    def read(first: int, last: int) -> Floats:
        block = _finite(_read(data, first, last, source), source, first)
        if fields:
            white, dark = (_read(field, first, last, source).mean(axis=1) for field in fields)
            white = _finite(white, source, first)
            block = line_integrals(block, white, dark, where=source.path)
        return block

    found = file.attrs.get("simulated", "")
    return RawProjections(
        _theta(source, n_angles, file.get("exchange/theta")),
        n_rows,
        n_columns,
        _pixel_um(source, _sizes(file)),
        found.decode() if isinstance(found, bytes) else str(found),
        read,
    )


def _images(file: h5py.File, name: str, source: ProjectionSource) -> h5py.Dataset:
    """Return a dataset of images, axes (image, row, column)."""
    found = file.get(f"exchange/{name}")
    if not isinstance(found, h5py.Dataset):
        what = {"data_white": "no flat fields: ", "data_dark": "no dark fields: "}.get(name, "")
        group = file.get("exchange")
        held = ", ".join(group) if isinstance(group, h5py.Group) else "no group 'exchange'"
        raise ReadError(
            f"the file has {what}there is no dataset 'exchange/{name}'",
            expected="exchange/data, data_white, data_dark and theta, as DXchange names them",
            where=source.path,
            mend=f"it holds: {held}",
        )
    if len(found.shape) != 3 or 0 in found.shape or found.dtype.kind not in "iuf":
        raise ReadError(
            f"'exchange/{name}' has shape {found.shape} and type {found.dtype}",
            expected="numbers with the axes (image, row, column)",
            where=source.path,
        )
    return found


def _read(images: h5py.Dataset, first: int, last: int, source: ProjectionSource) -> Floats:
    """Return rows of all images as float32, axes (row, image, column)."""
    try:
        block = images[:, first:last]
    except (OSError, RuntimeError) as error:
        raise ReadError(
            f"rows {first} to {last - 1} of '{images.name[1:]}' cannot be read: {error}",
            where=source.path,
            mend="the file may be damaged: copy it again",
        ) from error
    return np.ascontiguousarray(np.moveaxis(block, 1, 0), np.float32)


def _finite(block: Floats, source: ProjectionSource, first: int) -> Floats:
    bad = ~np.isfinite(block)
    if bad.any():
        raise InputError(
            f"the projections hold {np.count_nonzero(bad)} NaN or Inf, the first in row "
            f"{first + int(np.argwhere(bad)[0][0])}",
            expected="finite counts",
            where=source.path,
        )
    return block


def _theta(source: ProjectionSource, n_angles: int, stored: Any) -> npt.NDArray[np.float64]:
    """Return the angles in radians."""
    if source.theta_deg is not None:
        theta = np.radians(np.linspace(*source.theta_deg, n_angles))
    elif stored is None:
        raise ReadError(
            "the file does not say the angles of the projections",
            expected="a dataset 'exchange/theta'",
            where=source.path,
            mend="give first and last angle, for example 'theta_deg: [0, 180]'",
        )
    else:
        values = np.atleast_1d(np.asarray(stored[()], np.float64))
        unit = source.theta_unit or theta_unit(values, stored.attrs.get("units"), source.path)
        theta = np.radians(values) if unit == "degrees" else values
    if theta.shape != (n_angles,):
        raise MismatchError(
            f"there are {theta.size} angles and {n_angles} projections",
            expected="one angle for each projection",
            where=source.path,
        )
    check_half_turn(theta, source.path)
    return theta


def _sizes(file: h5py.File) -> tuple[float | None, float | None]:
    """Return the pixel size (row, column) in µm that the file states with its unit."""
    sizes = [_length(file.get(_DETECTOR + axis)) for axis in "yx"]
    if None in sizes:
        sizes = [_length(file.get(_OBJECTIVE))] * 2
    return sizes[0], sizes[1]


def _length(found: Any) -> float | None:
    if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "iuf":
        return None
    unit = found.attrs.get("units")
    return length_um(
        float(np.ravel(found[()])[0]), unit.decode() if isinstance(unit, bytes) else unit
    )


def _pixel_um(
    source: ProjectionSource, stated: tuple[float | None, float | None]
) -> tuple[float, float] | None:
    """Return the pixel size (row, column) in µm from the recipe or the file."""
    given, (row, column) = source.pixel_size_um, stated
    if given == "unknown":
        return None
    if given is None:
        if row is None or column is None:
            raise InputError(
                "the pixel size is not known",
                expected=f"a length with a unit in '{_DETECTOR}x' and '…y'",
                where=source.path,
                mend="give 'pixel_size_um: 1.33' in the recipe, or 'pixel_size_um: unknown' "
                "(attenuation is then per voxel)",
            )
        return row, column
    for said in (row, column):
        if said is not None and abs(said - given) > _TOLERANCE_FRAC * said:
            raise MismatchError(
                f"the recipe gives a pixel size of {given:g} µm, the file {said:.6g} µm",
                expected="sizes that agree within 1 %",
                where=source.path,
                mend="correct 'pixel_size_um', or leave it out to use the file's",
            )
    return given, given
