"""The full route of a scan: attenuation to projections and back, against the truth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.transform import iradon

from benchmarks.common import Result, table
from tomolith.config import settings_hash
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
from tomolith.prepare.back_projection import BackProjector
from tomolith.prepare.corrections import Rings
from tomolith.prepare.raw_projections import ProjectionSource, open_projections
from tomolith.prepare.reconstruct import ReconstructSettings, reconstruct_scan

CELL_SCAN, CELL_PULSE = "cell0-t12", 12
FIELD_UM = 2754.0  # 2071 voxels of 1.33 µm
EDGE_VOXELS = 2  # nearer to an interface, a mean would be that of the blur

MEAN_LIMIT = 0.01  # 1/cm: how far the mean of a material may be from the truth, with the defaults
IDEAL_LIMIT = 0.06  # 1/cm: RMSE of the ideal scan inside the circle, interfaces included
FEWEST_VOXELS = 1000  # for a mean to be held against the limit
RINGS: Rings = "sorting"
N_SLICES, N_ODD = 4, 257  # compared with iradon, whose axis is the column at half the width
TIMES = 3  # the same slice back-projected with several threads

SCANS: Mapping[str, tuple[ProjectionSettings, Rings | None]] = {
    "ideal: no noise, no blur": (
        ProjectionSettings(noise=False, gain_error=0, detector_blur_px=0, photons=5e4),
        None,
    ),
    "the defaults: noise, blur, gain errors": (ProjectionSettings(), None),
    f"the defaults, rings removed ('{RINGS}')": (ProjectionSettings(), RINGS),
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
    """A reconstruction, and the CPU seconds that its two halves took."""

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


def make(case: Case, settings: ProjectionSettings, rings: Rings | None, folder: Path) -> Made:
    """Simulate the projections of a case, unless they are there, and reconstruct them."""
    path = folder / f"{settings_hash(settings)}.h5"
    start = time.process_time()
    if not path.exists():
        key = make_key(1, "full_route")
        simulate_projections(
            case.attenuation, case.shape_zyx, case.voxel_size_um, path, settings, key=key
        )
    middle = time.process_time()
    centre = (n_detector_columns(case.shape_zyx) - 1) / 2
    source = ProjectionSource(id="scan", path=str(path), centre=centre)
    wanted = ReconstructSettings(scans=(source,), crop_yx=case.shape_zyx[1:], rings=rings)
    scan = reconstruct_scan(source, folder / "scan.zarr", settings=wanted)
    end = time.process_time()
    return Made(scan.image.array[:], middle - start, end - middle)


@dataclass(frozen=True)
class Compared:
    """A row per material (truth, mean, bias, deviation, voxels), and errors in 1/cm."""

    rows: list[list[str]]
    rmse: float
    bias: float
    worst_mean: float


def compare(case: Case, made: Made) -> Compared:
    """Compare a reconstruction with the true attenuation."""
    n_z, n_y, n_x = case.shape_zyx
    truth = case.attenuation(0, n_z)
    inside = np.broadcast_to(_circle(n_y, n_x), truth.shape)
    rows, biases = [], []
    for name, value in case.materials.items():
        where = np.isclose(truth, value, rtol=1e-5, atol=1e-7)
        core = ndimage.binary_erosion(where, iterations=EDGE_VOXELS, border_value=1) & inside
        if not core.any():  # a thin layer has no voxel away from its faces
            continue
        found = made.values[core].astype(np.float64)
        numbers = (f"{found.mean():.4f}", f"{found.mean() - value:+.4f}", f"{found.std():.4f}")
        rows.append([name, f"{value:.4f}", *numbers, f"{found.size:,}"])
        if found.size >= FEWEST_VOXELS:
            biases.append(abs(float(found.mean()) - value))
    difference = (made.values - truth)[inside].astype(np.float64)
    return Compared(rows, _rms(difference), float(difference.mean()), max(biases))


def beside_iradon(n: int) -> list[list[str]]:
    """Return a row per filter and per library: error of a few slices, seconds for each slice."""
    whole = rods_and_spheres(n)
    first = (n - N_SLICES) // 2
    truth = whole.attenuation(first, first + N_SLICES)
    raw = _sinograms(truth, whole.voxel_size_um)
    middle, degrees = (raw.n_columns - 1) / 2, np.degrees(raw.theta_rad)
    first = (raw.n_columns - n) // 2
    rows = []
    for window in ("ramp", "hann"):
        ours = BackProjector(raw.theta_rad, raw.n_columns, middle, (n, n), window, "zeros")
        libraries = {
            "algotom": ours.slices,
            "scikit-image": lambda sinograms, window=window: np.stack(
                [iradon(s.T, theta=degrees, filter_name=window) for s in sinograms]
            )[:, first : first + n, first : first + n],
        }
        ours.slices(raw.sinograms[:1])  # compiled
        found = {}
        for name, slices in libraries.items():
            start = time.process_time()
            found[name] = slices(raw.sinograms) / (whole.voxel_size_um * 1e-4)
            seconds = (time.process_time() - start) / N_SLICES
            error = _rms((found[name] - truth)[:, _circle(n, n)])
            rows.append([name, window, f"{error:.4f}", f"{seconds:.3f}"])
        apart = _rms((found["algotom"] - found["scikit-image"])[:, _circle(n, n)])
        rows.append(["the two apart", window, f"{apart:.4f}", ""])
    return rows


def threads(n: int) -> list[list[str]]:
    """Return a row per number of threads: what algotom's own back-projection makes of a slice."""
    import numba
    from algotom.rec.reconstruction import fbp_reconstruction

    whole = rods_and_spheres(n)
    raw = _sinograms(whole.attenuation(n // 2, n // 2 + 1), whole.voxel_size_um)
    rows, expected = [], None
    for n_threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(n_threads)
        found, start = [], time.process_time()
        for _ in range(TIMES):
            made = fbp_reconstruction(
                raw.sinograms[0],
                (raw.n_columns - 1) / 2,
                angles=raw.theta_rad,
                ratio=None,
                apply_log=False,
                gpu=False,
            )
            found.append(made / (whole.voxel_size_um * 1e-4))
        seconds = (time.process_time() - start) / TIMES
        expected = found[0] if expected is None else expected
        apart = max(float(np.abs(one - expected).max()) for one in found)
        changed = max(float(np.mean(one != expected)) for one in found)
        numbers = (f"{apart:.4f}", f"{changed:.0%}", f"{seconds:.3f}")
        rows.append([str(n_threads), str(len({one.tobytes() for one in found})), *numbers])
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    return rows


@dataclass(frozen=True)
class Sinograms:
    """Line integrals (row, angle, column) without noise or blur, and their angles."""

    sinograms: np.ndarray
    theta_rad: np.ndarray

    @property
    def n_columns(self) -> int:
        """Width of the detector."""
        return self.sinograms.shape[2]


def _sinograms(truth: np.ndarray, voxel_size_um: float) -> Sinograms:
    settings, _ = SCANS["ideal: no noise, no blur"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slices.h5"
        simulate_projections(
            lambda z0, z1: truth[z0:z1], truth.shape, voxel_size_um, path, settings, key=1
        )
        with open_projections(ProjectionSource(id="slices", path=str(path))) as raw:
            return Sinograms(raw.read(0, raw.n_rows), raw.theta_rad)


def _circle(n_y: int, n_x: int) -> np.ndarray:
    y, x = np.mgrid[:n_y, :n_x]
    return np.hypot(y - (n_y - 1) / 2, x - (n_x - 1) / 2) < min(n_y, n_x) / 2 - 1


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values.astype(np.float64) ** 2)))


