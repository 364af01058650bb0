from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest
import tifffile

from tomolith.config import parse_settings
from tomolith.errors import (
    InputError,
    MemoryBudgetError,
    MismatchError,
    MissingExtraError,
    ReadError,
    RecipeError,
    TomolithError,
)
from tomolith.phantom.projections import (
    ProjectionSettings,
    n_detector_columns,
    simulate_projections,
)
from tomolith.prepare import reconstruct as module
from tomolith.prepare.angles import angle_weights
from tomolith.prepare.back_projection import BackProjector
from tomolith.prepare.raw_projections import ProjectionSource, RawProjections
from tomolith.prepare.reconstruct import ReconstructSettings, reconstruct_scan
from tomolith.store.integrity import verify_scan
from tomolith.store.scan import Scan

SHAPE = (5, 40, 48)
VOXEL_UM = 20.0
CENTRE = (n_detector_columns(SHAPE) - 1) / 2


def truth():
    """Two rods and a plate in air: no symmetry, so that a flip shows; 1/cm."""
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]].astype(float)
    slices = np.zeros(SHAPE, np.float32)
    slices[:, np.hypot(y - 12, x - 30) < 7] = 4.0
    slices[:, np.hypot(y - 28, x - 15) < 5] = 8.0
    slices[2:, (abs(y - 26) < 4) & (abs(x - 34) < 6)] = 2.0
    return slices


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Projections without noise."""
    return take(tmp_path_factory.mktemp("raw") / "clean.h5")


def take(path, **values):
    slices = truth()
    quiet = {"noise": False, "gain_error": 0, "detector_blur_px": 0, "photons": 5e4, "n_flat": 2}
    simulate_projections(
        lambda z0, z1: slices[z0:z1],
        SHAPE,
        VOXEL_UM,
        path,
        ProjectionSettings(**{**quiet, **values}),
        key=1,
    )
    return path


def entry(path, **values):
    given = {"id": "a", "path": str(path), "centre": CENTRE, **values}
    return parse_settings(ProjectionSource, given, where="recipe")


def reconstruct(source, folder, *, key="", **values):
    given = {"crop_yx": SHAPE[1:], "filter": "ramp", **values}
    settings = ReconstructSettings(scans=(source,), **given)
    return reconstruct_scan(source, folder / "a.zarr", settings=settings, key=key)


def copy_of(path, tmp_path, change):
    """Copy a file of projections and change it."""
    copy = tmp_path / "changed.h5"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        change(file)
    return copy


def test_attenuation_comes_back_in_one_per_cm(clean, tmp_path):
    scan = reconstruct(entry(clean), tmp_path)
    found, expected = scan.image.array[:], truth()
    assert found.dtype == np.float32
    assert scan.grid.voxel_size_um == (VOXEL_UM,) * 3
    for z, y, x, value in ((0, 12, 30, 4.0), (1, 28, 15, 8.0), (4, 26, 34, 2.0), (0, 26, 34, 0.0)):
        middle = found[z, y - 1 : y + 2, x - 1 : x + 2]
        assert middle.mean() == pytest.approx(value, abs=0.1)
    error = np.sqrt(np.mean((found - expected) ** 2))
    assert error < 0.6
    for flipped in (expected[:, ::-1], expected[:, :, ::-1], expected[:, ::-1, ::-1]):
        assert np.sqrt(np.mean((found - flipped) ** 2)) > 2.5 * error


def test_the_scan_is_complete_and_says_where_it_comes_from(clean, tmp_path):
    scan = reconstruct(entry(clean), tmp_path, key="00ff")
    scan = Scan.open(scan.path)
    assert verify_scan(scan.path) == []
    assert scan.provenance.step == "reconstruct"
    assert scan.provenance.settings_hash == "00ff"
    name, axis, unit, simulated = scan.provenance.inputs
    assert (name, axis) == ("clean.h5", f"axis at column {CENTRE:g}")
    assert unit == "attenuation in 1/cm"
    assert "simulated" in simulated
    assert scan.stats[0].percentile(99.9) > 7
    assert not (scan.path / ".reconstruct").exists()


def test_agrees_with_scikit_image():
    from skimage.transform import iradon

    rng = np.random.default_rng(0)
    angles = np.arange(30) * 6.0
    sinogram = np.zeros((30, 41), np.float32)
    sinogram[:, 10:30] = rng.random((30, 20))
    ours = BackProjector(np.radians(angles), 41, 20.0, (41, 41), "ramp", "zeros")
    found = ours.slices(sinogram[None])[0]
    expected = iradon(sinogram.T, theta=angles, filter_name="ramp", circle=True)
    inside = ours.inside
    assert np.abs(found - expected)[inside].max() < 1e-4 * np.abs(expected).max()
    assert not found[~inside].any()


def test_smoothing_filters_lower_the_noise(tmp_path):
    path = take(tmp_path / "a.h5", noise=True, photons=500)
    deviation = {
        name: np.std(reconstruct(entry(path), tmp_path, filter=name).image.array[0, 24:30, 20:26])
        for name in ("ramp", "hamming", "hann", "blackman")
    }
    assert deviation["blackman"] < deviation["hann"] < deviation["hamming"] < deviation["ramp"]


def test_another_axis_is_followed(clean, tmp_path):
    def shift(file):
        data = np.roll(file["exchange/data"][:], 3, axis=2)
        file["exchange/data"][:] = data

    centred = reconstruct(entry(clean), tmp_path).image.array[:]
    moved = entry(copy_of(clean, tmp_path, shift), centre=CENTRE + 3)
    found = reconstruct(moved, tmp_path).image.array[:]
    both = (found != 0) & (centred != 0)
    assert np.abs(found - centred)[both].max() < 1e-4
    wrong = entry(moved.path, centre=CENTRE)
    assert np.abs(reconstruct(wrong, tmp_path).image.array[:] - centred).max() > 1


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_rows_at_once_change_nothing(clean, tmp_path, monkeypatch, n_rows):
    whole = reconstruct(entry(clean), tmp_path).image.array[:]
    monkeypatch.setattr(module, "_rows_at_once", lambda *_: n_rows)
    found = reconstruct(entry(clean), tmp_path).image.array[:]
    assert np.array_equal(found, whole)


def test_the_budget_decides_how_many_rows_go_at_once(clean, tmp_path):
    raw = RawProjections(np.zeros(1500), 4000, 2100, (1.3, 1.3), "", None)
    asked = []
    for memory in ("1GiB", "2GiB", "8GiB"):
        settings = ReconstructSettings(scans=(entry(clean),), crop_yx=(340, 2071), memory=memory)
        grid = module.planned_grid(raw, settings, where="a")
        asked.append(module._rows_at_once(raw, grid, settings))
    assert 1 <= asked[0] < asked[1] <= asked[2] == 32
    with pytest.raises(MemoryBudgetError, match=r"at least [0-9.]+ .iB for one detector row"):
        reconstruct(entry(clean), tmp_path, memory="1kB")


_MEASURE_MEMORY = """
import sys
from pathlib import Path
from tomolith.prepare.reconstruct import ProjectionSource, ReconstructSettings, reconstruct_scan

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def run(name):
    source = ProjectionSource(id="a", path=name, centre=159.5, pixel_size_um=1)
    settings = ReconstructSettings(scans=(source,), memory="110MB")
    reconstruct_scan(source, Path(name).with_suffix(".zarr"), settings=settings)

