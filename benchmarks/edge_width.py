"""How wide edges are in real scans, and in the presets of the phantom."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tifffile
from scipy import ndimage
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import erf

from benchmarks.common import Result, table
from tomolith.errors import InputError
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
        "pores, nano-tomography of 22 nm": (
            "nanoxct-pore-segmentation",
            ("images_00-11.tif",),
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
_PLAIN = "preset `operando-256`"
_NO_FRINGES = "`operando-256`, no fringes"
SIMULATED: Mapping[str, PhantomSettings] = MappingProxyType(
    {
        "preset `demo`": PhantomSettings(shape_zyx=(8, 152, 320), scans=(12,), n_pits=3),
        _PLAIN: PhantomSettings(**_FINE),
        _NO_FRINGES: PhantomSettings(**_FINE, fringes=0.0),
        "`operando-256`, blur 3.5 µm": PhantomSettings(**_FINE, blur_um=3.5),
    }
)
TILE_PX = 32  # no more than one edge in each, so that no single object is all that is measured
HALF_PX = 8  # how far a profile reaches on either side
_POSITIONS = np.linspace(-HALF_PX, HALF_PX, 4 * HALF_PX + 1)
ALONG_PX = 4  # and how far along the edge it is averaged on either side
_TRIES = 5  # places in a tile, where grey changes most
_WORST = 0.06  # rms of what the fit leaves, as a share of the step
_NEAR_PX = 1.5  # an edge lies where it was sought
WIDTHS_PX = (0.3, 6.0)


def run(*, quick: bool) -> Result:
    """Measure all sets, and return the page."""
    found = {name: (edge_widths(images), None) for name, images in _real(quick=quick)}
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in SIMULATED.items():
            true = settings.blur_um / settings.voxel_size_um
            found[name] = (edge_widths(_slices(settings, Path(folder) / "scan.zarr")), true)
    low, high = WIDTHS_PX
    return Result(
        "How wide edges are",
        "A Gaussian point spread turns the edge between two materials into an error function; its "
        "standard deviation is the width here. In every tile of "
        f"{TILE_PX} × {TILE_PX} pixels at most one edge is measured, by a profile of {HALF_PX} "
        f"pixels to either side, averaged over {2 * ALONG_PX + 1} pixels along the edge, where "
        "grey changes most. Kept are those that an error function fits: what it leaves is below "
        f"{_WORST:.0%} of the step (rms), the middle is found within {_NEAR_PX:g} pixels, the "
        f"width lies between {low:g} and {high:g}.",
        [_table(found)],
        [
            "Real edges are curved, rough or oblique to the slice, fits choose the clear ones, and "
            "reading between pixels blurs by about 0.4 of one: the width is that of the whole "
            "chain of scanner, reconstruction and what was done to the image since.",
            _ruler(found),
            "The sets do not state what their scanners resolve, nor most of them their voxel size. "
            "What they show is how many voxels people spend on an edge; ADR 0007 says what follows "
            "for the presets.",
        ],
    )


def edge_widths(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return the widths (standard deviations) of the clear edges in some slices, in pixels.

    Examples
    --------
    >>> x = np.arange(96) - 47.5
    >>> slice_ = np.tile(_edge(x, 0.0, 1.0, 0.0, 2.0), (96, 1))
    >>> edge_widths([slice_]).round(1)
    array([2., 2., 2.])
    """
    return np.array([width for image in images for width in _widths_of(image)])


def _widths_of(image: np.ndarray) -> Iterator[float]:
    image = image.astype(np.float32)
    # the gradient of a slightly smoothed slice says where an edge lies, not how wide it is
    slope = np.stack(np.gradient(ndimage.gaussian_filter(image, 1.0)))
    steep = np.hypot(*slope)
    margin = HALF_PX + ALONG_PX
    steep[:margin], steep[-margin:], steep[:, :margin], steep[:, -margin:] = 0, 0, 0, 0
    for y in range(0, image.shape[0], TILE_PX):
        for x in range(0, image.shape[1], TILE_PX):
            tile = steep[y : y + TILE_PX, x : x + TILE_PX]
            order = np.argsort(tile, axis=None)[::-1][:_TRIES]
            for place in np.transpose(np.unravel_index(order, tile.shape)) + np.array((y, x)):
                if not steep[*place]:
                    continue
                width = _fitted(_profile(image, place, slope[:, *place] / steep[*place]))
                if width is not None:
                    yield width
                    break


def _profile(image: np.ndarray, place: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return grey from one side of an edge to the other, averaged along it."""
    along = np.array([-across[1], across[0]])
    steps = _POSITIONS[:, None, None] * across
    aside = np.arange(-ALONG_PX, ALONG_PX + 1)[None, :, None] * along
    points = place + steps + aside
    return ndimage.map_coordinates(image, np.moveaxis(points, -1, 0), order=1).mean(axis=1)


def _edge(x: np.ndarray, low: float, step: float, middle: float, width: float) -> np.ndarray:
    return low + step * (1 + erf((x - middle) / (np.sqrt(2) * width))) / 2


def _fitted(profile: np.ndarray) -> float | None:
    """Return the width of an edge, or ``None`` if this is no clear one."""
    guess = (profile[0], profile[-1] - profile[0], 0.0, 1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # a perfect step has no covariance
        try:
            (low, step, middle, width), _ = curve_fit(_edge, _POSITIONS, profile, guess, maxfev=400)
        except RuntimeError:
            return None
    left = np.std(profile - _edge(_POSITIONS, low, step, middle, width))
    clear = abs(middle) <= _NEAR_PX and left <= _WORST * abs(step)
    return abs(width) if clear and WIDTHS_PX[0] < abs(width) < WIDTHS_PX[1] else None


def _real(*, quick: bool) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    data = Path(os.environ.get("TOMOLITH_DATA") or Path(__file__).parents[2] / "shared/data")
    for name, (folder, files) in list(REAL.items())[: 2 if quick else None]:
        paths = [data / folder / file for file in files]
        for path in paths:
            if not path.is_file():
                raise InputError(
                    f"no file {path.name}",
                    expected="the real scans that are measured",
                    where=str(path.parent),
                    mend="set TOMOLITH_DATA to their folder",
                )
        yield name, (_single(tifffile.imread(path)) for path in paths)


def _single(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else image[len(image) // 2]


def _slices(settings: PhantomSettings, path: Path) -> Iterator[np.ndarray]:
    scan = make_phantom(settings, path, scan_id=settings.scan_ids[0])
    yield from np.asarray(scan.image.read(scan.grid.box))


def _ruler(found: Mapping[str, tuple[np.ndarray, float | None]]) -> str:
    shares = [f"{np.median(found[n][0]) / (found[n][1] or 1):.2f}" for n in (_NO_FRINGES, _PLAIN)]
    return (
        f"How good this ruler is: of the phantom's blur it finds {shares[0]} where there are no "
        f"fringes, and {shares[1]} with them, for they make edges steeper."
    )


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
