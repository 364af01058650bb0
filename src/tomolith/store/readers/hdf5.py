"""HDF5: DXchange, NeXus and plain files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.config import did_you_mean
from tomolith.errors import ReadError
from tomolith.store.readers.base import KnownSizes, RawImage, shape_text, usable_dtype
from tomolith.store.readers.lazy import SourceArray
from tomolith.store.readers.units import length_um

_MAGIC = b"\x89HDF\r\n\x1a\n"


class Hdf5Reader:
    """HDF5 files (.h5, .hdf5, .nxs): DXchange, NeXus and plain."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as HDF5 (a user block may come first)."""
        try:
            with path.open("rb") as file:
                for offset in (0, 512, 1024, 2048):
                    file.seek(offset)
                    if file.read(8) == _MAGIC:
                        return True
        except OSError:
            pass
        return False

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Open a dataset of two or three axes.

        Without ``dataset``: ``exchange/data`` of DXchange, the default signal of
        NeXus, or the only 3-D (else the only 2-D) numeric dataset.

        Raises
        ------
        ReadError
            The file is cut off, the dataset is missing, or several could be meant
            (all are listed).
        """
        import h5py

        try:
            file = h5py.File(path, "r")
        except (OSError, RuntimeError) as error:
            raise ReadError(
                f"the HDF5 file cannot be opened: {error}",
                where=path,
                mend="it may be cut off or still being written: copy it again",
            ) from error
        try:
            source = _pick(file, dataset, path)
            dtype = usable_dtype(source.dtype, f"{path}:{source.name}")
            sizes = _sizes(source)
            return RawImage(
                SourceArray(source, dtype),
                "hdf5",
                _describe(source),
                sizes,
                size_note=""
                if None not in sizes
                else f"dataset '{source.name.strip('/')}' has no attribute that gives it",
                closer=file.close,
            )
        except BaseException:
            file.close()
            raise


def _pick(file: Any, dataset: str | None, path: Path) -> Any:
    images = {d.name.strip("/"): d for d in _images(file)}
    if dataset is not None:
        return _named(file, dataset.strip("/"), images, path)
    default = _default(file)
    if default is not None:
        return default
    volumes = [d for d in images.values() if len(_long_shape(d)) == 3]
    candidates = volumes or list(images.values())
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise ReadError(
            "the file holds no numeric dataset of two or three axes",
            where=path,
            mend=f"it holds: {_listing(_datasets(file)) or 'no dataset at all'}",
        )
    raise ReadError(
        f"the file holds several images: {_listing(candidates)}",
        where=path,
        mend=f"name one, for example 'dataset: {candidates[0].name.strip('/')}'",
    )


def _named(file: Any, name: str, images: dict[str, Any], path: Path) -> Any:
    import h5py

    try:
        found = file.get(name)
    except (KeyError, OSError, RuntimeError):  # a link that leads nowhere
        found = None
    if found is None:
        raise ReadError(
            f"there is no dataset '{name}'",
            expected=f"one of {_listing(images.values())}" if images else None,
            where=path,
            mend=did_you_mean(name, images),
        )
    if not isinstance(found, h5py.Dataset) or not _is_image(found):
        what = "a group" if isinstance(found, h5py.Group) else f"of shape {found.shape}"
        raise ReadError(
            f"'{name}' is {what}, no image of two or three axes",
            expected=f"one of {_listing(images.values())}" if images else None,
            where=path,
        )
    return found


def _default(file: Any) -> Any | None:
    """Return the dataset that a standard marks as the image."""
    import h5py

    signal = file.get("exchange/data")
    if isinstance(signal, h5py.Dataset) and _is_image(signal):
        return signal
    group = file
    while isinstance(group, h5py.Group):
        for key in ("signal", "default"):
            name = group.attrs.get(key)
            if isinstance(name, (str, bytes)):
                group = group.get(name.decode() if isinstance(name, bytes) else name)
                break
        else:
            return None
    return group if isinstance(group, h5py.Dataset) and _is_image(group) else None


def _datasets(file: Any) -> list[Any]:
    import h5py

    found: list[Any] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(item)

    file.visititems(visit)
    return found


def _images(file: Any) -> Iterator[Any]:
    return (d for d in _datasets(file) if _is_image(d) and min(d.shape[-2:]) > 1)


def _long_shape(dataset: Any) -> tuple[int, ...]:
    """Shape without leading axes of length 1, at least two axes."""
    shape = tuple(dataset.shape)
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _is_image(dataset: Any) -> bool:
    if dataset.shape is None or len(dataset.shape) < 2 or 0 in dataset.shape:
        return False
    return len(_long_shape(dataset)) in (2, 3) and dataset.dtype.kind in "biufc"


def _listing(datasets: Any) -> str:
    listed = list(datasets)
    lines = [f"{d.name.strip('/')} ({_shape(d)} {d.dtype})" for d in listed]
    return ", ".join(lines[:12]) + (" ..." if len(lines) > 12 else "")


def _shape(dataset: Any) -> str:
    return shape_text(dataset.shape) if dataset.shape else "scalar"


def _describe(source: Any) -> tuple[str, ...]:
    chunks = shape_text(source.chunks) if source.chunks else "contiguous"
    lines = [
        f"HDF5 dataset {source.name.strip('/')} {_shape(source)}, {source.dtype.str}",
        f"chunks {chunks}, compression {source.compression or 'none'}",
    ]
    axes = _text(source.attrs.get("axes"))
    if axes:
        lines.append(f"axes {axes}")
    return tuple(lines)


def _sizes(source: Any) -> KnownSizes:
    """Return the voxel size from the attributes that programs agree on.

    ``element_size_um`` (z, y, x) is what ImageJ, ilastik and vigra write;
    ``voxel_size_um`` says itself what it is; NeXus gives one axis per dataset.
    """
    for key in ("element_size_um", "voxel_size_um"):
        value = np.atleast_1d(np.asarray(source.attrs.get(key, ()), dtype=np.float64))
        if value.size in (1, 3) and np.all(np.isfinite(value)) and np.all(value > 0):
            z, y, x = (float(v) for v in np.broadcast_to(value, 3))
            return z, y, x
    return _nexus_sizes(source)


def _nexus_sizes(source: Any) -> KnownSizes:
    names = source.parent.attrs.get("axes")
    if not isinstance(names, np.ndarray) or len(names) != len(source.shape):
        return None, None, None
    steps: list[float | None] = []
    for name, n in list(zip(names, source.shape, strict=True))[-3:]:
        axis = source.parent.get(_text(name) or ".")
        values = None if axis is None or not hasattr(axis, "shape") else axis
        if values is None or values.shape != (n,) or n < 2:
            steps.append(None)
            continue
        step = (float(values[n - 1]) - float(values[0])) / (n - 1)
        steps.append(length_um(abs(step), _text(values.attrs.get("units"))))
    z, y, x = (None, None, None, *steps)[-3:]
    return z, y, x


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None
