"""Amira and Avizo ``.am`` lattices: raw binary mapped, byte runs decoded slice by slice."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tomolith.errors import InputError, ReadError
from tomolith.store.readers.amira_runs import RunLengthArray
from tomolith.store.readers.base import (
    KnownSizes,
    RawImage,
    shape_text,
    starts_with,
)
from tomolith.store.readers.units import length_um, unit_um

_HEADER_LIMIT_BYTES = 4 * 2**20
_TYPES = {
    "byte": "u1",
    "ubyte": "u1",
    "sbyte": "i1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "int32": "i4",
    "uint": "u4",
    "uint32": "u4",
    "int64": "i8",
    "float": "f4",
    "double": "f8",
}


class AmiraReader:
    """Amira and Avizo lattices (.am), binary or run-length encoded."""

    def sniff(self, path: Path) -> bool:
        """Tell whether ``path`` begins as an Amira file."""
        return starts_with(path, b"# AmiraMesh", b"# Avizo")

    def open(self, path: Path, *, dataset: str | None = None) -> RawImage:
        """Open the lattice of the file; ``dataset`` names it where there are several.

        The bounding box of Amira runs from the centre of the first voxel to the
        centre of the last. It counts only where the file says in which unit.

        Raises
        ------
        ReadError
            The file is cut off, holds no regular lattice, or several.
        InputError
            The values are text, vectors, or compressed in a way not known here.
        """
        with path.open("rb") as file:
            head = file.read(_HEADER_LIMIT_BYTES)
        header = _parse(head, dataset, path)
        array: Any
        if header.encoding == "":
            array = _map(header, path)
        else:
            array = RunLengthArray(
                path, header.data_offset, header.n_encoded_bytes, header.shape_zyx
            )
        sizes, note = _sizes(header)
        lines = (
            f"{header.first_line}, lattice {shape_text(header.shape_zyx)}, {header.dtype.str}",
            f"data '{header.name}', encoding {header.encoding or 'raw, mapped into memory'}",
        )
        factor = unit_um(header.unit) if header.bounding_box else None
        x, y, z = (b * factor for b in header.bounding_box[::2]) if factor else (0.0, 0.0, 0.0)
        return RawImage(array, "amira", lines, sizes, size_note=note, origin_um=(z, y, x))


@dataclass(frozen=True)
class _Header:
    first_line: str
    name: str
    shape_zyx: tuple[int, int, int]
    dtype: np.dtype[Any]
    encoding: str
    n_encoded_bytes: int
    data_offset: int
    bounding_box: tuple[float, ...]
    unit: str | None


def _parse(head: bytes, dataset: str | None, path: Path) -> _Header:
    first = re.search(rb"^@1[ \t]*\r?\n", head, re.MULTILINE)
    if first is None:
        raise ReadError(
            "the Amira header has no end",
            expected="a line '@1' before the data",
            where=path,
            mend="the file may be cut off: copy it again",
        )
    text = head[: first.start()].decode("latin-1")
    shape = re.search(r"define\s+Lattice\s+(\d+)\s+(\d+)\s+(\d+)", text)
    if shape is None or "0" in shape.groups():
        raise ReadError(
            "the Amira file holds no 3-D lattice", where=path, mend="export the image as a lattice"
        )
    x, y, z = (int(n) for n in shape.groups())
    field = _field(text, dataset, path)
    mark = re.search(rb"^@" + field["mark"].encode() + rb"[ \t]*\r?\n", head, re.MULTILINE)
    if mark is None:
        raise ReadError(
            f"the data '{field['name']}' lies behind other data and cannot be reached",
            where=path,
            mend="export this field to a file of its own",
        )
    box = re.search(r"BoundingBox\s+([^,\n]+)", text)
    unit = re.search(r"Coordinates\s+\"([^\"]*)\"", text)
    return _Header(
        first_line=text.split("\n", 1)[0].strip("# \r"),
        name=field["name"],
        shape_zyx=(z, y, x),
        dtype=_dtype(text, field["type"], path),
        encoding=_encoding(field, path),
        n_encoded_bytes=int(field["bytes"] or 0),
        data_offset=mark.end(),
        bounding_box=_six_numbers(box.group(1)) if box else (),
        unit=unit.group(1) if unit else None,
    )


def _six_numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(n) for n in text.split())
    except ValueError:
        return ()
    return numbers if len(numbers) == 6 else ()


def _field(text: str, dataset: str | None, path: Path) -> re.Match[str]:
    pattern = (
        r"^\s*Lattice\s*\{\s*(?P<type>[\w\[\]]+)\s+(?P<name>\w+)\s*\}\s*=?\s*"
        r"@(?P<mark>\d+)(?:\((?P<encoding>\w+)(?:,(?P<bytes>\d+))?\))?"
    )
    fields = {m["name"]: m for m in re.finditer(pattern, text, re.MULTILINE)}
    if dataset is not None and dataset in fields:
        return fields[dataset]
    if len(fields) == 1 and dataset is None:
        return next(iter(fields.values()))
    listed = ", ".join(f"{m['name']} ({m['type']})" for m in fields.values())
    found = f"there is no field '{dataset}'" if dataset else f"the file holds {len(fields)} fields"
    raise ReadError(
        found,
        expected=f"one of {listed}" if fields else "a line 'Lattice { type name } @1'",
        where=path,
        mend="name one with 'dataset:'" if fields else None,
    )


def _dtype(text: str, name: str, path: Path) -> np.dtype[Any]:
    if name not in _TYPES:
        raise InputError(
            f"the Amira values are of type '{name}'",
            expected=f"one of {', '.join(_TYPES)}",
            where=path,
            mend="export a scalar field",
        )
    first_line = text.split("\n", 1)[0]
    if "BINARY" not in first_line:
        raise InputError(
            "the Amira file is written as text", where=path, mend="save it as binary Amira"
        )
    return np.dtype(("<" if "LITTLE-ENDIAN" in first_line else ">") + _TYPES[name])


def _encoding(field: re.Match[str], path: Path) -> str:
    encoding = field["encoding"] or ""
    if encoding not in ("", "HxByteRLE") or (encoding and _TYPES.get(field["type"]) != "u1"):
        raise InputError(
            f"the Amira data is {field['type']} compressed as {encoding}",
            expected="raw data, or bytes as HxByteRLE",
            where=path,
            mend="save it in Amira without compression",
        )
    return encoding


def _map(header: _Header, path: Path) -> Any:
    n_bytes = int(np.prod(header.shape_zyx, dtype=np.int64)) * header.dtype.itemsize
    size = path.stat().st_size
    if header.data_offset + n_bytes > size:
        raise ReadError(
            f"the Amira file is cut off: {size} bytes of at least {header.data_offset + n_bytes}",
            where=path,
            mend="copy it again",
        )
    return np.memmap(path, header.dtype, "r", header.data_offset, header.shape_zyx)


def _sizes(header: _Header) -> tuple[KnownSizes, str]:
    box = header.bounding_box
    if len(box) != 6:
        return (None, None, None), "the Amira file has no bounding box"
    steps = [
        (box[2 * i + 1] - box[2 * i]) / (n - 1) if n > 1 else None
        for i, n in enumerate(reversed(header.shape_zyx))
    ]
    if header.unit is None:
        text = " × ".join("?" if s is None else f"{s:g}" for s in reversed(steps))
        return (None, None, None), f"the file states {text} (z, y, x) but not in which unit"
    x, y, z = (length_um(step, header.unit) for step in steps)
    if header.shape_zyx[0] == 1:
        z = x
    return (z, y, x), "" if None not in (z, y, x) else f"unit '{header.unit}' is not known"
