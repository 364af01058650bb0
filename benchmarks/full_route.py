"""The full route of a scan: attenuation to projections and back, against the truth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.common import Result, table
from tomolith.core import Box
from tomolith.phantom import Phantom, PhantomSettings
from tomolith.phantom.attenuation import ENERGY_KEV, linear_attenuation
from tomolith.phantom.noise import make_key
from tomolith.phantom.phantom import attenuations
from tomolith.phantom.projections import (
    ProjectionSettings,
    n_detector_columns,
    simulate_projections,
)
from tomolith.prepare.raw_projections import ProjectionSource
from tomolith.prepare.reconstruct import ReconstructSettings, reconstruct_scan

CELL_SCAN, CELL_PULSE = "cell0-t12", 12
FIELD_UM = 2754.0  # 2071 voxels of 1.33 µm
EDGE_VOXELS = 2  # nearer to an interface, a mean would be that of the blur

SCANS: Mapping[str, ProjectionSettings] = {
    "ideal: no noise, no blur": ProjectionSettings(
        noise=False, gain_error=0, detector_blur_px=0, photons=5e4
    ),
    "photon noise": ProjectionSettings(gain_error=0, detector_blur_px=0),
    "the defaults: noise, blur, gain errors": ProjectionSettings(),
}


@dataclass(frozen=True)
class Case:
    """An object whose attenuation is known: ``attenuation(z0, z1)`` gives slices in 1/cm."""

    attenuation: Callable[[int, int], np.ndarray]
    materials: Mapping[str, float]
    shape_zyx: tuple[int, int, int]
    voxel_size_um: float


@dataclass(frozen=True)
class Made:
    """A reconstruction, and the seconds that its two halves took."""

    values: np.ndarray
    simulate_s: float
    reconstruct_s: float


def rods_and_spheres(n: int) -> Case:
    """Return a polymer cylinder in air that holds Li rods and Li spheres."""
    mu = linear_attenuation()
    materials = {name: mu[name] for name in ("air", "polymer", "lithium")}

    def attenuation(z0: int, z1: int) -> np.ndarray:
        # in units of half the field; lengths are the same at any number of voxels
        z, y, x = (np.mgrid[z0:z1, :n, :n] - (n - 1) / 2) / (n / 2)
        slices = np.where(np.hypot(x, y) < 0.85, mu["polymer"], mu["air"])
        for at_y, at_x, radius in ((0.35, -0.3, 0.18), (-0.4, 0.25, 0.12), (-0.1, -0.55, 0.08)):
            slices[np.hypot(x - at_x, y - at_y) < radius] = mu["lithium"]
        for at_z, at_y, at_x, radius in ((0.3, 0.2, 0.35, 0.25), (-0.5, -0.3, -0.2, 0.2)):
            square = (x - at_x) ** 2 + (y - at_y) ** 2 + (z - at_z) ** 2
            slices[square < radius**2] = mu["lithium"]
        return slices.astype(np.float32)

    return Case(attenuation, materials, (n, n, n), FIELD_UM / n)


def operando_cell(preset: str) -> Case:
    """Return the phantom's cell after charge, of the preset's size."""
    settings = PhantomSettings(preset=preset, scans=(CELL_PULSE,))
    phantom, mu = Phantom.build(settings, CELL_SCAN), attenuations(settings)
    _, n_y, n_x = settings.shape_zyx

    def attenuation(z0: int, z1: int) -> np.ndarray:
        return phantom.attenuation(Box((z0, 0, 0), (z1, n_y, n_x)))

    materials = {
        "polymer": mu["background"],
        "lithium": mu["electrode"],
        "deposited lithium": mu["deposited"],
        "pits, empty": mu["pit"],
    }
    return Case(attenuation, materials, settings.shape_zyx, settings.voxel_size_um)


def make(case: Case, settings: ProjectionSettings, folder: Path) -> Made:
    """Simulate the projections of a case and reconstruct them."""
    path = folder / "scan.h5"
    start = time.perf_counter()
    key = make_key(1, "full_route")
    simulate_projections(
        case.attenuation, case.shape_zyx, case.voxel_size_um, path, settings, key=key
    )
    middle = time.perf_counter()
    centre = (n_detector_columns(case.shape_zyx) - 1) / 2
    source = ProjectionSource(id="scan", path=str(path), centre=centre)
    wanted = ReconstructSettings(scans=(source,), crop_yx=case.shape_zyx[1:])
    scan = reconstruct_scan(source, folder / "scan.zarr", settings=wanted)
    end = time.perf_counter()
    return Made(scan.image.array[:], middle - start, end - middle)


def compare(case: Case, made: Made) -> tuple[list[list[str]], str]:
    """Return a row per material (truth, mean, bias, deviation, voxels), and the error over all."""
    n_z, n_y, n_x = case.shape_zyx
    truth = case.attenuation(0, n_z)
    y, x = np.mgrid[:n_y, :n_x]
    circle = np.hypot(y - (n_y - 1) / 2, x - (n_x - 1) / 2) < min(n_y, n_x) / 2 - 1
    inside = np.broadcast_to(circle, truth.shape)
    rows = []
    for name, value in case.materials.items():
        where = np.isclose(truth, value, rtol=1e-5, atol=1e-7)
        core = ndimage.binary_erosion(where, iterations=EDGE_VOXELS, border_value=1) & inside
        if not core.any():  # a thin layer has no voxel away from its faces
            continue
        found = made.values[core].astype(np.float64)
        numbers = (f"{found.mean():.4f}", f"{found.mean() - value:+.4f}", f"{found.std():.4f}")
        rows.append([name, f"{value:.4f}", *numbers, f"{found.size:,}"])
    difference = (made.values - truth)[inside].astype(np.float64)
    rmse = np.sqrt(np.mean(difference**2))
    return rows, f"RMSE {rmse:.4f} 1/cm, bias {difference.mean():+.4f} 1/cm"


def run(*, quick: bool) -> Result:
    """Take every scan of both objects there and back, and return the page."""
    cases = {
        "rods": rods_and_spheres(64 if quick else 256),
        "cell": operando_cell("tiny" if quick else "operando-256"),
    }
    rows, times, notes = [], [], []
    for title, case in cases.items():
        for name, settings in SCANS.items():
            with tempfile.TemporaryDirectory() as folder:
                made = make(case, settings, Path(folder))
            found, overall = compare(case, made)
            rows += [[title, name, *row] for row in found]
            notes.append(f"{title}, {name}, whole circle, interfaces included: {overall}.")
            times.append([title, name, f"{made.simulate_s:.1f} s", f"{made.reconstruct_s:.1f} s"])
    notes.append(
        "The voxels of the cell are smaller and its rays shorter, so the same number of photons "
        "leaves more noise in 1/cm; a material has a row if some of its voxels lie away from its "
        "faces."
    )
    header = ("object", "scan", "material", "truth (1/cm)", "mean", "bias", "deviation", "voxels")
    objects = "; ".join(f"'{title}': {_in_words(title, case)}" for title, case in cases.items())
    return Result(
        "Full route: attenuation to projections and back",
        f"Simulated, with the attenuation at {ENERGY_KEV:g} keV from NIST tables: {objects}. "
        "Projections over 180 degrees, flat and dark fields, DXchange HDF5; then the step "
        "`reconstruct` (engine numpy, Hann filter, no ring removal, axis given). Means and "
        f"deviations are of voxels more than {EDGE_VOXELS} voxels from any interface.",
        [table(header, rows), table(("object", "scan", "projections", "reconstruction"), times)],
        notes,
    )


def _in_words(title: str, case: Case) -> str:
    what = {
        "rods": "a polymer cylinder in air with Li rods and spheres",
        "cell": f"the phantom's cell after {CELL_PULSE} pulses of charge, with nothing around it",
    }
    shape = " × ".join(str(n) for n in case.shape_zyx)
    n_angles = len(ProjectionSettings().angles_deg(case.shape_zyx))
    return f"{what[title]}, {shape} voxels of {case.voxel_size_um:.3g} µm, {n_angles} projections"
