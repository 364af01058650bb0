from __future__ import annotations

import math
import subprocess
import sys

import h5py
import numpy as np
import pytest
from skimage.transform import radon

from tomolith.errors import InputError
from tomolith.phantom import projections as module
from tomolith.phantom.attenuation import (
    compound_attenuation,
    linear_attenuation,
    mass_attenuation,
)
from tomolith.phantom.projections import ProjectionSettings, simulate_projections

QUIET = {"noise": False, "gain_error": 0.0, "detector_blur_px": 0.0, "photons": 5e4}


def block(shape_zyx, value=20.0):
    """A box of metal off the axis, with a hole; no symmetry."""
    n_z, n_y, n_x = shape_zyx
    volume = np.zeros(shape_zyx, np.float32)
    volume[:, n_y // 5 : n_y // 2, n_x // 6 : n_x // 2] = value
    volume[n_z // 2 :, n_y // 4 : n_y // 3, n_x // 4 : n_x // 3] = 0
    volume[:, n_y // 2 : n_y - 2, n_x - 4 : n_x - 2] = value / 3
    return volume


def take(volume, path, *, key=1, **values):
    simulate_projections(
        lambda z0, z1: volume[z0:z1],
        volume.shape,
        10.0,
        path,
        ProjectionSettings(**values),
        key=key,
    )
    with h5py.File(path) as file:
        exchange = file["exchange"]
        return tuple(exchange[name][:] for name in ("data", "data_white", "data_dark", "theta"))


def depth_of(taken, photons=5e4, dark=100.0):
    return -np.log((taken[0].astype(np.float64) - dark) / photons)


@pytest.mark.parametrize(
    ("formula", "at_20_kev", "at_30_kev"),
    [  # compounds of table 4 of the same source
        ({"C": 2, "F": 4}, 0.9667, 0.4025),
        ({"Li": 1, "F": 1}, 0.8792, 0.3727),
        ({"C": 1, "H": 2}, 0.4315, 0.2706),
        ({"C": 5, "H": 8, "O": 2}, 0.5714, 0.3032),
        ({"C": 3, "H": 7, "N": 1, "O": 2}, 0.6158, 0.3158),
    ],
)
def test_elements_add_up_to_tabulated_compounds(formula, at_20_kev, at_30_kev):
    assert compound_attenuation(formula, 20) == pytest.approx(at_20_kev, rel=5e-4)
    assert compound_attenuation(formula, 30) == pytest.approx(at_30_kev, rel=5e-4)


def test_attenuation_between_energies_follows_a_power_law():
    low, high = mass_attenuation("C", 20), mass_attenuation("C", 30)
    assert mass_attenuation("C", math.sqrt(600)) == pytest.approx(math.sqrt(low * high))


def test_materials_stand_in_the_order_of_a_scan():
    mu = linear_attenuation()
    assert mu["void"] < mu["air"] < mu["lithium"] < mu["pouch"] < mu["polymer"] < mu["aluminium"]
    assert mu["lithium"] == pytest.approx(0.534 * 0.1687, rel=1e-3)


def test_unknown_elements_and_energies_are_refused():
    with pytest.raises(InputError, match="one of H, Li"):
        mass_attenuation("Xx", 20)
    with pytest.raises(InputError, match="between 10 and 100 keV"):
        mass_attenuation("Li", 9.9)
    with pytest.raises(InputError, match="'air'"):
        compound_attenuation({"air": 1, "H": 2}, 20)


def test_projections_agree_with_scikit_image(tmp_path):
    from scipy.ndimage import gaussian_filter

    volume = gaussian_filter(block((2, 41, 41), value=60.0), (0, 1, 1))
    taken = take(volume, tmp_path / "a.h5", n_angles=24, dark_level=100, **QUIET)
    found = depth_of(taken)[:, 0]
    cm = 10e-4
    padded = np.pad(volume[0] * cm, 10)
    expected = radon(padded, theta=taken[3], circle=False, preserve_range=True).T
    cut = (expected.shape[1] - found.shape[1]) // 2
    expected = expected[:, cut : cut + found.shape[1]]
    assert np.abs(found - expected).max() < 0.02 * expected.max()
    assert np.abs(found - expected[:, ::-1]).max() > 0.3 * expected.max()  # the test has an eye


def test_a_slab_has_the_depth_of_its_thickness(tmp_path):
    volume = np.full((1, 8, 20), 25.0, np.float32)
    depth = depth_of(take(volume, tmp_path / "a.h5", n_angles=2, **QUIET))[:, 0]
    middle = depth.shape[1] // 2
    assert depth[0, middle] == pytest.approx(8 * 25 * 10e-4, abs=1e-3)  # 0 degrees: along y
    assert depth[1, middle] == pytest.approx(20 * 25 * 10e-4, abs=1e-3)  # 90 degrees: along x
    assert np.abs(depth[:, [0, -1]]).max() < 1e-4


def test_every_angle_sees_the_whole_object(tmp_path):
    volume = block((1, 15, 32))
    total = depth_of(take(volume, tmp_path / "a.h5", n_angles=30, **QUIET))[:, 0].sum(axis=1)
    assert total == pytest.approx(np.full(30, volume.sum() * 10e-4), rel=2e-2)


def test_counts_do_not_depend_on_the_slab(tmp_path, monkeypatch):
    volume = block((27, 14, 19))
    values = {"fringes": 1.5, "detector_blur_px": 0.9, "gain_error": 0.05}
    whole = take(volume, tmp_path / "a.h5", **values)
    monkeypatch.setattr(module, "_SLAB_BYTES", 4 * 8 * 30 * 27)
    sliced = take(volume, tmp_path / "b.h5", **values)
    monkeypatch.setattr(module, "_SLAB_BYTES", 1)
    rows = take(volume, tmp_path / "c.h5", **values)
    for one, two, three in zip(whole, sliced, rows, strict=True):
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)


def test_another_key_gives_other_counts(tmp_path):
    volume = block((2, 14, 19))
    one, same = take(volume, tmp_path / "a.h5"), take(volume, tmp_path / "b.h5")
    other = take(volume, tmp_path / "c.h5", key=2)
    for n in range(3):
        assert np.array_equal(one[n], same[n])
        assert not np.array_equal(one[n], other[n])
    assert not np.array_equal(one[0][:, 0], one[0][:, 1])  # rows are streams of their own


def test_noise_is_that_of_photons(tmp_path):
    volume = np.zeros((4, 30, 30), np.float32)
    data, white, dark, _ = take(
        volume, tmp_path / "a.h5", photons=400, n_flat=50, n_dark=50, dark_level=25, gain_error=0
    )
    for counts, mean in ((data, 425), (white, 425), (dark, 25)):
        assert counts.mean() == pytest.approx(mean, rel=0.02)
        assert counts.var() == pytest.approx(mean, rel=0.05)


def test_gain_errors_are_the_same_at_all_angles_and_not_in_the_flat_fields(tmp_path):
    volume = np.zeros((1, 40, 40), np.float32)
    data, white, _, _ = take(volume, tmp_path / "a.h5", **{**QUIET, "gain_error": 0.05})
    assert np.ptp(data, axis=0).max() == 0
    assert data[0].std() / 5e4 == pytest.approx(0.05, rel=0.3)
    assert np.ptp(white) == 0


def test_blur_spreads_and_fringes_sharpen_an_edge(tmp_path):
    volume = np.zeros((3, 30, 30), np.float32)
    volume[:, :, 10:20] = 10.0
    steep = {}
    for name, values in {
        "sharp": {},
        "blurred": {"detector_blur_px": 1.5},
        "fringed": {"fringes": 1.0},
    }.items():
        counts = take(volume, tmp_path / f"{name}.h5", n_angles=2, **{**QUIET, **values})[0]
        steep[name] = counts[0, 1].astype(float)
    slope = {name: np.abs(np.diff(line)).max() for name, line in steep.items()}
    assert slope["blurred"] < 0.5 * slope["sharp"] < slope["sharp"] < slope["fringed"]
    assert steep["fringed"].max() > steep["sharp"].max() + 1000  # brighter than the open beam
    assert steep["blurred"].sum() == pytest.approx(steep["sharp"].sum(), rel=1e-3)


def test_the_file_says_what_it_is(tmp_path):
    path = tmp_path / "a.h5"
    take(block((3, 12, 12)), path)
    with h5py.File(path) as file:
        assert "simulated" in file.attrs["simulated"]
        data, theta = file["exchange/data"], file["exchange/theta"]
        assert data.dtype == np.uint16
        assert data.shape == (len(theta), 3, module.n_detector_columns((3, 12, 12)))
        assert theta.attrs["units"] == "degrees"
        assert 0 == theta[0] < theta[-1] < 180
        size = file["measurement/instrument/detector/actual_pixel_size_x"]
        assert (size[()], size.attrs["units"]) == (10.0, "um")


def test_wrong_attenuation_is_refused_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.h5"
    settings = ProjectionSettings()
    for slices, message in (
        (np.zeros((2, 8, 9), np.float32), r"shape \(2, 8, 9\)[\s\S]*\(2, 8, 8\)"),
        (np.full((2, 8, 8), np.nan, np.float32), "not finite"),
        (np.full((2, 8, 8), -1, np.float32), "negative"),
    ):
        with pytest.raises(InputError, match=message):
            simulate_projections(lambda *_, s=slices: s, (2, 8, 8), 1.0, path, settings, key=1)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="voxel size"):
        simulate_projections(lambda *_: slices, (2, 8, 8), 0.0, path, settings, key=1)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tomolith.errors import DiskError
from tomolith.phantom.projections import ProjectionSettings, simulate_projections
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
path = Path(sys.argv[1])
try:
    simulate_projections(
        lambda a, b: np.ones((b - a, 40, 40), np.float32), (80, 40, 40), 1.0, path,
        ProjectionSettings(), key=1)
except DiskError as error:
    assert error.where and error.mend
else:
    raise AssertionError("not refused")
assert list(path.parent.iterdir()) == []
"""


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.h5")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
