"""How wide edges are in real scans, and in the presets of the phantom."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tifffile
from scipy import ndimage
from scipy.optimize import curve_fit
from scipy.special import erf

from benchmarks.common import Result, table
from tomolith.phantom import PhantomSettings, make_phantom

REAL: Mapping[str, tuple[str, Sequence[str]]] = MappingProxyType(
    {
        "21700 cell, laboratory": (
            "battery-21700-xct-slice",
            ("Battery_21700.tif",),
        ),
        "cap of a cylindrical cell, laboratory": (
            "battery-cylindrical-cell-xct",
            ("cell_vol_im031-im100.tif",),
        ),
        "sandstone, laboratory": (
            "sandstone-xct-4class/images",
            tuple(f"Sandstone_Versa{n:04d}.tif" for n in (0, 100, 200)),
        ),
        "NMC cathode, scan A, synchrotron": (
            "nmc-cathode-nanoct-3phase/images",
            ("100.tif", "200.tif", "300.tif"),
        ),
        "NMC cathode, scan B, synchrotron": (
            "nmc-cathode-nanoct-3phase/images",
            ("360.tif", "510.tif", "738.tif"),
        ),
        "NMC cathode, scan C, synchrotron": (
            "nmc-cathode-nanoct-3phase/images",
            ("394.tif", "470.tif", "546.tif"),
        ),
    }
)
_FINE = {"preset": "operando-256", "shape_zyx": (8, 300, 256), "scans": (12,), "n_pits": 2}
SIMULATED: Mapping[str, PhantomSettings] = MappingProxyType(
    {
        "preset `demo`": PhantomSettings(shape_zyx=(8, 152, 320), scans=(12,), n_pits=3),
        "preset `operando-256`": PhantomSettings(**_FINE),
        "`operando-256`, blur 3.5 µm": PhantomSettings(**_FINE, blur_um=3.5),
    }
)
STRONGEST = 0.03  # share of the pixels, those where grey changes most, that edges are sought in
HALF_PX = 8  # how far a profile reaches on either side
ALONG_PX = 4  # and how far along the edge it is averaged on either side
MOST = 500  # edges in an image
_WORST = 0.06  # rms of what the fit leaves, as a share of the step
_NEAR_PX = 1.5  # an edge lies where it was sought
_WIDTHS_PX = (0.3, 6.0)


def run(*, quick: bool) -> Result:
    """Measure all sets that are there, and return the page."""
    found = {name: (edge_widths(images, quick=quick), None) for name, images in _real()}
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in SIMULATED.items():
            true = settings.blur_um / settings.voxel_size_um
            found[name] = (edge_widths(_slices(settings, Path(folder)), quick=quick), true)
    return Result(
        "How wide edges are",
        "A Gaussian point spread turns the edge between two materials into an error function; its "
        "standard deviation is the width here. Profiles are taken across the "
        f"{STRONGEST:.0%} of the pixels where grey changes most, averaged over "
        f"{2 * ALONG_PX + 1} pixels along the edge. Kept are those that an error function fits "
        f"(what it leaves is below {_WORST:.0%} of the step, rms).",
        [_table(found)],
        [
            "Real edges are curved, rough or oblique to the slice, fits choose the clear ones, and "
            "reading between pixels blurs by about 0.4 of one: the width is that of the whole "
            "chain of scanner, reconstruction and what was done to the image since. Fringes make "
            "edges steeper: those of the phantom are an eighth narrower than its blur.",
            "The sets do not state what their scanners resolve. What they show is how many voxels "
            "people spend on an edge; ADR 0007 says what follows for the presets.",
        ],
    )


def edge_widths(images: Iterator[np.ndarray], *, quick: bool = False) -> np.ndarray:
    """Return the widths (standard deviations) of the clear edges in some slices, in pixels."""
    return np.concatenate([_widths_of(image, 40 if quick else MOST) for image in images])


def _widths_of(image: np.ndarray, most: int) -> np.ndarray:
    image = image.astype(np.float32)
    # numpy's gradient of a slightly smoothed slice says where an edge lies, not how wide it is
    slope = np.stack(np.gradient(ndimage.gaussian_filter(image, 1.0)))
    steep = np.hypot(*slope)
    margin = HALF_PX + ALONG_PX
    inner = np.zeros(image.shape, dtype=bool)
    inner[margin:-margin, margin:-margin] = True
    places = np.argwhere(inner & (steep > np.quantile(steep, 1 - STRONGEST)))
    np.random.default_rng(0).shuffle(places)
    found: list[float] = []
    for place in places:
        across = slope[:, *place] / steep[*place]
        beside = ndimage.map_coordinates(steep, (place + np.outer((-1, 1), across)).T, order=1)
        if steep[*place] >= beside.max():
            found += _fitted(_profile(image, place, across))
        if len(found) == most:
            break
    return np.array(found)


def _profile(image: np.ndarray, place: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return grey from one side of an edge to the other, averaged along it."""
    along = np.array([-across[1], across[0]])
    steps = _POSITIONS[:, None, None] * across
    aside = np.arange(-ALONG_PX, ALONG_PX + 1)[None, :, None] * along
    points = place + steps + aside
    return ndimage.map_coordinates(image, np.moveaxis(points, -1, 0), order=1).mean(axis=1)


_POSITIONS = np.linspace(-HALF_PX, HALF_PX, 4 * HALF_PX + 1)


def _edge(x: np.ndarray, low: float, step: float, middle: float, width: float) -> np.ndarray:
    return low + step * (1 + erf((x - middle) / (np.sqrt(2) * width))) / 2


def _fitted(profile: np.ndarray) -> list[float]:
    """Return the width of an edge, or nothing if this is no clear one."""
    guess = (profile[0], profile[-1] - profile[0], 0.0, 1.5)
    try:
        (low, step, middle, width), _ = curve_fit(_edge, _POSITIONS, profile, guess, maxfev=400)
    except RuntimeError:
        return []
    left = np.std(profile - _edge(_POSITIONS, low, step, middle, width))
    clear = abs(middle) <= _NEAR_PX and left <= _WORST * abs(step)
    return [abs(width)] if clear and _WIDTHS_PX[0] < abs(width) < _WIDTHS_PX[1] else []


def _real() -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    data = Path(os.environ.get("TOMOLITH_DATA") or Path(__file__).parents[2] / "shared/data")
    for name, (folder, files) in REAL.items():
        paths = [data / folder / file for file in files]
        if all(path.is_file() for path in paths):
            yield name, (_middle(tifffile.imread(path)) for path in paths)


def _middle(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image[len(image) // 2]


def _slices(settings: PhantomSettings, folder: Path) -> Iterator[np.ndarray]:
    name = f"{settings.voxel_size_um:g}-{settings.blur_um:g}"
    scan = make_phantom(settings, folder / f"{name}.zarr", scan_id=settings.scan_ids[0])
    yield from np.asarray(scan.image.read(scan.grid.box))[::3]


def _table(found: Mapping[str, tuple[np.ndarray, float | None]]) -> str:
    rows = []
    for name, (widths, true) in found.items():
        low, middle, high = np.quantile(widths, (0.1, 0.5, 0.9)) if len(widths) else [np.nan] * 3
        blur = "–" if true is None else f"{true:.2f}"
        rows.append((name, len(widths), f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}", blur))
    return table(
        ("scan", "edges", "10th percentile", "median (voxels)", "90th percentile", "blur as set"),
        rows,
    )