run(sys.argv[1])  # what libraries take
before = peak_bytes()
run(sys.argv[2])
print(peak_bytes() - before)
"""


def test_the_projected_memory_holds(tmp_path):
    n_angles, n_columns = 300, 320
    for name, n_rows in (("warm", 1), ("whole", 32)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            data = np.random.default_rng(0).integers(200, 60000, (n_angles, n_rows, n_columns))
            file["exchange/data"] = data.astype(np.uint16)
            file["exchange/data_white"] = np.full((1, n_rows, n_columns), 60000, np.uint16)
            file["exchange/data_dark"] = np.full((1, n_rows, n_columns), 100, np.uint16)
            file["exchange/theta"] = np.arange(n_angles) * 0.6
    source = entry(tmp_path / "whole.h5", centre=159.5, pixel_size_um=1)
    settings = ReconstructSettings(scans=(source,), memory="110MB")
    with module.open_projections(source) as raw:
        grid = module.planned_grid(raw, settings, where="a")
        assert module._rows_at_once(raw, grid, settings) == 16
        fewer = settings.model_copy(update={"memory": "50MB"})
        assert module._rows_at_once(raw, grid, fewer) < 16
    files = [str(tmp_path / f"{name}.h5") for name in ("warm", "whole")]
    command = [sys.executable, "-c", _MEASURE_MEMORY, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert 10e6 < int(done.stdout.split()[-1]) < 110e6


def test_uneven_and_doubled_angles_keep_the_scale():
    steps = np.r_[0:60:1.0, 60:180:3.0]
    for degrees in (np.arange(0, 180, 2.0), np.linspace(0, 180, 91), steps, steps[::-1]):
        weights = angle_weights(np.radians(degrees))
        assert weights.sum() == pytest.approx(np.pi)
        assert weights.min() > 0
    ends = angle_weights(np.radians(np.linspace(0, 180, 91)))[[0, -1]]
    assert np.degrees(ends) == pytest.approx([1, 1])  # both show one direction


def test_an_interrupted_run_goes_on(clean, tmp_path, monkeypatch):
    whole = reconstruct(entry(clean), tmp_path).image.array[:]
    monkeypatch.setattr(module, "_rows_at_once", lambda *_: 2)
    slices = module._Work.slices
    done = []

    def interrupted(work, first, last):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(first)
        return slices(work, first, last)

    monkeypatch.setattr(module._Work, "slices", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(entry(clean), tmp_path, key="k")
    with pytest.raises(TomolithError, match="not finished"):
        Scan.open(tmp_path / "a.zarr")
    monkeypatch.setattr(module._Work, "slices", lambda *a: (done.append(a[1]), slices(*a))[1])
    scan = reconstruct(entry(clean), tmp_path, key="k")
    assert done == [0, 2, 4]
    assert np.array_equal(scan.image.array[:], whole)
    assert verify_scan(scan.path) == []


def test_radians_are_told_by_attribute_or_range(clean, tmp_path):
    expected = reconstruct(entry(clean), tmp_path).image.array[:]

    def radians(unit):
        def change(file):
            theta = file["exchange/theta"]
            theta[:] = np.radians(theta[:])
            del theta.attrs["units"]
            if unit:
                theta.attrs["units"] = unit

        return copy_of(clean, tmp_path, change)

    for unit in ("rad", "radians", None):
        found = reconstruct(entry(radians(unit)), tmp_path).image.array[:]
        assert np.abs(found - expected).max() < 1e-4
    path = radians("degrees")
    with pytest.raises(MismatchError, match=r"in degrees[\s\S]*theta_unit: radians"):
        reconstruct(entry(path), tmp_path)
    found = reconstruct(entry(path, theta_unit="radians"), tmp_path).image.array[:]
    assert np.abs(found - expected).max() < 1e-4


def keep(n):
    def change(file):
        for name in ("data", "theta"):
            values, units = file[f"exchange/{name}"][:n], file[f"exchange/{name}"].attrs["units"]
            del file[f"exchange/{name}"]
            file[f"exchange/{name}"] = values
            file[f"exchange/{name}"].attrs["units"] = units

    return change


def narrower(file):
    white = file["exchange/data_white"][:, :, 1:]
    del file["exchange/data_white"]
    file["exchange/data_white"] = white


def removed(name):
    return lambda file: file.__delitem__(name)


def filled(name, value):
    return lambda file: file[name].__setitem__(slice(None), value)


def with_nan(file):
    data = file["exchange/data"][:].astype(np.float32)
    data[3, 2, 1] = np.nan
    del file["exchange/data"]
    file["exchange/data"] = data


def one_angle_less(file):
    theta = file["exchange/theta"][:-1]
    del file["exchange/theta"]
    file["exchange/theta"] = theta


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (removed("exchange/data_white"), ReadError, "no flat fields.*data_white"),
        (removed("exchange/data_dark"), ReadError, "no dark fields.*data_dark"),
        (removed("exchange/data"), ReadError, r"no dataset 'exchange/data'[\s\S]*it holds: data_d"),
        (removed("exchange"), ReadError, "no group 'exchange'"),
        (removed("exchange/theta"), ReadError, r"theta_deg: \[0, 180\]"),
        (narrower, MismatchError, "data_white' have"),
        (one_angle_less, MismatchError, "75 angles and 76 projections"),
        (keep(50), InputError, r"cover 116 degrees[\s\S]*180 degrees"),
        (removed("measurement"), InputError, "pixel_size_um: 1.33"),
        (filled("exchange/data_white", 7), InputError, "not brighter than the dark"),
        (with_nan, InputError, "1 NaN or Inf, the first in row 2"),
    ],
)
def test_unusable_files_are_refused_by_name(clean, tmp_path, change, error, message):
    path = copy_of(clean, tmp_path, change)
    with pytest.raises(error, match=message) as caught:
        reconstruct(entry(path), tmp_path)
    assert caught.value.where == str(path)
    assert caught.value.expected or caught.value.mend


def test_a_gap_in_the_angles_is_refused(clean, tmp_path):
    def change(file):
        theta = file["exchange/theta"]
        theta[20:40] = theta[20]

    with pytest.raises(InputError, match="leave a gap of"):
        reconstruct(entry(copy_of(clean, tmp_path, change)), tmp_path)


def test_a_full_turn_is_refused(clean, tmp_path):
    path = copy_of(clean, tmp_path, lambda file: None)
    with pytest.raises(InputError, match=r"cover 360 degrees[\s\S]*half a turn"):
        reconstruct(entry(path, theta_deg=[0, 360]), tmp_path)


def test_a_truncated_file_is_refused(clean, tmp_path):
    path = tmp_path / "cut.h5"
    path.write_bytes(clean.read_bytes()[: clean.stat().st_size // 2])
    with pytest.raises(ReadError, match=r"cannot be opened[\s\S]*copy it again"):
        reconstruct(entry(path), tmp_path)
    with pytest.raises(ReadError, match="no such file"):
        reconstruct(entry(tmp_path / "none.h5"), tmp_path)
    assert not (tmp_path / "a.zarr").exists()


def test_dead_pixels_take_their_neighbours_values(clean, tmp_path):
    def kill(file):
        file["exchange/data_white"][:, 1, 30] = 0
        file["exchange/data"][:, 1, 30] = 0

    expected = reconstruct(entry(clean), tmp_path).image.array[:]
    found = reconstruct(entry(copy_of(clean, tmp_path, kill)), tmp_path).image.array[:]
    assert np.isfinite(found).all()
    assert np.array_equal(found[0], expected[0])
    assert 0 < np.abs(found[1] - expected[1]).max() < 3


def test_opaque_parts_stay_finite(clean, tmp_path):
    path = copy_of(clean, tmp_path, filled("exchange/data", 0))
    found = reconstruct(entry(path), tmp_path).image.array[:]
    assert np.isfinite(found).all()


def test_the_pixel_size_is_never_made_up(clean, tmp_path):
    bare = copy_of(clean, tmp_path, removed("measurement"))
    scan = reconstruct(entry(bare, pixel_size_um=2 * VOXEL_UM), tmp_path)
    assert scan.grid.voxel_size_um == (2 * VOXEL_UM,) * 3
    scan = reconstruct(entry(bare, pixel_size_um="unknown"), tmp_path)
    assert scan.grid.voxel_size_um is None
    assert "attenuation per voxel" in scan.provenance.inputs
    assert scan.image.array[1, 28, 15] == pytest.approx(8.0 * VOXEL_UM * 1e-4, rel=0.1)
    with pytest.raises(MismatchError, match="recipe gives a pixel size of 21 µm, the file 20 µm"):
        reconstruct(entry(clean, pixel_size_um=21), tmp_path)

    def unitless(file):
        for axis in "xy":
            size = file[f"measurement/instrument/detector/actual_pixel_size_{axis}"]
            del size.attrs["units"]

    with pytest.raises(InputError, match="the pixel size is not known"):
        reconstruct(entry(copy_of(clean, tmp_path, unitless)), tmp_path)


def test_rows_and_columns_may_differ_in_size(clean, tmp_path):
    def flat(file):
        file["measurement/instrument/detector/actual_pixel_size_y"][()] = 50.0

    scan = reconstruct(entry(copy_of(clean, tmp_path, flat)), tmp_path)
    assert scan.grid.voxel_size_um == (50.0, VOXEL_UM, VOXEL_UM)
    assert scan.image.array[1, 28, 15] == pytest.approx(8.0, rel=0.1)


def test_sinograms_of_other_software(clean, tmp_path):
    expected = reconstruct(entry(clean), tmp_path).image.array[:]
    with h5py.File(clean) as file:
        counts = file["exchange/data"][:].astype(np.float64) - 100
        last = float(file["exchange/theta"][-1])
    depth = -np.log(counts / 5e4).astype(np.float32)
    path = tmp_path / "sinograms.tif"
    tifffile.imwrite(path, np.moveaxis(depth, 1, 0))
    logged = {"already_log": True, "theta_deg": [0, last], "pixel_size_um": VOXEL_UM}
    found = reconstruct(entry(path, **logged), tmp_path).image.array[:]
    assert np.abs(found - expected).max() < 1e-3
    with pytest.raises(ReadError, match=r"no flat fields[\s\S]*already_log"):
        reconstruct(entry(path), tmp_path)
    with pytest.raises(ReadError, match="theta_deg"):
        reconstruct(entry(path, already_log=True, pixel_size_um=1), tmp_path)


def test_real_axis_is_found(data_dir, tmp_path):
    path = data_dir / "raw-projections" / "tooth.h5"
    if not path.exists():
        pytest.skip("tooth.h5 not found")
    source = entry(path, centre=None, pixel_size_um="unknown")
    facts = reconstruct(source, tmp_path, crop_yx=(100, 100)).provenance.inputs
    assert float(facts[1].removeprefix("axis at column ")) == pytest.approx(296, abs=1)


def test_wrong_settings_are_refused(clean, tmp_path):
    with pytest.raises(InputError, match="at most the 66 columns"):
        reconstruct(entry(clean), tmp_path, crop_yx=(67, 20))
    with pytest.raises(InputError, match=r"column 0 \('centre'\)"):
        reconstruct(entry(clean, centre=0), tmp_path)
    for values, message in (
        ({"id": "a/b"}, "letters"),
        ({"pixel_size_um": -1}, "positive"),
        ({"center": 3}, "did you mean 'centre'"),
    ):
        with pytest.raises(RecipeError, match=message):
            entry(clean, **values)
    for values, message in (
        ({"memory": "much"}, "4GiB"),
        ({"crop_yx": [0, 5]}, "at least 1"),
        ({"filter": "sharp"}, "ramp"),
        ({"scans": []}, "at least 1"),
    ):
        given = {"scans": [{"id": "a", "path": "a.h5"}], **values}
        with pytest.raises(RecipeError, match=message):
            parse_settings(ReconstructSettings, given, where="recipe")


def test_a_missing_extra_is_named(clean, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "algotom.rec.reconstruction", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tomolith\[recon\]'"):
        reconstruct(entry(clean), tmp_path)
    assert not (tmp_path / "a.zarr").exists()


def test_threads_change_no_byte(tmp_path):
    import numba

    rng = np.random.default_rng(0)
    sinograms = rng.random((2, 200, 128)).astype(np.float32)
    theta = np.linspace(0, np.pi, 200, endpoint=False)
    found = []
    for n_threads in (1, numba.config.NUMBA_NUM_THREADS, numba.config.NUMBA_NUM_THREADS):
        numba.set_num_threads(n_threads)
        projector = BackProjector(theta, 128, 63.5, (100, 90), "hann", "zeros")
        found.append(projector.slices(sinograms).tobytes())
        assert numba.get_num_threads() == n_threads  # left as it was
    assert len(set(found)) == 1


@pytest.mark.parametrize("shape", [(1, 39, 48), (1, 40, 47), (1, 39, 47), (1, 40, 48)])
def test_even_and_odd_sides_lie_on_the_grid_of_the_object(tmp_path, shape):
    y, x = np.mgrid[: shape[1], : shape[2]].astype(float)
    blob = np.exp(-((y - 15) ** 2 + (x - 30) ** 2) / 18).astype(np.float32)
    quiet = ProjectionSettings(noise=False, gain_error=0, detector_blur_px=0, photons=5e4)
    path = tmp_path / "odd.h5"
    simulate_projections(lambda z0, z1: blob[None], shape, VOXEL_UM, path, quiet, key=1)
    source = entry(path, centre=(n_detector_columns(shape) - 1) / 2)
    found = reconstruct(source, tmp_path, crop_yx=shape[1:]).image.array[0]
    where = np.unravel_index(found.argmax(), found.shape)
    weight = np.where(found > 0.2, found, 0)
    assert where == (15, 30)
    assert np.average(y, weights=weight) == pytest.approx(15, abs=0.1)
    assert np.average(x, weights=weight) == pytest.approx(30, abs=0.1)


def test_the_axis_is_found(clean, tmp_path):
    scan = reconstruct(entry(clean, centre=None), tmp_path)
    found = float(scan.provenance.inputs[1].removeprefix("axis at column "))
    assert found == pytest.approx(CENTRE, abs=0.5)


@pytest.mark.parametrize("method", ["sorting", "filtering", "large", "dead", "all"])
def test_ring_removal_brings_the_scan_nearer_to_the_truth(tmp_path, method):
    path = take(tmp_path / "rings.h5", gain_error=0.05)
    kept = reconstruct(entry(path), tmp_path).image.array[:]
    found = reconstruct(entry(path), tmp_path, rings=method).image.array[:]
    assert np.isfinite(found).all()
    assert np.std(found - truth()) < 0.8 * np.std(kept - truth())


def test_real_tooth(data_dir, tmp_path):
    path = data_dir / "raw-projections" / "tooth.h5"
    if not path.exists():
        pytest.skip("tooth.h5 not found")
    sharp, blurred = (
        reconstruct(
            entry(path, centre=centre, pixel_size_um="unknown"), tmp_path, crop_yx=(400, 400)
        ).image.array[:]
        for centre in (296, 288)
    )
    assert sharp.shape == (2, 400, 400)
    air, dentine = sharp[:, :60, :60], sharp[:, 165:180, 160:200]
    assert abs(air.mean()) < 0.1 * np.percentile(sharp, 99)
    assert dentine.mean() > 0.004
    assert sharp.min() > 0.6 * blurred.min()  # a wrong axis makes dark streaks


def test_real_shale_sinogram(data_dir, tmp_path):
    path = data_dir / "raw-projections" / "shale_prj.tiff"
    if not path.exists():
        pytest.skip("shale_prj.tiff not found")
    source = entry(
        path, centre=182.5, pixel_size_um="unknown", already_log=True, theta_deg=[0, 180]
    )
    found = reconstruct(source, tmp_path, crop_yx=None).image.array[:]
    assert found.shape == (1, 366, 366)
    y, x = np.mgrid[:366, :366] - 182.5
    inside = found[0][np.hypot(y, x) < 90]
    assert inside.mean() > 10 * abs(found[0][np.hypot(y, x) > 150].mean())
