"""Small image files of every format, for tests. Written by other libraries, or by hand here."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

SECTOR = 512


def ramp(shape=(5, 7, 9), dtype="u2"):
    """Values that differ from voxel to voxel."""
    return (np.arange(np.prod(shape)).reshape(shape) * 3 % 251).astype(dtype)


def write_ole(path: Path, streams: dict[str, bytes]) -> Path:
    """Write an OLE2 file. Streams are padded to 4096 bytes, so there are no mini streams."""
    groups = sorted({name.split("/")[0] for name in streams})
    entries = [["Root Entry", 5, 1, -2, 0]]  # name, kind, child, first sector, size
    entries += [[group, 1, None, 0, 0] for group in groups]
    siblings = dict.fromkeys(range(len(entries)), -1)
    _chain(siblings, list(range(1, len(entries))))
    data, starts, fat = b"", [], []
    for group_index, group in enumerate(groups, start=1):
        mine = []
        for name in sorted(n for n in streams if n.startswith(group + "/")):
            body = streams[name].ljust(4096, b"\0")
            n_sectors = -(-len(body) // SECTOR)
            starts.append(len(fat))
            fat += [len(fat) + k + 1 for k in range(n_sectors - 1)] + [-2]
            data += body.ljust(n_sectors * SECTOR, b"\0")
            mine.append(len(entries))
            entries.append([name.split("/")[1], 2, -1, starts[-1], len(body)])
        entries[group_index][2] = mine[0]
        _chain(siblings, mine)
    directory = b"".join(
        _entry(name, kind, siblings.get(i, -1), -1 if child is None else child, start, size)
        for i, (name, kind, child, start, size) in enumerate(entries)
    )
    directory += b"\0" * (-len(directory) % SECTOR)
    n_directory = len(directory) // SECTOR
    first_directory = len(fat)
    fat += [first_directory + k + 1 for k in range(n_directory - 1)] + [-2]
    n_fat = 1
    while n_fat * 128 < len(fat) + n_fat:
        n_fat += 1
    first_fat = len(fat)
    fat += [-3] * n_fat
    fat += [-1] * (n_fat * 128 - len(fat))
    difat = [first_fat + k for k in range(n_fat)]
    assert n_fat <= 109, "too large for this little writer"
    head = struct.pack(
        "<8s16xHHHHH6xiiii4siiiii",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        0x3E, 3, 0xFFFE, 9, 6, 0, n_fat, first_directory, 0, struct.pack("<i", 4096),
        -2, 0, -2, 0, 0,
    )[:76]  # fmt: skip
    head += struct.pack("<109i", *(difat + [-1] * (109 - n_fat)))
    table = np.array(fat, "<i4").tobytes()
    path.write_bytes(head + data + directory + table)
    return path


def _chain(siblings: dict[int, int], members: list[int]) -> None:
    siblings.update(zip(members, [*members[1:], -1], strict=True))


def _entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBiii16xI16xiII", text, len(text), kind, 1, -1, right, child, 0, start, size, 0
    )


def write_zeiss(path: Path, volume: np.ndarray, *, planned: int | None = None) -> Path:
    """Write images as .txrm or .txm with a pixel of 0.5 µm and angles from 0 in 2 degree steps."""
    codes = {"uint8": 3, "uint16": 5, "float32": 10}
    n, height, width = volume.shape
    info = {
        "ImageWidth": width,
        "ImageHeight": height,
        "DataType": codes[volume.dtype.name],
        "NoOfImages": planned or n,
        "ImagesTaken": n,
    }
    streams = {f"ImageInfo/{key}": struct.pack("<i", value) for key, value in info.items()}
    streams["ImageInfo/PixelSize"] = struct.pack("<f", 0.5)
    streams["ImageInfo/Energy"] = struct.pack("<f", 8000.0)
    streams["ImageInfo/Angles"] = np.arange(0, 2 * n, 2, dtype="<f4").tobytes()
    for i, image in enumerate(volume):
        streams[f"ImageData{i // 100 + 1}/Image{i + 1}"] = image.tobytes()
    return write_ole(path, streams)


def amira_header(volume: np.ndarray, *, unit: str | None = "µm", encoding: str = "") -> bytes:
    """Return the header of a lattice with voxels of (z, y, x) = (2, 1, 0.5)."""
    nz, ny, nx = volume.shape
    name = {"u1": "byte", "u2": "ushort", "f4": "float"}[volume.dtype.str[1:]]
    order = "BINARY-LITTLE-ENDIAN" if volume.dtype.str[0] in "<|" else "BINARY"
    units = f'Units {{ Coordinates "{unit}" }},' if unit else ""
    text = (
        f"# AmiraMesh {order} 2.1\n\ndefine Lattice {nx} {ny} {nz}\n\nParameters {{\n"
        f"    {units}\n    BoundingBox 0 {(nx - 1) / 2} 0 {ny - 1} 10 {10 + (nz - 1) * 2},\n"
        f'    CoordType "uniform"\n}}\n\nLattice {{ {name} Data }} @1{encoding}\n\n'
        "# Data section follows\n@1\n"
    )
    return text.encode("latin-1")


def write_amira(path: Path, volume: np.ndarray, *, unit: str | None = "µm") -> Path:
    """Write a raw lattice."""
    path.write_bytes(amira_header(volume, unit=unit) + volume.tobytes())
    return path


def write_amira_runs(path: Path, volume: np.ndarray) -> Path:
    """Write a lattice of bytes as HxByteRLE, mixing repeats and copies."""
    flat, at, out = volume.ravel(), 0, bytearray()
    while at < len(flat):
        n = 1
        while n < 127 and at + n < len(flat) and flat[at + n] == flat[at]:
            n += 1
        if n > 2:
            out += bytes((n, flat[at]))
        else:
            n = min(100, len(flat) - at)
            out += bytes((128 | n,)) + flat[at : at + n].tobytes()
        at += n
    header = amira_header(volume, encoding=f"(HxByteRLE,{len(out)})")
    path.write_bytes(header + bytes(out))
    return path
