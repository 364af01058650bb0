"""Open an image as a `Volume`: pixels from a reader, voxel size from file and recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tomolith.core import Grid, Provenance, Volume
from tomolith.core.grid import Sizes
from tomolith.errors import InputError, MismatchError
from tomolith.store.readers import RawImage, open_raw

TOLERANCE_FRAC = 0.01
"""Voxel sizes of recipe and file that differ by more contradict each other."""

GivenSize = float | Sequence[float] | Literal["unknown"] | None


def open_image(
    path: str | Path,
    *,
    voxel_size_um: GivenSize = None,
    dataset: str | None = None,
    kind: Literal["volume", "images"] = "volume",
) -> Volume:
    """Open an image of any supported format lazily.

    Parameters
    ----------
    path
        A file, a folder of slices, or a glob pattern.
    voxel_size_um
        One size, or (z, y, x), in µm; ``"unknown"`` where it truly is; ``None`` to
        take what the file says.
    dataset
        Name of the image inside a file that holds several.
    kind
        ``"images"`` where z counts independent 2-D images; a z size is then
        nominal and taken as the pixel size if the file has none.

    Raises
    ------
    InputError
        The voxel size is missing or malformed, or a volume has one slice.
    MismatchError
        Voxel size of file and recipe differ by more than 1 %.
    ReadError
        The file is missing, damaged or of no supported format.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(folder.name + "/a.npy", np.zeros((4, 5, 6), np.uint8))
    >>> open_image(folder.name + "/a.npy", voxel_size_um=0.65).grid.voxel_size_um
    (0.65, 0.65, 0.65)
    >>> folder.cleanup()
    """
    sections = kind == "images"
    raw = open_raw(path, dataset=dataset, independent=sections)
    try:
        shape = (int(raw.array.shape[0]), int(raw.array.shape[1]), int(raw.array.shape[2]))
        if not sections and shape[0] == 1:
            raise InputError(
                f"the volume has a single slice of {shape[1]} × {shape[2]} pixels",
                expected="a stack of slices",
                where=path,
                mend="say 'kind: images' for 2-D images, or give the path of the whole stack",
            )
        size = _voxel_size_um(raw, voxel_size_um, path, sections=sections)
        grid = Grid(shape, size, raw.origin_um if size else (0.0, 0.0, 0.0), sections)
    except BaseException:
        raw.close()
        raise
    return Volume(raw.array, grid, Provenance.now("open", inputs=(str(path),)))


def _voxel_size_um(
    raw: RawImage, given: GivenSize, path: str | Path, *, sections: bool
) -> Sizes | None:
    if given == "unknown":
        return None
    known = raw.known_size_um
    if sections and known[0] is None:
        known = (known[2], known[1], known[2])
    if given is None:
        z, y, x = known
        if z is None or y is None or x is None:
            raise _missing(raw, path)
        return z, y, x
    sizes = _as_sizes(given, path)
    for axis, said, asked in zip("zyx", raw.known_size_um, sizes, strict=True):
        if axis == "z" and sections:
            continue  # the distance of independent images has no meaning
        if said is not None and abs(said - asked) > TOLERANCE_FRAC * said:
            raise MismatchError(
                f"the recipe gives a voxel size of {asked:g} µm along {axis}, "
                f"the file {said:.6g} µm",
                expected="sizes that agree within 1 %",
                where=path,
                mend="correct 'voxel_size_um' (micrometres), or leave it out to use the file's",
            )
    return sizes


def _as_sizes(given: float | Sequence[float] | str, path: str | Path) -> Sizes:
    try:
        values = (
            [float(given)] * 3 if isinstance(given, (int, float)) else [float(v) for v in given]
        )
        z, y, x = values
    except (TypeError, ValueError):
        raise InputError(
            f"the voxel size is {given!r}",
            expected="one number, three numbers [z, y, x] in µm, or 'unknown'",
            where=path,
        ) from None
    return z, y, x


def _missing(raw: RawImage, path: str | Path) -> InputError:
    why = f": {raw.size_note}" if raw.size_note else ""
    return InputError(
        f"the voxel size is not known{why}",
        where=path,
        mend="give 'voxel_size_um: 0.65' or '[z, y, x]' in micrometres, "
        "or 'voxel_size_um: unknown' (then only counts and shares are measured)",
    )
