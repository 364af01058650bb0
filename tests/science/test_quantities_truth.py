"""The quantities of true labels are the true numbers of the phantom, and those of known shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tomolith.core import PRESETS, Box, Grid, LabelMap, Volume
from tomolith.measure.quantify import MeasureSettings, measure
from tomolith.measure.quantities import QUANTITIES
from tomolith.phantom import Cell, PhantomSettings
from tomolith.phantom.truth import TruthCounter

SCHEMA = PRESETS["li-operando"]
SHAPE = (64, 64, 64)
PULSES = (0, 12, 24)
Found = dict[tuple[str, str], float | None]


def measured(
    values: np.ndarray,
    size_um: float | tuple[float, float, float],
    *quantities: str | dict[str, object],
    **options: object,
) -> Found:
    sizes = (size_um,) * 3 if isinstance(size_um, float) else size_um
    labels = LabelMap(Volume(values, Grid(values.shape, sizes)), SCHEMA)
    block = options.pop("block_zyx", (32, 64, 64))
    settings = MeasureSettings(quantities=quantities or None, **options)
    found = measure(labels, settings, region="s", block_zyx=block)
    return {(m.name, m.region.removeprefix("s/")): m.value for m in found}


@pytest.fixture(scope="module", params=PULSES)
def true_and_found(request: pytest.FixtureRequest) -> tuple[Found, Found]:
    settings = PhantomSettings(preset="tiny", scans=PULSES)
    cell, box = Cell.build(settings, 0), Box((0, 0, 0), SHAPE)
    material = cell.draw(box, request.param).material
    counter = TruthCounter(cell, request.param)
    counter.add(box, material)
    true = {(r.quantity, r.region): r.value for r in counter.rows("s", 0)}
    li_volume = {
        "name": "li_volume",
        "deposited_porosity_frac": settings.deposit_porosity_frac,
        "redeposited_porosity_frac": settings.redeposit_porosity_frac,
    }
    names = [name for name in QUANTITIES.names() if name != "li_volume"]
    return true, measured(material, settings.voxel_size_um, li_volume, *names)


@pytest.mark.parametrize("class_name", SCHEMA.names)
def test_counts_and_coverage_are_exact(
    true_and_found: tuple[Found, Found], class_name: str
) -> None:
    true, found = true_and_found
    assert found["voxel_count", class_name] == true["voxel_count", class_name]
    for name, same in (
        ("volume", "volume"),
        ("volume_percent", "share"),
        ("effective_thickness", "effective_thickness"),
        ("plan_coverage", "plan_coverage"),
    ):
        assert found[same, class_name] == pytest.approx(true[name, class_name], rel=1e-12)


@pytest.mark.parametrize("side", ["stripping side", "plating side"])
def test_the_sides_are_parted_exactly(true_and_found: tuple[Found, Found], side: str) -> None:
    true, found = true_and_found
    part = f"electrode, {side}"
    for name, of in (("effective_thickness",) * 2, ("volume_by_side", "li_volume")):
        assert found[name, part] == pytest.approx(true[of, part], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "part"), [("pit_filling", "pit"), ("void_map_share", "redeposited")]
)
def test_pits_and_voids_are_exact(
    true_and_found: tuple[Found, Found], name: str, part: str
) -> None:
    true, found = true_and_found
    if true[name, part] is None:
        assert found[name, part] is None
    else:
        assert found[name, part] == pytest.approx(true[name, part], rel=1e-12)


def test_li_volumes_are_exact_where_the_porosity_is_known(
    true_and_found: tuple[Found, Found],
) -> None:
    true, found = true_and_found
    parts = [part for name, part in true if name == "li_volume"]
    assert len(parts) == 5
    for part in parts:
        assert found["li_volume", part] == pytest.approx(true["li_volume", part], rel=1e-12)


def test_dead_li_is_exact(true_and_found: tuple[Found, Found]) -> None:
    true, found = true_and_found
    parts = ("dendrite", "deposited", "plating side, pieces too small to tell")
    dead = sum(found["dead_li_volume", part] or 0.0 for part in parts)
    region = "dendrite and deposited, 26-connected"
    assert dead == pytest.approx(true["dead_li_volume", region], rel=1e-12)


@pytest.mark.parametrize("side", ["stripping side", "plating side"])
def test_positions_and_gap_are_within_a_twentieth_of_a_voxel(
    true_and_found: tuple[Found, Found], side: str
) -> None:
    true, found = true_and_found
    part = f"electrode, {side}"
    assert found["position", part] == pytest.approx(true["position", part], abs=0.05 * 5.32)
    assert found["gap", "electrodes"] == pytest.approx(true["gap", "electrodes"], abs=0.05 * 5.32)


def test_swelling_is_the_growth_of_the_cell() -> None:
    settings = PhantomSettings(preset="tiny", scans=PULSES)
    cell, box = Cell.build(settings, 0), Box((0, 0, 0), SHAPE)
    found = {
        pulse: measured(cell.draw(box, pulse).material, settings.voxel_size_um, "cell_thickness")
        for pulse in PULSES
    }
    for pulse in PULSES[1:]:
        part = "cell_thickness", "cell"
        swelling = (found[pulse][part] or 0) - (found[0][part] or 0)
        amount = cell.levels[pulse].amounts.swelling
        assert swelling == pytest.approx(amount, abs=0.5 * settings.voxel_size_um)


def slab(angle_deg: float, sizes_um: tuple[float, float, float]) -> np.ndarray:
    """Return two electrodes of 24 µm, 40 µm apart, tilted in z and x."""
    shape = tuple(round(n / size) for n, size in zip((64, 200, 64), sizes_um, strict=True))
    z, y, x = ((np.arange(n) - (n - 1) / 2) * size for n, size in zip(shape, sizes_um, strict=True))
    a = math.radians(angle_deg)
    turned = (z[:, None] * 0.6 + x[None, :] * 0.8) * math.sin(a)
    across = y[None, :, None] * math.cos(a) + turned[:, None, :]
    return ((np.abs(across) >= 20) & (np.abs(across) < 44)).astype(np.uint8)


@pytest.mark.parametrize("angle_deg", [0.0, 10.0, 30.0])
def test_tilted_sides_are_parted_by_the_fitted_plane(angle_deg: float) -> None:
    found = measured(slab(angle_deg, (1.0, 1.0, 1.0)), 1.0, "effective_thickness")
    for side in ("stripping side", "plating side"):
        thickness = found["effective_thickness", f"electrode, {side}"]
        assert thickness == pytest.approx(24 / math.cos(math.radians(angle_deg)), rel=0.01)


@pytest.mark.parametrize("sizes_um", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0)])
@pytest.mark.parametrize("angle_deg", [0.0, 10.0, 30.0])
def test_the_thickness_of_a_tilted_slab_is_within_one_per_cent(
    angle_deg: float, sizes_um: tuple[float, float, float]
) -> None:
    names = ("local_thickness", "tilt", "gap", "roughness")
    found = measured(slab(angle_deg, sizes_um), sizes_um, *names)
    for side in ("stripping side", "plating side"):
        part = f"electrode, {side}"
        assert found["local_thickness", part] == pytest.approx(24, rel=0.01)
        assert found["tilt", part] == pytest.approx(angle_deg, abs=0.2)
        assert (found["roughness", part] or 0) < 0.5 * sizes_um[1]
    assert found["gap", "electrodes, across the tilt"] == pytest.approx(40, rel=0.01)


def test_the_roughness_of_a_wave_is_its_amplitude_over_root_two() -> None:
    x = np.arange(64)
    face = 30 + 6 * np.sin(2 * np.pi * x / 16)[None, :] + 0.2 * x[None, :] + 0 * x[:, None]
    y = np.arange(120)[None, :, None]
    values = ((y < face[:, None, :]) | (y > 90)).astype(np.uint8)
    found = measured(values, 1.0, "roughness")
    slope = 1 / math.sqrt(1 + 0.2**2)
    rough = found["roughness", "electrode, stripping side"]
    assert rough == pytest.approx(6 / math.sqrt(2) * slope, rel=0.02)
    assert found["roughness", "electrode, plating side"] == pytest.approx(0, abs=1e-9)


def test_an_electrode_that_leaves_the_volume_has_no_local_thickness() -> None:
    values = np.zeros((4, 20, 4), np.uint8)
    values[:, :5] = values[:, 12:16] = 1
    found = measured(values, 1.0, "local_thickness", "cell_thickness")
    assert found["local_thickness", "electrode, stripping side"] is None
    assert found["local_thickness", "electrode, plating side"] == 4
    assert found["cell_thickness", "cell"] is None