@dataclass(frozen=True)
class Report:
    """Rows of the tables of both objects, and notes."""

    limits: list[list[str]]
    materials: list[list[str]]
    seconds: list[list[str]]
    notes: list[str]


def there_and_back(cases: Mapping[str, Case]) -> Report:
    """Take every scan of every object to projections and back."""
    report = Report([], [], [], [])
    for title, case in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            for name, (settings, rings) in SCANS.items():
                made = make(case, settings, rings, Path(folder))
                found = compare(case, made)
                report.limits.extend(_limit(title, name, found))
                report.materials.extend([title, name, *row] for row in found.rows)
                seconds = (f"{made.simulate_s:.1f} s", f"{made.reconstruct_s:.1f} s")
                report.seconds.append([title, name, *seconds])
                report.notes.append(
                    f"{title}, {name}, whole circle, interfaces included: RMSE {found.rmse:.4f} "
                    f"1/cm, bias {found.bias:+.4f} 1/cm."
                )
    return report


def run(*, quick: bool) -> Result:
    """Take both objects there and back, compare libraries and threads, and return the page."""
    cases = {
        "rods": rods_and_spheres(64 if quick else 256),
        "cell": operando_cell("tiny" if quick else "operando-256"),
    }
    n_odd = N_ODD // 4 | 1 if quick else N_ODD
    found = there_and_back(cases)
    header = ("object", "scan", "material", "truth (1/cm)", "mean", "bias", "deviation", "voxels")
    runs = f"different results of {TIMES} runs"
    of_threads = (
        "threads",
        runs,
        "largest change (1/cm)",
        "voxels changed",
        "CPU seconds per slice",
    )
    tables = [
        table(("object", "scan", "stated", "found", ""), found.limits),
        table(header, found.materials),
        table(("object", "scan", "projections", "reconstruction"), found.seconds),
        table(("library", "filter", "RMSE (1/cm)", "CPU seconds per slice"), beside_iradon(n_odd)),
        table(of_threads, threads(n_odd)),
    ]
    objects = "; ".join(f"'{title}': {_in_words(title, case)}" for title, case in cases.items())
    what = (
        f"Simulated, with the attenuation at {ENERGY_KEV:g} keV from NIST tables: {objects}. "
        "Projections over 180 degrees, flat and dark fields, DXchange HDF5; then the step "
        "`reconstruct` (algotom, Hann filter, axis given). Means and deviations are of voxels "
        f"more than {EDGE_VOXELS} voxels from any interface; times are CPU seconds."
    )
    notes = [
        *found.notes,
        "The voxels of the cell are smaller and its rays shorter, so the same number of photons "
        "leaves more noise in 1/cm; a material has a row if some of its voxels lie away from its "
        "faces. Scans with the same projections share one file.",
        f"Libraries: {N_SLICES} slices of 'rods' at {n_odd}², ideal, inside the circle.",
        "Threads: one slice of it, back-projected by algotom alone, each run beside the first with "
        "one thread; `reconstruct` keeps algotom to one thread.",
    ]
    return Result("Full route: attenuation to projections and back", what, tables, notes)


def _limit(title: str, name: str, found: Compared) -> list[list[str]]:
    """Return a row that holds the errors of a scan against what is stated; none for others."""
    stated = {
        "ideal: no noise, no blur": ("RMSE", found.rmse, IDEAL_LIMIT),
        "the defaults: noise, blur, gain errors": ("means within", found.worst_mean, MEAN_LIMIT),
    }
    if name not in stated:
        return []
    what, value, limit = stated[name]
    verdict = "held" if value <= limit else "missed"
    return [[title, name, f"{what} {limit:g} 1/cm", f"{value:.4f}", verdict]]


def _in_words(title: str, case: Case) -> str:
    what = {
        "rods": "a polymer cylinder in air with Li rods and spheres",
        "cell": f"the phantom's cell after {CELL_PULSE} pulses of charge, with nothing around it",
    }
    shape = " × ".join(str(n) for n in case.shape_zyx)
    n_angles = len(ProjectionSettings().angles_deg(case.shape_zyx))
    return f"{what[title]}, {shape} voxels of {case.voxel_size_um:.3g} µm, {n_angles} projections"
