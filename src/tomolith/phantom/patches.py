"""A data set of single patches, cut from cross-sections of simulated cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tomolith.config import progress, settings_hash
from tomolith.core import Box, ClassSchema, Grid, IntensityStats, Provenance
from tomolith.phantom.cell import Cell
from tomolith.phantom.drawing import MATERIALS
from tomolith.phantom.noise import make_key
from tomolith.phantom.phantom import SIMULATED, Phantom, label_values
from tomolith.phantom.settings import PhantomSettings, scan_name
from tomolith.store.scan import Scan

_TARGETS = tuple(MATERIALS.index(name) for name in ("dendrite", "redeposited"))
_LEAST_FRAC = 0.01  # of a patch that its target must fill
_MOST_TRIES = 200
_STEP_VOX = 4  # patches come from every fourth cross-section: neighbours look alike


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch: grey values and materials, both (patch_px, patch_px)."""

    image: npt.NDArray[np.unsignedinteger]
    material: npt.NDArray[np.uint8]


def write_patches(settings: PhantomSettings, path: Path, *, schema: ClassSchema) -> Scan:
    """Write ``settings.n_patches`` patches as a scan of sections, with ``labels/truth``.

    Each holds some dendrite or redeposited Li, as the patches of the TransforCNN paper do (4433 of
    128 × 128). They lie in order of cell and pulse: parts of the file far from each other show
    different cells.

    Raises
    ------
    RecipeError
        The schema leaves out a class, or pits would go through the electrode.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> from tomolith.core import PRESETS
    >>> settings = PhantomSettings(preset="tiny", n_patches=3, patch_px=32)
    >>> path = Path(tempfile.mkdtemp()) / "patches.zarr"
    >>> scan = write_patches(settings, path, schema=PRESETS["li-binary"])
    >>> scan.grid.shape_zyx, scan.grid.sections
    ((3, 32, 32), True)
    """
    values = label_values(schema)
    n_patches, side = settings.n_patches or 0, settings.patch_px
    size = settings.voxel_size_um
    grid = Grid((n_patches, side, side), (size, size, size), sections=True)
    provenance = Provenance.now(
        "phantom",
        inputs=(SIMULATED, "patches"),
        settings_hash=settings_hash(settings),
        seed=settings.seed,
    )
    scan = Scan.create(path, grid, settings.dtype, provenance=provenance)
    truth = scan.create_labels("truth", schema, provenance=provenance)
    stats = []
    with progress("phantom patches", n_patches) as bar:
        for i, patch in enumerate(_patches(settings)):
            scan.image.array[i : i + 1] = patch.image[None]
            truth.array[i : i + 1] = values[patch.material][None]
            stats.append(IntensityStats.of_sample(patch.image))
            bar.advance(1)
    scan.set_stats(stats)
    truth.finish()
    scan.finish()
    return scan


def patches_per_scan(settings: PhantomSettings) -> dict[tuple[int, int], int]:
    """Return how many patches come from each (cell, pulse), in the order in which they lie.

    Cumulative shares are rounded up: where the cells can be divided 80/10/10 by whole cells, a
    split of the patches by blocks falls between cells.

    Examples
    --------
    >>> settings = PhantomSettings(preset="binary-128", n_cells=10, scans=(12,))
    >>> counts = list(patches_per_scan(settings).values())
    >>> sum(counts[:8]), counts[8], counts[9]
    (3547, 443, 443)
    """
    sources = [(i, pulse) for i in range(settings.n_cells) for pulse in settings.scans]
    total, n = settings.n_patches or 0, len(sources)
    ends = [-(-total * i // n) for i in range(n + 1)]
    return {source: ends[i + 1] - ends[i] for i, source in enumerate(sources)}


def _patches(settings: PhantomSettings) -> Iterator[Patch]:
    cell: Cell | None = None
    for (index, pulse), n in patches_per_scan(settings).items():
        if cell is None or pulse == settings.scans[0]:
            cell = Cell.build(settings, index)
        yield from _cut(Phantom.of(cell, scan_name(index, pulse), pulse), n)


def _cut(phantom: Phantom, n: int) -> Iterator[Patch]:
    s, side = phantom.settings, phantom.settings.patch_px
    n_z, n_y, n_x = s.shape_zyx
    image, material = phantom.render(Box.whole(s.shape_zyx))
    rng = np.random.Generator(np.random.PCG64(make_key(s.seed, phantom.scan_id, "patches")))
    target = np.isin(material, _TARGETS)
    for _ in range(n):
        best, best_frac = (0, 0, 0), -1.0
        for _ in range(_MOST_TRIES):
            z = int(rng.integers(0, max(1, n_z // _STEP_VOX))) * _STEP_VOX
            y, x = int(rng.integers(0, n_y - side + 1)), int(rng.integers(0, n_x - side + 1))
            frac = float(target[z, y : y + side, x : x + side].mean())
            if frac > best_frac:
                best, best_frac = (z, y, x), frac
            if frac >= _LEAST_FRAC:
                break
        z, y, x = best
        part = (z, slice(y, y + side), slice(x, x + side))
        yield Patch(image[part], material[part])
